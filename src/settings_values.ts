/** The notations that settings are written in, as schemas whose message says what is allowed. */

import { z } from "zod";
import { parseNetworks, type TrustedProxies } from "./access/client_address.ts";
import { AUTH_CHARACTERS } from "./protocol/limits.ts";
import { parseRemotes, type Remote } from "./remote/remote_names.ts";
import { parseUpstreams, type Upstream } from "./service/upstream_names.ts";

/** Bytes in a mebibyte. */
export const MIB = 1024 * 1024;

/** No login takes a longer token. */
const BEARER_CHARACTERS = 4_096;

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const UNIT_BYTES = { "": 1, KiB: 1024, MiB: MIB } as const;

/** `Number` reads `1e3` and `0x10` too; settings are plain digits, few enough to be exact. */
const DIGITS = /^\d{1,12}$/;

/** An integer from `least` to `most`. */
export function count(least: number, most: number): z.ZodType<number, string> {
  return parsed(`an integer from ${least} to ${most}`, (text) => {
    return DIGITS.test(text) ? within(Number(text), least, most) : undefined;
  });
}

/**
 * A duration from 1 ms on: `250ms`, `10s`, `5m`, `1h`; its value is milliseconds.
 *
 * @param most Milliseconds.
 */
export function duration(most: number): z.ZodType<number, string> {
  return parsed(`a duration from 1ms to ${formatDuration(most)}, such as 250ms, 10s, 5m or 1h`, (text) => {
    const [, digits = "", unit = ""] = /^(\d{1,12})(ms|s|m|h)$/.exec(text) ?? [];
    return digits === ""
      ? undefined
      : within(Number(digits) * UNIT_MS[unit as keyof typeof UNIT_MS], 1, most);
  });
}

/** A size: plain bytes, or `512KiB`, `1MiB`; its value is bytes. */
export function bytes(least: number, most: number): z.ZodType<number, string> {
  const allowed = `a size from ${formatBytes(least)} to ${
    formatBytes(most)
  }, in bytes or such as 512KiB or 1MiB`;
  return parsed(allowed, (text) => {
    const [, digits = "", unit = ""] = /^(\d{1,12})(KiB|MiB|)$/.exec(text) ?? [];
    return digits === ""
      ? undefined
      : within(Number(digits) * UNIT_BYTES[unit as keyof typeof UNIT_BYTES], least, most);
  });
}

/** One of a few words. */
export function choice<const W extends readonly string[]>(...words: W): z.ZodType<W[number], string> {
  return parsed(words.join(" or "), (text) => words.find((word) => word === text));
}

/** A host name or an IP address to listen on; brackets around IPv6 are taken off. */
export const hostName: z.ZodType<string, string> = parsed("an IP address or a host name", (text) => {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  return /^[A-Za-z0-9.:_-]{1,253}$/.test(bare) ? bare : undefined;
});

/** A file path, `:memory:` or an `http(s)` URL without credentials. */
export const storePath: z.ZodType<string, string> = parsed(
  "a file path, :memory:, or a KV Connect URL (http or https, its token in DENO_KV_ACCESS_TOKEN)",
  (text) => {
    if (text === "" || text.includes("\0")) return undefined;
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
    const url = URL.parse(text);
    const plain = url !== null && /^https?:$/.test(url.protocol) && url.username === "" &&
      url.password === "";
    return plain ? text : undefined;
  },
);

/**
 * A secret of at least `least` bytes. The message that refuses one does not repeat it.
 *
 * @param least Bytes.
 */
export function secret(least: number): z.ZodType<string, string> {
  return parsed(`at least ${least} random bytes, such as \`openssl rand -base64 32\` gives`, (text) => {
    return new TextEncoder().encode(text).length >= least ? text : undefined;
  });
}

/** As {@link secret}, and it can be sent as `Authorization: Bearer` (RFC 6750). @param least Bytes. */
export function bearerToken(least: number): z.ZodType<string, string> {
  return parsed(
    `${least} to ${BEARER_CHARACTERS} of the characters A-Z a-z 0-9 . _ ~ + / = -, such as \`openssl rand -base64 32\` gives`,
    (text) => {
      const fits = text.length >= least && text.length <= BEARER_CHARACTERS;
      return fits && /^[A-Za-z0-9._~+/=-]+$/.test(text) ? text : undefined;
    },
  );
}

/** What a node says who it is with. The message that refuses it does not repeat it. */
export const credential: z.ZodType<string, string> = parsed(
  `1 to ${AUTH_CHARACTERS} characters without spaces, such as a JWT`,
  (text) => text.length <= AUTH_CHARACTERS && /^\S+$/.test(text) ? text : undefined,
);

/** What a claim of a token is compared with. */
export const claimText: z.ZodType<string, string> = parsed("1 to 512 characters", (text) => {
  return text.length >= 1 && text.length <= 512 ? text : undefined;
});

/** An `https` URL without credentials; plain `http` on this machine only, since whoever answers decides who gets in. */
export const keySetUrl: z.ZodType<string, string> = parsed(
  "an https URL without credentials (http on a loopback address)",
  (text) => {
    const url = URL.parse(text);
    if (url === null || url.username !== "" || url.password !== "") return undefined;
    const local = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
    return url.protocol === "https:" || url.protocol === "http:" && local ? text : undefined;
  },
);

/** Whom to believe about addresses: `fly`, or a comma-separated list of addresses and networks. */
export const trustedProxies: z.ZodType<TrustedProxies, string> = parsed(
  "fly, or a comma-separated list of addresses and networks such as 10.0.0.0/8",
  (text): TrustedProxies | undefined => {
    if (text === "") return { kind: "none" };
    if (text === "fly") return { kind: "fly" };
    const networks = parseNetworks(text.split(",").map((part) => part.trim()));
    return networks === undefined ? undefined : { kind: "networks", networks };
  },
);

/** Named WebSocket servers; the message that refuses them says what is wrong and repeats no URL. */
export const upstreams: z.ZodType<readonly Upstream[], string> = z.string().transform((text, context) => {
  const result = parseUpstreams(text);
  if (result.ok) return result.named;
  const allowed = "a comma-separated list of NAME=URL such as chat=ws://127.0.0.1:9000/";
  context.addIssue({ code: "custom", message: `${allowed}; ${result.problem}` });
  return z.NEVER;
});

/** Named services of other servers; the message that refuses them says what is wrong and repeats no URL. */
export const remotes: z.ZodType<readonly Remote[], string> = z.string().transform((text, context) => {
  const result = parseRemotes(text);
  if (result.ok) return result.named;
  const allowed = "a comma-separated list of NAME=URL#SERVICE such as orders=https://orders.internal#orders";
  context.addIssue({ code: "custom", message: `${allowed}; ${result.problem}` });
  return z.NEVER;
});

/** A comma-separated list of origins, each as a browser would send it. */
export const origins: z.ZodType<string[], string> = parsed(
  "a comma-separated list of origins such as https://app.example or http://localhost:5173",
  (text) => {
    const found: string[] = [];
    for (const part of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
      const url = URL.parse(part);
      // A path, a query or credentials would never match what a browser sends.
      if (url === null || url.origin === "null" || `${url.origin}/` !== url.href) return undefined;
      found.push(url.origin);
    }
    return found;
  },
);

/** The size in the largest unit that states it exactly. */
export function formatBytes(size: number): string {
  if (size % MIB === 0) return `${size / MIB}MiB`;
  return size % 1024 === 0 ? `${size / 1024}KiB` : `${size}`;
}

function formatDuration(ms: number): string {
  const unit = (["h", "m", "s"] as const).find((unit) => ms % UNIT_MS[unit] === 0) ?? "ms";
  return `${ms / UNIT_MS[unit]}${unit}`;
}

function within(value: number, least: number, most: number): number | undefined {
  return value >= least && value <= most ? value : undefined;
}

function parsed<T>(allowed: string, parse: (text: string) => T | undefined): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: allowed });
    return z.NEVER;
  });
}
