/** The setting `HOLDFAST_UPSTREAMS`: which WebSocket servers clients reach, and by which names. */

/** One WebSocket server that clients reach as the service `upstream:NAME`. */
export interface Upstream {
  readonly name: string;
  /** `ws` or `wss`, without a fragment. It may hold credentials and is told to nobody. */
  readonly url: string;
}

/** The upstreams, or what is wrong; never with a URL in it. */
export type UpstreamsResult =
  | { readonly ok: true; readonly upstreams: readonly Upstream[] }
  | { readonly ok: false; readonly problem: string };

/** With `upstream:` before it, it is a service's name. */
const NAME = /^[a-z0-9._-]{1,48}$/;

/**
 * Reads `NAME=URL,NAME=URL`; nothing is no upstream. White space around names and URLs is ignored; a comma inside of a URL is
 * written `%2C`. A problem names an upstream, or counts the parts: what stands there may be the rest of a URL, and so a secret.
 */
export function parseUpstreams(text: string): UpstreamsResult {
  const upstreams = new Map<string, Upstream>();
  if (text.trim() === "") return { ok: true, upstreams: [] };
  for (const [index, part] of text.split(",").entries()) {
    const equals = part.indexOf("=");
    if (equals < 0) return wrong(`part ${index + 1} is no NAME=URL`);
    const name = part.slice(0, equals).trim();
    if (!NAME.test(name)) return wrong(`the name of part ${index + 1} is not [a-z0-9._-]{1,48}`);
    if (upstreams.has(name)) return wrong(`${name} is there twice`);
    const url = URL.parse(part.slice(equals + 1).trim());
    if (url === null) return wrong(`the URL of ${name} is none`);
    if (url.protocol !== "ws:" && url.protocol !== "wss:") {
      return wrong(`the URL of ${name} begins with neither ws:// nor wss://`);
    }
    if (url.href.includes("#")) return wrong(`the URL of ${name} has a fragment`);
    upstreams.set(name, { name, url: url.href });
  }
  return { ok: true, upstreams: [...upstreams.values()] };
}

function wrong(problem: string): UpstreamsResult {
  return { ok: false, problem };
}
