/** Every setting of the server: its name, default, check and meaning, once. */

import { z } from "zod";
import { MOST_FRAME_BYTES } from "./protocol/limits.ts";
import {
  bearerToken,
  bytes,
  choice,
  claimText,
  count,
  credential,
  duration,
  hostName,
  keySetUrl,
  MIB,
  origins,
  remotes,
  secret,
  storePath,
  trustedProxies,
  upstreams,
} from "./settings_values.ts";

const HOUR = 3_600_000;

/** One setting, as operators see it. */
export interface SettingDescription {
  /** The default in the setting's own notation; absent where there is none. */
  readonly fallback?: string;
  /** What it decides. */
  readonly doc: string;
  /** True if its value is told to nobody. */
  readonly secret?: true;
}

function setting<T>(schema: z.ZodType<T, string>, fallback: string | undefined, doc: string) {
  return { schema, doc, ...(fallback === undefined ? {} : { fallback }) };
}

/** All settings, with the check of each; values are strings as the environment has them. */
export const TABLE = {
  PORT: setting(count(0, 65_535), "8080", "The port to listen on; 0 picks a free one."),
  HOLDFAST_HOST: setting(hostName, "127.0.0.1", "The address to listen on; on Deno Deploy 0.0.0.0."),
  HOLDFAST_AUTH: setting(
    choice("none", "jwt"),
    "none",
    "Who may connect: everybody, or who has a valid JWT.",
  ),
  HOLDFAST_PUBLIC: setting(
    choice("yes", "no"),
    "no",
    "`yes`, with `HOLDFAST_AUTH=none` said as well, lets everybody connect from beyond loopback.",
  ),
  HOLDFAST_TRANSPORT: setting(
    choice("native", "hardened"),
    undefined,
    "Who takes connections: the runtime, or a server that bounds what strangers send (`docs/decisions/004-transports.md`). " +
      "By default `hardened` beyond loopback, else and on Deno Deploy `native`.",
  ),
  HOLDFAST_JWT_SECRET: {
    ...setting(secret(32), undefined, "The secret that tokens are signed with, by HS256."),
    secret: true as const,
  },
  HOLDFAST_JWKS_URL: setting(
    keySetUrl,
    undefined,
    "Where the keys that tokens are signed with are published, in place of a secret.",
  ),
  HOLDFAST_JWT_ISSUER: setting(claimText, undefined, "What `iss` of a token must be."),
  HOLDFAST_JWT_AUDIENCE: setting(claimText, undefined, "What `aud` of a token must name."),
  HOLDFAST_ADMIN_TOKEN: {
    ...setting(
      bearerToken(22),
      undefined,
      "The operator's token, 22 or more of `A-Z a-z 0-9 . _ ~ + / = -`; without one the admin API is open to a link that is printed at start, on loopback alone.",
    ),
    secret: true as const,
  },
  HOLDFAST_KV: setting(
    storePath,
    "./data/holdfast.sqlite3",
    "The store: a file, `:memory:` or a KV Connect URL; on Deno Deploy the bound database.",
  ),
  HOLDFAST_RESUME_WINDOW: setting(duration(720 * HOUR), "1h", "How long a session waits for its client."),
  HOLDFAST_PARK_AFTER: setting(duration(24 * HOUR), "10s", "When a detached durable session leaves memory."),
  HOLDFAST_IDLE_TIMEOUT: setting(
    z.union([z.literal("off").transform(() => null), duration(720 * HOUR)], {
      error: "off, or a duration from 1ms to 720h, such as 250ms, 10s, 5m or 1h",
    }),
    "off",
    "When a session in which no message moves is ended.",
  ),
  HOLDFAST_KEEPALIVE_INTERVAL: setting(duration(HOUR), "25s", "The silence after which the server pings."),
  HOLDFAST_KEEPALIVE_TIMEOUT: setting(duration(HOUR), "10s", "How long a pong may take."),
  HOLDFAST_DRAIN_WINDOW: setting(
    duration(HOUR),
    "30s",
    "Over how long a draining node asks its clients to move; a stop takes at most 1200ms of it.",
  ),
  HOLDFAST_HANDSHAKE_TIMEOUT: setting(duration(HOUR), "10s", "How long a new conduit may stay silent."),
  HOLDFAST_WINDOW_MESSAGES: setting(count(1, 65_536), "1024", "Unacked messages accepted per session."),
  HOLDFAST_WINDOW_BYTES: setting(
    bytes(16 * 1024, 4 * MIB),
    "1MiB",
    "Unacked bytes accepted per session; a body may have at most half of it.",
  ),
  HOLDFAST_FRAME_BYTES: setting(
    bytes(32 * 1024, MOST_FRAME_BYTES),
    "1MiB",
    "Largest frame accepted; a body must leave 8KiB of it to its header.",
  ),
  HOLDFAST_CONNECTIONS: setting(count(1, 16_384), "256", "Connections of one session at once."),
  HOLDFAST_STORED_BYTES: setting(
    bytes(64 * 1024, 64 * MIB),
    "8MiB",
    "What one session may keep for its client; at least two windows.",
  ),
  HOLDFAST_ANONYMOUS_BYTES: setting(
    bytes(MIB, 1024 * 1024 * MIB),
    "1024MiB",
    "What anonymous sessions may store together.",
  ),
  HOLDFAST_SESSIONS_PER_PRINCIPAL: setting(count(1, 100_000), "1008", "Sessions of one principal at once."),
  HOLDFAST_SESSIONS_PER_NODE: setting(count(1, 1_000_000), "65535", "Sessions in one node's memory."),
  HOLDFAST_SUPERSEDE_OLDEST: setting(
    choice("yes", "no"),
    "no",
    "`yes` ends a principal's oldest detached session where a new one would be refused.",
  ),
  HOLDFAST_HANDSHAKES_PER_ADDRESS: setting(
    count(1, 100_000),
    "100",
    "New sessions per second that one address may ask for.",
  ),
  HOLDFAST_RESUMES_PER_ADDRESS: setting(
    count(1, 1_000_000),
    "1000",
    "Resumes per second that one address may ask for.",
  ),
  HOLDFAST_UNAUTHENTICATED_CONDUITS: setting(
    count(1, 1_000_000),
    "4096",
    "Conduits whose handshake is not over.",
  ),
  HOLDFAST_SILENT_CONDUITS: setting(
    count(1, 1_000_000),
    "1024",
    "Of these, the ones that have not said `start`; the one that was silent longest makes room.",
  ),
  HOLDFAST_UNAUTHENTICATED_READS: setting(
    count(1, 10_000),
    "64",
    "Reads of the store at once for those who are not authenticated.",
  ),
  HOLDFAST_TRUSTED_PROXIES: setting(
    trustedProxies,
    "",
    "Whose word counts about a client's address: networks, by X-Forwarded-For, or `fly`.",
  ),
  HOLDFAST_ALLOWED_ORIGINS: setting(origins, "", "Origins accepted beside the server's own, with commas."),
  HOLDFAST_TOKEN_REUSE: setting(
    choice("keep", "end"),
    "keep",
    "What a retired resume token does to its session, when it is presented again.",
  ),
  HOLDFAST_DEMO: setting(
    choice("on", "off"),
    undefined,
    "Whether the service `demo` is served; by default on loopback alone: its totals are everybody's.",
  ),
  HOLDFAST_UPSTREAMS: {
    ...setting(
      upstreams,
      "",
      "WebSocket servers that clients reach as `upstream:NAME`: NAME=URL, with commas; ws or wss.",
    ),
    secret: true as const,
  },
  HOLDFAST_UPSTREAM_TIMEOUT: setting(
    duration(HOUR),
    "10s",
    "How long an upstream may take to open, and a remote to accept.",
  ),
  HOLDFAST_REMOTES: {
    ...setting(
      remotes,
      "",
      "Services of other Holdfast servers that clients reach as `remote:NAME`: NAME=URL#SERVICE, with commas.",
    ),
    secret: true as const,
  },
  HOLDFAST_REMOTE_TOKEN: {
    ...setting(
      credential,
      undefined,
      "What this node says who it is with, to the servers of its remotes.",
    ),
    secret: true as const,
  },
  HOLDFAST_LOG_LEVEL: setting(choice("debug", "info", "warn", "error"), "info", "The least that is logged."),
  HOLDFAST_REGION: setting(
    z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, dots, dashes or underscores"),
    undefined,
    "Told to clients as the node's region; else FLY_REGION, if there is one.",
  ),
};

/** The name of a setting. */
export type SettingName = keyof typeof TABLE;

/** All settings, for help texts and for the check that none is left undocumented. */
export const SETTINGS: { readonly [name: string]: SettingDescription } = TABLE;
