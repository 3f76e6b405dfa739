/** The pages: at `/` the one that runs the SDK in front of one's eyes, at `/admin` the operator's, with what they load. */

import { type Context, Hono } from "hono";
import { base64url } from "../src/system/random.ts";
import { problem } from "./problem.ts";

/** Where the page's files are. */
export interface PagesOptions {
  /** The hand-written files. */
  readonly source: URL;
  /** What `deno task build` wrote. */
  readonly built: URL;
}

const PAGES: PagesOptions = {
  source: new URL("./page/", import.meta.url),
  built: new URL("../.build/", import.meta.url),
};

const ADMIN_PAGES: PagesOptions = { ...PAGES, source: new URL("./admin/page/", import.meta.url) };

interface PageFile {
  readonly path: string;
  readonly in: keyof PagesOptions;
  readonly name: string;
  readonly type: string;
}

const HTML = "text/html; charset=utf-8";

const FILES: readonly PageFile[] = [
  { path: "/", in: "source", name: "index.html", type: HTML },
  { path: "/page.css", in: "source", name: "page.css", type: "text/css; charset=utf-8" },
  { path: "/icon.svg", in: "source", name: "icon.svg", type: "image/svg+xml" },
  { path: "/page.js", in: "built", name: "page.js", type: "text/javascript; charset=utf-8" },
];

const ADMIN_FILES: readonly PageFile[] = [
  { path: "/admin", in: "source", name: "index.html", type: HTML },
  // Whoever serves other pages than Holdfast's own still has this one.
  { path: "/admin/page.css", in: "source", name: "../../page/page.css", type: "text/css; charset=utf-8" },
  { path: "/admin.css", in: "source", name: "admin.css", type: "text/css; charset=utf-8" },
  { path: "/admin.js", in: "built", name: "admin.js", type: "text/javascript; charset=utf-8" },
];

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
  return serving(FILES, options);
}

/** The operator's page; it asks the admin API, which asks who is there. */
export function adminPages(options: PagesOptions = ADMIN_PAGES): Hono {
  return serving(ADMIN_FILES, options);
}

function serving(files: readonly PageFile[], options: PagesOptions): Hono {
  const routes = new Hono();
  const reads = files.map(({ in: folder, name }) => file(new URL(name, options[folder])));
  const script = reads[files.findIndex(({ in: folder }) => folder === "built")];
  for (const [index, { path, type }] of files.entries()) {
    const read = reads[index]!;
    routes.get(path, async (context) => {
      const served = await read();
      if (served === undefined || (type === HTML && await script?.() === undefined)) return notBuilt();
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
