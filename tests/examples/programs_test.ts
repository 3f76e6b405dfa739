/** The examples without a page, each as its first lines say that it is run. */

import assert from "node:assert/strict";
import { Program } from "./program.ts";

const ROOT = new URL("../../", import.meta.url);

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

Deno.test("the counter's client gets each total and each number once, its server killed in the countdown", async () => {
  await using node = await Program.node("examples/counter/server.ts");
  await using client = new Program("examples/counter/client.ts", [node.url]);
  await client.line(/^4$/);
  await node.kill();
  await client.line(/^detached: /);
  await node.restart();
  await client.line(/^resumed$/);
  await client.line(/^total 0$/);
  assert.equal(await client.finish(), 0);
  assert.deepEqual(client.stdout.filter((line) => !/^(detached|resumed)/.test(line)), [
    "total 1",
    ...upTo(5).reverse().map(String),
    "total 0",
  ]);
});

Deno.test("count.ts gets each echo once, its server killed on the way", async () => {
  await using node = await Program.node("main.ts");
  await using client = new Program("examples/count.ts", [node.url]);
  await client.line(/^echo 3$/);
  await node.kill();
  await client.line(/^detached: /);
  await node.restart();
  await client.line(/^echo 12$/);
  assert.equal(await client.finish(), 0);
  assert.deepEqual(
    client.stdout.filter((line) => line.startsWith("echo")),
    upTo(12).map((number) => `echo ${number}`),
  );
});

Deno.test("by_hand.ts sends the lines that are typed, and prints what comes", async () => {
  await using node = await Program.node("main.ts");
  await using hand = new Program("examples/by_hand.ts", [`${node.url.replace("http", "ws")}/v1/connect`]);
  await hand.type('["start",{"version":1,"challenge":"by-hand-by-hand-by-hand-1"}]');
  await hand.line(/^< \["established",/);
  await hand.type('["open",1,1,{"service":"echo"}]');
  await hand.type('["message",2,1,"one"]');
  await hand.line(/^< \["message",2,1,"one"\]$/);
  await hand.type('["close",{"reason":"ended","detail":""}]');
  await hand.line(/^closed: 1000 closed$/);
});

Deno.test("the resumable proxy: one socket, twenty ticks in order, and a line that breaks meanwhile", async () => {
  await using proxy = new Program("examples/resumable_proxy.ts");
  await proxy.line(/server: the socket was closed with 1000$/);
  assert.equal(await proxy.finish(), 0);
  const said = (who: string) => proxy.stdout.flatMap((line) => line.trim().split(`${who}: `)[1] ?? []);
  assert.deepEqual(said("client"), [
    "open",
    ...upTo(20).map((tick) => `tick ${tick}`),
    "closed with 1000 seen enough",
  ]);
  assert.deepEqual(said("server"), ["socket 1 is open", "the socket was closed with 1000"]);
  assert.ok(said("line").filter((what) => what === "there again").length >= 2);
});

Deno.test("README shows the examples as they are, and names no other", async () => {
  const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
  const readme = await read("README.md");
  const [, server = ""] = (await read("examples/counter/server.ts")).split("*/\n\n");
  const [, calls = ""] = /^(const service[^]*?)\n\n/m.exec(await read("examples/counter/client.ts")) ?? [];
  for (const code of [server, calls]) {
    assert.ok(code.length > 100);
    assert.ok(readme.includes("```ts\n" + code.trim() + "\n```"), `README lacks\n${code}`);
  }
  for (const [, path = ""] of readme.matchAll(/\b(examples\/[\w/]+\.ts)\b/g)) {
    await Deno.stat(new URL(path, ROOT));
  }
});
