/** `GET /`: the page that runs the SDK in front of one's eyes, with its script, style and icon. */

import { type Context, Hono } from "hono";
import { base64url } from "../src/system/random.ts";
import { problem } from "./problem.ts";

/** Where the page's files are. */
export interface PagesOptions {
  /** The hand-written files: `index.html`, `page.css`, `icon.svg`. */
  readonly source: URL;
  /** What `deno task build` wrote: `page.js`. */
  readonly built: URL;
}

const PAGES: PagesOptions = {
  source: new URL("./page/", import.meta.url),
  built: new URL("../.build/", import.meta.url),
};

const FILES = [
  { path: "/", in: "source", name: "index.html", type: "text/html; charset=utf-8" },
  { path: "/page.css", in: "source", name: "page.css", type: "text/css; charset=utf-8" },
  { path: "/icon.svg", in: "source", name: "icon.svg", type: "image/svg+xml" },
  { path: "/page.js", in: "built", name: "page.js", type: "text/javascript; charset=utf-8" },
] as const;

interface Served {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/**
 * The page's routes.
 *
 * Files are read once, at their first request. Their names stay, so browsers ask each time (`no-cache`) and mostly get
 * 304: nodes of two versions side by side then never serve one half of a page each for long. Where the script was not
 * built, it and the page that needs it are a 503 that says which command makes it, and it is looked for again next time.
 */
export function pages(options: PagesOptions = PAGES): Hono {
  const routes = new Hono();
  const script = file(new URL("page.js", options.built));
  for (const { path, in: folder, name, type } of FILES) {
    const read = folder === "built" ? script : file(new URL(name, options[folder]));
    routes.get(path, async (context) => {
      const served = await read();
      if (served === undefined || (path === "/" && await script() === undefined)) return notBuilt();
      return answer(context, served, type);
    });
  }
  return routes;
}

function file(url: URL): () => Promise<Served | undefined> {
  let served: Served | undefined;
  return async () => served ??= await read(url);
}

async function read(url: URL): Promise<Served | undefined> {
  let bytes;
  try {
    bytes = await Deno.readFile(url);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { bytes, etag: `"${base64url(digest.subarray(0, 16))}"` };
}

function answer(context: Context, { bytes, etag }: Served, type: string): Response {
  const headers = { etag, "cache-control": "no-cache" };
  if (names(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
  return context.body(bytes, 200, { ...headers, "content-type": type });
}

/** Whether an If-None-Match header names this version; comparison is the weak one (RFC 9110, 13.1.2). */
function names(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").map((tag) => tag.trim().replace(/^W\//, "")).some((tag) =>
    tag === etag || tag === "*"
  );
}

function notBuilt(): Response {
  return problem({
    status: 503,
    name: "page-not-built",
    title: "Page not built",
    detail:
      "the page's script is missing: `deno task build` makes it, and `deno task start` does so by itself",
  });
}
