import assert from "node:assert/strict";
import { compose, type Node, type NodeParts, StartError } from "../src/composition.ts";
import { defineService, method } from "../src/service/mod.ts";
import { readSettings } from "../src/settings.ts";
import { TestLog } from "./support/test_log.ts";

const hello = defineService({ name: "hello", methods: { greet: method({}, () => {}) } });

const log = new TestLog();

function composed(parts: Partial<NodeParts> = {}, env: Record<string, string> = {}): Promise<Node> {
  const read = readSettings({ PORT: "0", HOLDFAST_KV: ":memory:", ...env });
  assert.ok(read.ok);
  return compose(read.settings, { env, log, services: [], pages: undefined, ...parts });
}

Deno.test("pages of one's own are asked for what is nobody else's, with the same headers", async () => {
  const asked: string[] = [];
  const pages = {
    fetch(request: Request) {
      asked.push(`${request.method} ${new URL(request.url).pathname}`);
      return new Response("mine");
    },
  };
  const node = await composed({ services: [hello], pages });
  const { hostname, port } = await node.listen();
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`http://${hostname}:${port}${path}`, { method });
    return { response, text: await response.text() };
  };
  const { response, text } = await get("/");
  assert.equal(text, "mine");
  assert.match(response.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  await get("/a/path", "POST");
  for (
    const path of ["/healthz", "/readyz", "/metrics", "/v1/services", "/v1/connect", "/docs", "/icon.svg"]
  ) {
    assert.notEqual((await get(path)).text, "mine", path);
  }
  assert.deepEqual(
    JSON.parse((await get("/v1/services")).text).services.map(({ name }: { name: string }) => name),
    [
      ...["demo", "echo", "hello"],
    ],
  );
  assert.deepEqual(asked, ["GET /", "POST /a/path"]);
  await node.stop();
  log.verify();
});

Deno.test("a second service of one name is refused before anything is opened", async () => {
  await assert.rejects(
    composed({ services: [hello, hello] }),
    new TypeError("there are two services named hello"),
  );
  const echo = defineService({ name: "echo" });
  await assert.rejects(composed({ services: [echo] }), /two services named echo/);
});

Deno.test("a store that cannot be opened, and an address that is taken, are told in one line", async () => {
  const failed = await composed({}, { HOLDFAST_KV: "/dev/null/store.sqlite3" }).catch((error) => error);
  assert.ok(failed instanceof StartError);
  assert.match(failed.message, /^HOLDFAST_KV: the store cannot be opened: [^\n]+$/);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const node = await composed({}, { PORT: String(taken.addr.port) });
  const refused = await node.listen().catch((error) => error);
  assert.ok(refused instanceof StartError);
  assert.match(refused.message, /^PORT=\d+, HOLDFAST_HOST=127\.0\.0\.1: cannot listen: /);
  await node.stop();
  log.verify();
});
