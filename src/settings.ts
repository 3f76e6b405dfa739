/**
 * Reads the server's settings and checks them, together too.
 *
 * Reading is pure, so a wrong value is refused before anything is opened, with one line that says what is allowed.
 */

import { isIP } from "node:net";
import { z } from "zod";
import type { AuthSettings } from "./access/authenticator_for.ts";
import type { TrustedProxies } from "./access/client_address.ts";
import type { LogLevel } from "./observe/log.ts";
import { DEFAULT_LIMITS, type Limits } from "./protocol/limits.ts";
import type { Remote } from "./remote/remote_names.ts";
import type { Upstream } from "./service/upstream_names.ts";
import type { StrangerLimits } from "./session/session_registry.ts";
import type { SlotLimits } from "./session/slots_runner.ts";
import { formatBytes } from "./settings_values.ts";
import { type SettingName, TABLE } from "./settings_table.ts";
import { nearest } from "./nearest.ts";

export { type SettingDescription, SETTINGS } from "./settings_table.ts";

/** What a message may cost beyond its body: header, `metadata` and names (`docs/protocol.md`, frame.cost). */
const HEADER_BYTES = 8 * 1024;

/** Who takes connections. */
export type Transport = "native" | "hardened";

/** What the server runs with. Times are milliseconds. */
export interface Settings {
  /** 0: any free port. */
  readonly port: number;
  readonly host: string;
  readonly transport: Transport;
  /** What `Deno.openKv` is given; `undefined`: the database bound by Deno Deploy. */
  readonly kv: string | undefined;
  readonly resumeWindow: number;
  readonly parkAfter: number;
  readonly drainWindow: number;
  /** `null`: idle sessions are not ended. */
  readonly idleTimeout: number | null;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  readonly handshakeTimeout: number;
  readonly limits: Limits;
  /** Serialised origins, as a browser sends them. */
  readonly allowedOrigins: readonly string[];
  readonly tokenReuse: "keep" | "end";
  /** The service `demo` is served. */
  readonly demo: boolean;
  readonly upstreams: readonly Upstream[];
  readonly upstreamTimeout: number;
  readonly remotes: readonly Remote[];
  /** Absent: this node has no credentials for them. */
  readonly remoteToken?: string;
  readonly logLevel: LogLevel;
  readonly region?: string;
  readonly adminToken?: string;
  readonly auth: AuthSettings;
  readonly slots: SlotLimits;
  readonly strangers: StrangerLimits;
  readonly trustedProxies: TrustedProxies;
}

/** The settings and what an operator should look at again, or the one line that says what is wrong. */
export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly message: string };

class WrongSetting extends Error {}

/**
 * Reads all settings.
 *
 * Smaller windows and frames make the largest body smaller, so that `windowBytes ≥ 2 × bodyBytes` and a body with its
 * header fits into a frame, whatever is set (`frame.cost`).
 *
 * @param env The process's environment. Names beginning with `HOLDFAST_` that are no setting become warnings.
 */
export function readSettings(env: Readonly<Record<string, string>>): SettingsResult {
  try {
    return { ok: true, settings: settingsFrom(env), warnings: unknownNames(env) };
  } catch (error) {
    if (error instanceof WrongSetting) return { ok: false, message: error.message };
    throw error;
  }
}

function settingsFrom(env: Readonly<Record<string, string>>): Settings {
  const onDeploy = env["DENO_DEPLOYMENT_ID"] !== undefined || env["DENO_DEPLOY"] !== undefined;
  const host = onDeploy && env["HOLDFAST_HOST"] === undefined ? "0.0.0.0" : value(env, "HOLDFAST_HOST");
  const auth = authFrom(env);
  const saidTwice = value(env, "HOLDFAST_PUBLIC") === "yes" && env["HOLDFAST_AUTH"] === "none";
  if (auth.kind === "none" && !isLoopback(host) && !saidTwice) {
    throw new WrongSetting(
      (onDeploy
        ? "HOLDFAST_AUTH is none: on Deno Deploy anyone can connect; allowed is HOLDFAST_AUTH=jwt, or "
        : `HOLDFAST_HOST=${
          quote(host)
        } is reachable by others, and HOLDFAST_AUTH is none; allowed is a loopback ` +
          "address (127.0.0.1, ::1, localhost), HOLDFAST_AUTH=jwt, or ") +
        "HOLDFAST_AUTH=none together with HOLDFAST_PUBLIC=yes",
    );
  }
  const region = env["HOLDFAST_REGION"] === undefined
    ? env["FLY_REGION"] || undefined
    : value(env, "HOLDFAST_REGION");
  // The hardened transport needs node:http's own sockets, which Deno Deploy does not promise; strangers do not reach loopback.
  const transport = env["HOLDFAST_TRANSPORT"] !== undefined
    ? value(env, "HOLDFAST_TRANSPORT")
    : onDeploy || isLoopback(host)
    ? "native"
    : "hardened";
  return {
    port: value(env, "PORT"),
    host,
    transport,
    kv: onDeploy && env["HOLDFAST_KV"] === undefined ? undefined : value(env, "HOLDFAST_KV"),
    resumeWindow: value(env, "HOLDFAST_RESUME_WINDOW"),
    parkAfter: value(env, "HOLDFAST_PARK_AFTER"),
    drainWindow: value(env, "HOLDFAST_DRAIN_WINDOW"),
    idleTimeout: value(env, "HOLDFAST_IDLE_TIMEOUT"),
    keepalive: {
      interval: value(env, "HOLDFAST_KEEPALIVE_INTERVAL"),
      timeout: value(env, "HOLDFAST_KEEPALIVE_TIMEOUT"),
    },
    handshakeTimeout: value(env, "HOLDFAST_HANDSHAKE_TIMEOUT"),
    limits: limitsFrom(
      value(env, "HOLDFAST_WINDOW_MESSAGES"),
      value(env, "HOLDFAST_WINDOW_BYTES"),
      value(env, "HOLDFAST_FRAME_BYTES"),
      value(env, "HOLDFAST_CONNECTIONS"),
      value(env, "HOLDFAST_STORED_BYTES"),
    ),
    auth,
    slots: {
      sessionsPerNode: value(env, "HOLDFAST_SESSIONS_PER_NODE"),
      sessionsPerPrincipal: value(env, "HOLDFAST_SESSIONS_PER_PRINCIPAL"),
      supersedeOldest: value(env, "HOLDFAST_SUPERSEDE_OLDEST") === "yes",
      anonymousBytes: value(env, "HOLDFAST_ANONYMOUS_BYTES"),
    },
    strangers: {
      conduits: value(env, "HOLDFAST_UNAUTHENTICATED_CONDUITS"),
      silent: value(env, "HOLDFAST_SILENT_CONDUITS"),
      reads: value(env, "HOLDFAST_UNAUTHENTICATED_READS"),
      handshakesPerAddress: value(env, "HOLDFAST_HANDSHAKES_PER_ADDRESS"),
      resumesPerAddress: value(env, "HOLDFAST_RESUMES_PER_ADDRESS"),
    },
    trustedProxies: value(env, "HOLDFAST_TRUSTED_PROXIES"),
    allowedOrigins: value(env, "HOLDFAST_ALLOWED_ORIGINS"),
    tokenReuse: value(env, "HOLDFAST_TOKEN_REUSE"),
    demo: env["HOLDFAST_DEMO"] === undefined ? isLoopback(host) : value(env, "HOLDFAST_DEMO") === "on",
    upstreams: value(env, "HOLDFAST_UPSTREAMS"),
    upstreamTimeout: value(env, "HOLDFAST_UPSTREAM_TIMEOUT"),
    remotes: value(env, "HOLDFAST_REMOTES"),
    logLevel: value(env, "HOLDFAST_LOG_LEVEL"),
    ...(region === undefined ? {} : { region }),
    ...(env["HOLDFAST_REMOTE_TOKEN"] === undefined
      ? {}
      : { remoteToken: value(env, "HOLDFAST_REMOTE_TOKEN") }),
    ...(env["HOLDFAST_ADMIN_TOKEN"] === undefined ? {} : { adminToken: value(env, "HOLDFAST_ADMIN_TOKEN") }),
  };
}

function authFrom(env: Readonly<Record<string, string>>): AuthSettings {
  const kind = value(env, "HOLDFAST_AUTH");
  const given = <N extends SettingName>(name: N) => env[name] === undefined ? undefined : value(env, name);
  const secret = given("HOLDFAST_JWT_SECRET");
  const url = given("HOLDFAST_JWKS_URL");
  const issuer = given("HOLDFAST_JWT_ISSUER");
  const audience = given("HOLDFAST_JWT_AUDIENCE");
  if (kind === "none") {
    const all = {
      HOLDFAST_JWT_SECRET: secret,
      HOLDFAST_JWKS_URL: url,
      HOLDFAST_JWT_ISSUER: issuer,
      HOLDFAST_JWT_AUDIENCE: audience,
    };
    const [unused] = Object.entries(all).find(([, setting]) => setting !== undefined) ?? [];
    // Whoever sets it believes that tokens are checked.
    if (unused !== undefined) throw new WrongSetting(`${unused} has no effect without HOLDFAST_AUTH=jwt`);
    return { kind };
  }
  if (issuer === undefined) {
    throw new WrongSetting("HOLDFAST_JWT_ISSUER is not set: HOLDFAST_AUTH=jwt needs it");
  }
  if (audience === undefined) {
    throw new WrongSetting("HOLDFAST_JWT_AUDIENCE is not set: HOLDFAST_AUTH=jwt needs it");
  }
  if (secret !== undefined && url === undefined) {
    return { kind, keys: { kind: "secret", secret }, issuer, audience };
  }
  if (secret === undefined && url !== undefined) {
    return { kind, keys: { kind: "jwks", url }, issuer, audience };
  }
  throw new WrongSetting(
    "HOLDFAST_AUTH=jwt needs either HOLDFAST_JWT_SECRET or HOLDFAST_JWKS_URL, and not both",
  );
}

function limitsFrom(
  windowMessages: number,
  windowBytes: number,
  frameBytes: number,
  connections: number,
  storedBytes: number,
): Limits {
  if (storedBytes < 2 * windowBytes) {
    throw new WrongSetting(
      `HOLDFAST_STORED_BYTES=${storedBytes} is too little for HOLDFAST_WINDOW_BYTES=${windowBytes}: allowed is twice that or more`,
    );
  }
  const bodyBytes = Math.min(
    DEFAULT_LIMITS.bodyBytes,
    Math.floor(windowBytes / 2),
    frameBytes - HEADER_BYTES,
  );
  return { ...DEFAULT_LIMITS, windowMessages, windowBytes, frameBytes, bodyBytes, connections, storedBytes };
}

type ValueOf<N extends SettingName> = z.output<(typeof TABLE)[N]["schema"]>;

function value<N extends SettingName>(env: Readonly<Record<string, string>>, name: N): ValueOf<N> {
  const { schema, fallback, secret }: {
    schema: z.ZodType<unknown, string>;
    fallback?: string;
    secret?: true;
  } = TABLE[name];
  const given = env[name];
  const result = schema.safeParse(given ?? fallback);
  // The schema is the one that `ValueOf` is computed from.
  if (result.success) return result.data as ValueOf<N>;
  const allowed = result.error.issues[0]?.message ?? "another value";
  const otherwise = fallback ? ` (default ${fallback})` : "";
  const shown = secret ? "…" : quote(given ?? "");
  throw new WrongSetting(`${name}=${shown} is not allowed: allowed is ${allowed}${otherwise}`);
}

/** A value for a log line: no control characters, no credentials of a URL, not endless. */
function quote(text: string): string {
  const hidden = text.replace(/\/\/[^/@]*@/, "//…@");
  return JSON.stringify(hidden.length > 100 ? `${hidden.slice(0, 100)}…` : hidden);
}

function unknownNames(env: Readonly<Record<string, string>>): string[] {
  const names = Object.keys(TABLE);
  return Object.keys(env).filter((name) => name.startsWith("HOLDFAST_") && !names.includes(name)).map(
    (name) => {
      return `${name} is not a setting and has no effect; the nearest one is ${nearest(name, names)}`;
    },
  );
}

/** True if only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  return bare === "localhost" || bare.endsWith(".localhost") || bare === "::1" ||
    isIP(bare) === 4 && bare.startsWith("127.");
}

/** The sizes in force, for the log line at start. */
export function describeLimits(limits: Limits): string {
  return `frame ${formatBytes(limits.frameBytes)}, body ${formatBytes(limits.bodyBytes)}, ` +
    `window ${limits.windowMessages} messages, ${formatBytes(limits.windowBytes)}`;
}
