import assert from "node:assert/strict";
import { parseUpstreams } from "../../src/service/upstream_names.ts";

function problem(text: string): string {
  const result = parseUpstreams(text);
  assert.equal(result.ok, false, `accepted: ${text}`);
  return result.ok ? "" : result.problem;
}

Deno.test("upstreams are names with ws or wss URLs, in the order in which they stand", () => {
  assert.deepEqual(parseUpstreams("chat=ws://127.0.0.1:9000/socket, docs.v-2_x = wss://Docs.example?a=1=2"), {
    ok: true,
    named: [
      { name: "chat", url: "ws://127.0.0.1:9000/socket" },
      { name: "docs.v-2_x", url: "wss://docs.example/?a=1=2" },
    ],
  });
  assert.deepEqual(parseUpstreams(" "), { ok: true, named: [] });
});

Deno.test("a comma inside of a URL is written as %2C", () => {
  const result = parseUpstreams("a=ws://h/?x=1%2C2,b=ws://h/");
  assert.deepEqual(result.ok && result.named.map(({ url }) => url), ["ws://h/?x=1%2C2", "ws://h/"]);
});

Deno.test("what is wrong with the upstreams is said, by name or by place", () => {
  assert.equal(problem("chat"), "part 1 is no NAME=URL");
  assert.equal(problem("a=ws://h/,"), "part 2 is no NAME=URL");
  assert.equal(problem("Chat=ws://h/"), "the name of part 1 is not [a-z0-9._-]{1,48}");
  assert.equal(problem("=ws://h/"), "the name of part 1 is not [a-z0-9._-]{1,48}");
  assert.equal(problem(`${"x".repeat(49)}=ws://h/`), "the name of part 1 is not [a-z0-9._-]{1,48}");
  assert.equal(problem("a=ws://h/,a=ws://i/"), "a is there twice");
  assert.equal(problem("a=127.0.0.1:9000"), "the URL of a is none");
  assert.equal(problem("a="), "the URL of a is none");
  assert.equal(problem("a=http://h/"), "the URL of a begins with neither ws:// nor wss://");
  assert.equal(problem("a=ws://h/#x"), "the URL of a has a fragment");
  assert.equal(problem("a=ws://h/#"), "the URL of a has a fragment");
});

Deno.test("no problem repeats a part of a URL", () => {
  for (
    const text of [
      "a=wss://user:secret@h/#x",
      "a=https://user:secret@h/",
      "a=ws://h/?x=1,secret",
      "a=ws://h/?x=1,secret@h/?y=2",
    ]
  ) {
    assert.ok(!problem(text).includes("secret"), problem(text));
  }
});
