import assert from "node:assert/strict";
import { parseRemotes } from "../../src/remote/remote_names.ts";

function problem(text: string): string {
  const result = parseRemotes(text);
  assert.equal(result.ok, false, `accepted: ${text}`);
  return result.ok ? "" : result.problem;
}

Deno.test("a remote is a name, a server, and what its service is called there", () => {
  assert.deepEqual(parseRemotes("orders=https://orders.internal, stock = ws://10.0.0.7:8080#stock:v2"), {
    ok: true,
    named: [
      { name: "orders", url: "https://orders.internal/", service: "orders" },
      { name: "stock", url: "ws://10.0.0.7:8080/", service: "stock:v2" },
    ],
  });
});

Deno.test("what is wrong with the remotes is said by name, and no URL is repeated", () => {
  assert.equal(problem("a=ftp://h/"), "the URL of a begins with none of http, https, ws, wss");
  assert.equal(problem("a=https://h/#No"), "the service of a is not [a-z0-9._:-]{1,64}");
  const held = problem("a=https://user:hidden@h/");
  assert.match(held, /holds credentials: they belong into HOLDFAST_REMOTE_TOKEN/);
  assert.ok(!held.includes("hidden"));
});
