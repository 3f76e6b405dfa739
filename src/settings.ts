/**
 * Every setting of the server: its name, default, check and meaning, once.
 *
 * Reading is pure, so a wrong value is refused before anything is opened, with one line that says what is allowed.
 */

import { isIP } from "node:net";
import { z } from "zod";
import type { LogLevel } from "./observe/log.ts";
import { DEFAULT_LIMITS, type Limits } from "./protocol/limits.ts";
import {
  bytes,
  choice,
  count,
  duration,
  formatBytes,
  hostName,
  MIB,
  origins,
  storePath,
} from "./settings_values.ts";
import { nearest } from "./nearest.ts";

/** What a message may cost beyond its body: header, `metadata` and names (`docs/protocol.md`, frame.cost). */
const HEADER_BYTES = 8 * 1024;

const HOUR = 3_600_000;

/** One setting, as operators see it. */
export interface SettingDescription {
  /** The default in the setting's own notation; absent where there is none. */
  readonly fallback?: string;
  /** What it decides. */
  readonly doc: string;
}

function setting<T>(schema: z.ZodType<T, string>, fallback: string | undefined, doc: string) {
  return { schema, doc, ...(fallback === undefined ? {} : { fallback }) };
}

const TABLE = {
  PORT: setting(count(0, 65_535), "8080", "The port to listen on; 0 picks a free one."),
  HOLDFAST_HOST: setting(hostName, "127.0.0.1", "The address to listen on; on Deno Deploy 0.0.0.0."),
  HOLDFAST_PUBLIC: setting(
    choice("yes", "no"),
    "no",
    "`yes` allows an address beyond loopback, although this version authenticates nobody.",
  ),
  HOLDFAST_TRANSPORT: setting(
    choice("native", "hardened"),
    undefined,
    "Who takes connections: the runtime, or a server that bounds what strangers send (`docs/decisions/004-transports.md`). " +
      "By default `hardened` beyond loopback, else and on Deno Deploy `native`.",
  ),
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
  HOLDFAST_HANDSHAKE_TIMEOUT: setting(duration(HOUR), "10s", "How long a new conduit may stay silent."),
  HOLDFAST_WINDOW_MESSAGES: setting(count(1, 65_536), "1024", "Unacked messages accepted per session."),
  HOLDFAST_WINDOW_BYTES: setting(
    bytes(16 * 1024, 4 * MIB),
    "1MiB",
    "Unacked bytes accepted per session; a body may have at most half of it.",
  ),
  HOLDFAST_FRAME_BYTES: setting(
    bytes(32 * 1024, 16 * MIB),
    "1MiB",
    "Largest frame accepted; a body must leave 8KiB of it to its header.",
  ),
  HOLDFAST_ALLOWED_ORIGINS: setting(origins, "", "Origins accepted beside the server's own, with commas."),
  HOLDFAST_TOKEN_REUSE: setting(
    choice("keep", "end"),
    "keep",
    "What a retired resume token does to its session, when it is presented again.",
  ),
  HOLDFAST_LOG_LEVEL: setting(choice("debug", "info", "warn", "error"), "info", "The least that is logged."),
  HOLDFAST_REGION: setting(
    z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, dots, dashes or underscores"),
    undefined,
    "Told to clients as the node's region; else FLY_REGION, if there is one.",
  ),
};

type SettingName = keyof typeof TABLE;

/** All settings, for help texts and for the check that none is left undocumented. */
export const SETTINGS: { readonly [name: string]: SettingDescription } = TABLE;

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
  /** `null`: idle sessions are not ended. */
  readonly idleTimeout: number | null;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  readonly handshakeTimeout: number;
  readonly limits: Limits;
  /** Serialised origins, as a browser sends them. */
  readonly allowedOrigins: readonly string[];
  readonly tokenReuse: "keep" | "end";
  readonly logLevel: LogLevel;
  readonly region?: string;
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
  if (value(env, "HOLDFAST_PUBLIC") === "no" && !isLoopback(host)) {
    throw new WrongSetting(
      onDeploy
        ? "HOLDFAST_PUBLIC is not set: on Deno Deploy anyone can connect, and this version authenticates nobody; " +
          "allowed is HOLDFAST_PUBLIC=yes"
        : `HOLDFAST_HOST=${
          quote(host)
        } is reachable by others, and this version authenticates nobody; allowed is a ` +
          "loopback address (127.0.0.1, ::1, localhost), or any together with HOLDFAST_PUBLIC=yes",
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
    ),
    allowedOrigins: value(env, "HOLDFAST_ALLOWED_ORIGINS"),
    tokenReuse: value(env, "HOLDFAST_TOKEN_REUSE"),
    logLevel: value(env, "HOLDFAST_LOG_LEVEL"),
    ...(region === undefined ? {} : { region }),
  };
}

function limitsFrom(windowMessages: number, windowBytes: number, frameBytes: number): Limits {
  const bodyBytes = Math.min(
    DEFAULT_LIMITS.bodyBytes,
    Math.floor(windowBytes / 2),
    frameBytes - HEADER_BYTES,
  );
  return { ...DEFAULT_LIMITS, windowMessages, windowBytes, frameBytes, bodyBytes };
}

type ValueOf<N extends SettingName> = z.output<(typeof TABLE)[N]["schema"]>;

function value<N extends SettingName>(env: Readonly<Record<string, string>>, name: N): ValueOf<N> {
  const { schema, fallback }: { schema: z.ZodType<unknown, string>; fallback?: string } = TABLE[name];
  const given = env[name];
  const result = schema.safeParse(given ?? fallback);
  // The schema is the one that `ValueOf` is computed from.
  if (result.success) return result.data as ValueOf<N>;
  const allowed = result.error.issues[0]?.message ?? "another value";
  const otherwise = fallback ? ` (default ${fallback})` : "";
  throw new WrongSetting(`${name}=${quote(given ?? "")} is not allowed: allowed is ${allowed}${otherwise}`);
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
