import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { pages } from "../../routes/pages.ts";

async function withBuilt(run: (built: URL) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(pathToFileURL(`${folder}/`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const source = new URL("../../routes/page/", import.meta.url);

Deno.test("the page, its style, icon and script are served with their types", async () => {
  await withBuilt(async (built) => {
    await Deno.writeTextFile(new URL("page.js", built), "export {};");
    const routes = pages({ source, built });
    const types: Record<string, string | null> = {};
    for (const path of ["/", "/page.css", "/icon.svg", "/page.js"]) {
      const response = await routes.request(path);
      await response.body?.cancel();
      assert.equal(response.status, 200, path);
      types[path] = response.headers.get("content-type");
    }
    assert.deepEqual(types, {
      "/": "text/html; charset=utf-8",
      "/page.css": "text/css; charset=utf-8",
      "/icon.svg": "image/svg+xml",
      "/page.js": "text/javascript; charset=utf-8",
    });
  });
});

Deno.test("a browser that has the file already is told so by its ETag", async () => {
  const routes = pages({ source, built: source });
  const first = await routes.request("/page.css");
  const etag = first.headers.get("etag") ?? "";
  assert.match(etag, /^"[\w-]{22}"$/);
  assert.equal(first.headers.get("cache-control"), "no-cache");
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const again = await routes.request("/page.css", { headers: { "if-none-match": tag } });
    assert.deepEqual([again.status, again.headers.get("etag"), await again.text()], [304, etag, ""], tag);
  }
  assert.equal((await routes.request("/page.css", { headers: { "if-none-match": '"other"' } })).status, 200);
});

Deno.test("a page that was not built says so, and is served once it was", async () => {
  await withBuilt(async (built) => {
    const routes = pages({ source, built });
    for (const path of ["/", "/page.js"]) {
      const before = await routes.request(path);
      assert.equal(before.status, 503);
      assert.match((await before.json()).detail, /deno task build/);
    }
    await Deno.writeTextFile(new URL("page.js", built), "export {};");
    assert.equal((await routes.request("/")).status, 200);
    assert.equal((await routes.request("/page.js")).status, 200);
  });
});

Deno.test("the page asks nothing of another host and needs no inline script or style", async () => {
  const html = await Deno.readTextFile(new URL("index.html", source));
  const css = await Deno.readTextFile(new URL("page.css", source));
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]*)"/g)) assert.match(address!, /^\/(?!\/)/);
  assert.doesNotMatch(html, /\sstyle=|<style|\son[a-z]+=|<script(?![^>]*\ssrc=)/);
  assert.doesNotMatch(css, /@import|url\(/);
});
