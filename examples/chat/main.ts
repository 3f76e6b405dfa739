/**
 * A chat that survives what happens to it: `deno task chat`, then open http://127.0.0.1:8080 in two windows.
 *
 * Say something, cut the wire, reload, `kill -9` the server and start it again: every line is there once, in the same order in all
 * windows. `examples/chat/terminal.ts` is the same in a terminal.
 */

import { Hono } from "hono";
import { serveStatic } from "hono/deno";
import { serve } from "../../src/serve.ts";
import { chat } from "./service.ts";

const pages = new Hono()
  .get("/page.js", serveStatic({ path: ".build/chat/page.js" }))
  .get("/page.css", serveStatic({ path: "examples/page.css" }))
  .get("/", serveStatic({ path: "examples/chat/page/index.html" }));

await serve({ services: [chat], pages, settings: { HOLDFAST_KV: "./data/chat.sqlite3" } });
