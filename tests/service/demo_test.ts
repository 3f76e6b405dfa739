import assert from "node:assert/strict";
import { type BodyValue, encodeBody } from "../../src/protocol/body.ts";
import { RPC_CODES } from "../../src/protocol/rpc_codes.ts";
import { demoService, MOST_TOTALS } from "../../src/service/demo.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { type Did, FakeCall, type FakeCallOptions, FakeData, serve } from "../support/fake_served.ts";

const clock = new FakeClock();
const demo = demoService({ clock });

/** Serves one call to its end. */
async function called(
  method: string,
  input: BodyValue = null,
  options: FakeCallOptions = {},
): Promise<readonly Did[]> {
  const call = new FakeCall(method, { input, ...options });
  assert.equal(await serve(demo, call), undefined);
  return call.did;
}

/** The code with which a call fails; null if it does not. */
async function code(method: string, input: BodyValue, options: FakeCallOptions = {}): Promise<string | null> {
  const last = (await called(method, input, options)).at(-1);
  return last?.do === "fail" ? last.code : null;
}

const answer = (value: BodyValue): readonly Did[] => [{ do: "respond", value }];
const items = (...values: number[]): Did[] => values.map((value) => ({ do: "item", value }));

Deno.test("demo echoes any value", async () => {
  const value = { deep: [1n << 63n, Uint8Array.of(1), null, "é"] };
  assert.deepEqual(await called("echo", value), answer(value));
  assert.deepEqual(await called("echo"), answer(null));
});

Deno.test("demo adds to totals that everybody shares", async () => {
  const data = new FakeData();
  assert.deepEqual((await called("add", { name: "a", by: 2 }, { data })).at(-1), answer(2)[0]);
  assert.deepEqual((await called("add", { name: "a", by: -5 }, { data })).at(-1), answer(-3)[0]);
  assert.deepEqual(await called("get", { name: "a" }, { data }), answer(-3));
  assert.deepEqual(await called("get", { name: "b" }, { data }), answer(0));
  assert.equal(data.read("totals"), 1);
});

Deno.test("demo bounds what its totals come to, and how many there are", async () => {
  const data = new FakeData();
  data.values.set('["total","a"]', encodeBody(Number.MAX_SAFE_INTEGER));
  assert.equal(await code("add", { name: "a", by: 1 }, { data }), "failed-precondition");
  data.values.set('["totals"]', encodeBody(MOST_TOTALS));
  assert.equal(await code("add", { name: "b", by: 1 }, { data }), "resource-exhausted");
  assert.equal(await code("add", { name: "a", by: -1 }, { data }), null);
});

Deno.test("demo refuses arguments out of their bounds", async () => {
  const refused: [string, BodyValue][] = [
    ["add", { name: "", by: 1 }],
    ["add", { name: "n".repeat(65), by: 1 }],
    ["add", { name: "a", by: 1.5 }],
    ["add", { name: "a", by: 1e9 + 1 }],
    ["get", null],
    ["ticks", { count: 1_000_001 }],
    ["ticks", { count: -1 }],
    ["ticks", { count: 1, interval: 600_001 }],
    ["slow", { ms: 600_001 }],
    ["slow", { ms: -1 }],
    ["fail", { code: "no-such-code" }],
    ["whoami", 1],
  ];
  for (const [method, input] of refused) assert.equal(await code(method, input), "invalid-argument", method);
});

Deno.test("demo ticks at once, or with a pause before each but the first, and leaves no timer", async () => {
  assert.deepEqual(await called("ticks", { count: 3 }), [...items(1, 2, 3), ...answer(null)]);
  const call = new FakeCall("ticks", { input: { count: 3, interval: 1000 } });
  const served = serve(demo, call);
  await settle();
  assert.deepEqual(call.did, items(1));
  await clock.advance(999);
  assert.deepEqual(call.did, items(1));
  await clock.advance(1);
  assert.deepEqual(call.did, items(1, 2));
  await clock.advance(1000);
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, [...items(1, 2, 3), ...answer(null)]);
  assert.equal(clock.pending, 0);
});

Deno.test("demo's ticks go on behind those that are out", async () => {
  assert.deepEqual(await called("ticks", { count: 5 }, { itemsSent: 3 }), [...items(4, 5), ...answer(null)]);
  assert.deepEqual(await called("ticks", { count: 5 }, { itemsSent: 5 }), answer(null));
});

Deno.test("demo's ticks stop, and their timer with them, when the call is over", async () => {
  const call = new FakeCall("ticks", { input: { count: 3, interval: 1000 } });
  const served = serve(demo, call);
  await settle();
  assert.equal(clock.pending, 1);
  call.over();
  assert.equal(await served, undefined);
  assert.equal(clock.pending, 0);
  assert.deepEqual(call.did, items(1));
});

Deno.test("demo sums what is sent, and doubles it", async () => {
  const sum = new FakeCall("sum");
  sum.give(1, 2.5, -4);
  sum.finish();
  assert.equal(await serve(demo, sum), undefined);
  assert.deepEqual(sum.did, answer(-0.5));
  const pipe = new FakeCall("pipe");
  pipe.give(1, 2.5);
  pipe.finish();
  assert.equal(await serve(demo, pipe), undefined);
  assert.deepEqual(pipe.did, [...items(2, 5), ...answer(null)]);
  for (const method of ["sum", "pipe"]) {
    const large = new FakeCall(method);
    large.give(1e308, 1e308);
    assert.equal(await serve(demo, large), undefined);
    assert.equal((large.did[0] as { code?: string }).code, "invalid-argument");
  }
});

Deno.test("demo answers late, and stops waiting when the call is over", async () => {
  const call = new FakeCall("slow", { input: { ms: 500 } });
  const served = serve(demo, call);
  await clock.advance(499);
  assert.deepEqual(call.did, []);
  await clock.advance(1);
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, answer(null));

  const cancelled = new FakeCall("slow", { input: { ms: 500 } });
  const waiting = serve(demo, cancelled);
  cancelled.over();
  assert.equal(await waiting, undefined);
  assert.deepEqual(cancelled.did, []);
  const late = new FakeCall("slow", { input: { ms: 500 } });
  late.over();
  assert.equal(await serve(demo, late), undefined);
  assert.equal(clock.pending, 0);
});

Deno.test("demo fails with any code that is asked for", async () => {
  for (const each of RPC_CODES) assert.equal(await code("fail", { code: each }), each);
  assert.equal(await code("fail", null), "failed-precondition");
  assert.equal(await code("fail", {}), "failed-precondition");
});

Deno.test("demo says who is asking", async () => {
  assert.deepEqual(
    await called("whoami"),
    answer({ session: "session-1", principal: "alice", connection: 1 }),
  );
});
