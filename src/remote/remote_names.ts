/** The setting `HOLDFAST_REMOTES`: which services of other Holdfast servers clients reach here, and by which names. */

/** One service of another server that clients reach as `remote:NAME`. */
export interface Remote {
  readonly name: string;
  /** Where its server is: `http`, `https`, `ws` or `wss`, as for the SDK's `connect`; told to no client. */
  readonly url: string;
  /** What it is called there. */
  readonly service: string;
}

/** The remotes, or what is wrong; never with a URL in it. */
export type RemotesResult =
  | { readonly ok: true; readonly remotes: readonly Remote[] }
  | { readonly ok: false; readonly problem: string };

/** With `remote:` before it, it is a service's name. */
const NAME = /^[a-z0-9._-]{1,48}$/;
const SERVICE = /^[a-z0-9._:-]{1,64}$/;
const PROTOCOLS = new Set(["http:", "https:", "ws:", "wss:"]);

/**
 * Reads `NAME=URL#SERVICE,NAME=URL`; without `#SERVICE` the service has the same name there. Nothing is no remote. White
 * space around names and URLs is ignored; a comma inside of a URL is written `%2C`.
 */
export function parseRemotes(text: string): RemotesResult {
  const remotes = new Map<string, Remote>();
  if (text.trim() === "") return { ok: true, remotes: [] };
  for (const [index, part] of text.split(",").entries()) {
    const equals = part.indexOf("=");
    if (equals < 0) return wrong(`part ${index + 1} is no NAME=URL`);
    const name = part.slice(0, equals).trim();
    if (!NAME.test(name)) return wrong(`the name of part ${index + 1} is not [a-z0-9._-]{1,48}`);
    if (remotes.has(name)) return wrong(`${name} is there twice`);
    const url = URL.parse(part.slice(equals + 1).trim());
    if (url === null) return wrong(`the URL of ${name} is none`);
    if (!PROTOCOLS.has(url.protocol)) {
      return wrong(`the URL of ${name} begins with none of http, https, ws, wss`);
    }
    if (url.username !== "" || url.password !== "") {
      return wrong(`the URL of ${name} holds credentials: they belong into HOLDFAST_REMOTE_TOKEN`);
    }
    const service = url.hash === "" ? name : url.hash.slice(1);
    if (!SERVICE.test(service)) return wrong(`the service of ${name} is not [a-z0-9._:-]{1,64}`);
    url.hash = "";
    remotes.set(name, { name, url: url.href, service });
  }
  return { ok: true, remotes: [...remotes.values()] };
}

function wrong(problem: string): RemotesResult {
  return { ok: false, problem };
}
