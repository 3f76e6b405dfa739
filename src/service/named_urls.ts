/** How settings name what lies elsewhere: `NAME=URL,NAME=URL`. */

/** What was read, or what is wrong; never with a URL in it. */
export type NamedUrls<T> =
  | { readonly ok: true; readonly named: readonly T[] }
  | { readonly ok: false; readonly problem: string };

/** With a prefix before it (`upstream:`, `remote:`), it is a service's name. */
const NAME = /^[a-z0-9._-]{1,48}$/;

/**
 * Reads `NAME=URL,NAME=URL`; nothing is none. White space around names and URLs is ignored; a comma inside of a URL is written
 * `%2C`. A problem names a name, or counts the parts: what stands there may be the rest of a URL, and so a secret.
 *
 * @param read What a name and its URL are, or what is wrong with the URL, in words that follow its name.
 */
export function parseNamedUrls<T extends object>(
  text: string,
  read: (name: string, url: URL) => T | string,
): NamedUrls<T> {
  const named = new Map<string, T>();
  if (text.trim() === "") return { ok: true, named: [] };
  for (const [index, part] of text.split(",").entries()) {
    const equals = part.indexOf("=");
    if (equals < 0) return wrong(`part ${index + 1} is no NAME=URL`);
    const name = part.slice(0, equals).trim();
    if (!NAME.test(name)) return wrong(`the name of part ${index + 1} is not [a-z0-9._-]{1,48}`);
    if (named.has(name)) return wrong(`${name} is there twice`);
    const url = URL.parse(part.slice(equals + 1).trim());
    if (url === null) return wrong(`the URL of ${name} is none`);
    const found = read(name, url);
    if (typeof found === "string") return wrong(found);
    named.set(name, found);
  }
  return { ok: true, named: [...named.values()] };
}

function wrong(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
