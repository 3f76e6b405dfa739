import assert from "node:assert/strict";
import { KeyedLock } from "../../src/system/keyed_lock.ts";

Deno.test("what is asked for one key runs in order, one at a time", async () => {
  const lock = new KeyedLock();
  const seen: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const runs = gates.map(({ promise }, i) =>
    lock.run("a", async () => {
      seen.push(`begin ${i}`);
      await promise;
      seen.push(`end ${i}`);
    })
  );
  gates[1]!.resolve();
  gates[0]!.resolve();
  await Promise.all(runs);
  assert.deepEqual(seen, ["begin 0", "end 0", "begin 1", "end 1"]);
});

Deno.test("different keys do not wait for each other", async () => {
  const lock = new KeyedLock();
  const gate = Promise.withResolvers<void>();
  const held = lock.run("a", () => gate.promise);
  assert.equal(await lock.run("b", () => Promise.resolve("done")), "done");
  gate.resolve();
  await held;
});

Deno.test("a failure is its caller's alone, and nothing is kept for a key that nobody wants", async () => {
  const lock = new KeyedLock();
  await assert.rejects(lock.run("a", () => Promise.reject(new Error("no"))), /no/);
  assert.equal(await lock.run("a", () => Promise.resolve(1)), 1);
  assert.equal(lock.size, 0);
});
