/** The setting `HOLDFAST_UPSTREAMS`: which WebSocket servers clients reach, and by which names. */

import { type NamedUrls, parseNamedUrls } from "./named_urls.ts";

/** One WebSocket server that clients reach as the service `upstream:NAME`. */
export interface Upstream {
  readonly name: string;
  /** `ws` or `wss`, without a fragment. It may hold credentials and is told to nobody. */
  readonly url: string;
}

/** Reads `NAME=URL,NAME=URL` (`named_urls.ts`). */
export function parseUpstreams(text: string): NamedUrls<Upstream> {
  return parseNamedUrls(text, (name, url) => {
    if (url.protocol !== "ws:" && url.protocol !== "wss:") {
      return `the URL of ${name} begins with neither ws:// nor wss://`;
    }
    if (url.href.includes("#")) return `the URL of ${name} has a fragment`;
    return { name, url: url.href };
  });
}
