/**
 * An answer that goes on where it stopped: `deno task answer`, then open http://127.0.0.1:8080 and ask something.
 *
 * Reload the page in the middle, cut the wire, `kill -9` the server and start it again: the text ends up complete, and no word is
 * there twice.
 */

import { Hono } from "hono";
import { serveStatic } from "hono/deno";
import { serve } from "../../src/serve.ts";
import { answers } from "./service.ts";

const pages = new Hono()
  .get("/page.js", serveStatic({ path: ".build/answer/page.js" }))
  .get("/page.css", serveStatic({ path: "examples/page.css" }))
  .get("/", serveStatic({ path: "examples/answer/page/index.html" }));

await serve({ services: [answers], pages, settings: { HOLDFAST_KV: "./data/answer.sqlite3" } });
