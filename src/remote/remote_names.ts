/** The setting `HOLDFAST_REMOTES`: which services of other Holdfast servers clients reach here, and by which names. */

import { type NamedUrls, parseNamedUrls } from "../service/named_urls.ts";

/** One service of another server that clients reach as `remote:NAME`. */
export interface Remote {
  readonly name: string;
  /** Where its server is: `http`, `https`, `ws` or `wss`, as for the SDK's `connect`; told to no client. */
  readonly url: string;
  /** What it is called there. */
  readonly service: string;
}

const SERVICE = /^[a-z0-9._:-]{1,64}$/;
const PROTOCOLS = new Set(["http:", "https:", "ws:", "wss:"]);

/** Reads `NAME=URL#SERVICE,NAME=URL` (`named_urls.ts`); without `#SERVICE` the service has the same name there. */
export function parseRemotes(text: string): NamedUrls<Remote> {
  return parseNamedUrls(text, (name, url) => {
    if (!PROTOCOLS.has(url.protocol)) return `the URL of ${name} begins with none of http, https, ws, wss`;
    if (url.username !== "" || url.password !== "") {
      return `the URL of ${name} holds credentials: they belong into HOLDFAST_REMOTE_TOKEN`;
    }
    const service = url.hash === "" ? name : url.hash.slice(1);
    if (!SERVICE.test(service)) return `the service of ${name} is not [a-z0-9._:-]{1,64}`;
    url.hash = "";
    return { name, url: url.href, service };
  });
}
