/** Which pages may open a session here: rule `frame.origin`. */

import { isLoopback } from "../src/settings.ts";

/** What the rule depends on beside the request. */
export interface OriginPolicy {
  /** The server listens on a loopback address: then a foreign Host is a page that rebound its DNS name to this machine. */
  readonly loopback: boolean;
  /** Serialised origins that are accepted in addition; their hosts may also be the Host. */
  readonly allowed: readonly string[];
}

/**
 * Why a request is refused by `frame.origin`; `undefined` if it is not.
 *
 * @param origin The Origin header; `null` when absent, as it is for clients that are no browsers.
 * @param host The Host header.
 */
export function refuseOrigin(
  origin: string | null,
  host: string | null,
  policy: OriginPolicy,
): string | undefined {
  const named = URL.parse(`http://${host ?? ""}`);
  if (named === null || host === null) return "the Host header is missing or malformed";
  if (
    policy.loopback && !isLoopback(named.hostname) && !hostsOf(policy.allowed).includes(host.toLowerCase())
  ) {
    return "the Host is not a loopback name, although the server listens on loopback only";
  }
  if (origin === null) return undefined;
  const from = URL.parse(origin);
  if (from === null || from.origin === "null") return "the Origin is not one that can be named";
  if (policy.allowed.includes(from.origin)) return undefined;
  // The default port depends on the scheme that the browser sees, which a proxy may have taken off.
  if (URL.parse(`${from.protocol}//${host}`)?.host === from.host) return undefined;
  return "the Origin is neither the Host nor one of HOLDFAST_ALLOWED_ORIGINS";
}

function hostsOf(origins: readonly string[]): string[] {
  return origins.flatMap((origin) => URL.parse(origin)?.host ?? []);
}
