import assert from "node:assert/strict";
import { MemoryPipe } from "../../src/conduit/memory_conduit.ts";
import { conduitContract } from "../contracts/conduit_contract.ts";
import { settle } from "../support/fake_clock.ts";
import { RecordingHandler } from "../support/recording_handler.ts";

const rethrow = (error: unknown) => {
  throw error;
};

conduitContract("memory conduit", () => {
  let errors = 0;
  const pipe = new MemoryPipe({ subprotocol: "holdfast.v1.msgpack", onError: () => errors++ });
  const handler = new RecordingHandler();
  const far = new RecordingHandler();
  pipe.left.listen(handler);
  pipe.right.listen(far);
  return Promise.resolve({
    conduit: pipe.left,
    handler,
    peer: {
      send: (frame) => pipe.right.send(frame),
      close: (code, reason) => pipe.right.close(code, reason),
      break: () => pipe.break(),
      stall: () => pipe.stall(),
      received: (count) => far.received(count),
      closed: () => far.closed(),
    },
    handlerErrors: () => errors,
    passCloseWait: settle,
    quiet: settle,
    dispose: () => {
      pipe.break();
      return settle();
    },
  });
});

Deno.test("what arrives at a memory conduit before anybody listens waits", async () => {
  const pipe = new MemoryPipe({ subprotocol: "holdfast.v1.json", onError: rethrow });
  pipe.left.send("early");
  pipe.left.close(4400, "moving");
  await settle();
  const late = new RecordingHandler();
  pipe.right.listen(late);
  assert.deepEqual(await late.closed(), { code: 4400, reason: "moving" });
  assert.deepEqual(late.frames, ["early"]);
});

Deno.test("an injected schedule decides when a memory conduit delivers", async () => {
  const deliveries: (() => void)[] = [];
  const pipe = new MemoryPipe({
    subprotocol: "holdfast.v1.json",
    schedule: (delivery) => deliveries.push(delivery),
    onError: rethrow,
  });
  const far = new RecordingHandler();
  pipe.right.listen(far);
  pipe.left.send("later");
  await settle();
  assert.deepEqual(far.frames, []);
  assert.equal(pipe.left.bufferedBytes, 5);
  for (const deliver of deliveries) deliver();
  assert.deepEqual(far.frames, ["later"]);
  assert.equal(pipe.left.bufferedBytes, 0);
});

Deno.test("a break loses what is under way", async () => {
  const pipe = new MemoryPipe({ subprotocol: "holdfast.v1.json", onError: rethrow });
  const far = new RecordingHandler();
  pipe.right.listen(far);
  pipe.left.send("lost");
  pipe.break();
  assert.equal((await far.closed()).code, 1006);
  assert.deepEqual(far.frames, []);
});

Deno.test("conduits' ids ascend", () => {
  const options = { subprotocol: "holdfast.v1.json", onError: rethrow } as const;
  const ids = [new MemoryPipe(options), new MemoryPipe(options)].flatMap((
    { left, right },
  ) => [left.id, right.id]);
  assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
  assert.equal(new Set(ids).size, 4);
});
