/** The delivery machine alone, and two of them over a pipe that loses and breaks. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBody } from "../../src/protocol/body.ts";
import { splitEncoded } from "../../src/protocol/encode.ts";
import type { SessionPayload } from "../../src/protocol/messages.ts";
import * as delivery from "../../src/session/delivery_state.ts";

const WIDE = { messages: 1024, bytes: 1024 * 1024 };
const fresh = (own = WIDE, peer = WIDE) => delivery.newDelivery({ own, peer });

function message(text: string): SessionPayload {
  return { kind: "message", connection: 1, body: encodeBody(text) };
}

/** Numbers a message and makes it safe at once. */
function produce(state: delivery.DeliveryState, text: string): Uint8Array {
  const encoded = delivery.enqueue(state, message(text));
  secureAll(state);
  return encoded;
}

function secureAll(state: delivery.DeliveryState, now = 0): void {
  delivery.secure(state, { taken: state.taken, sent: state.sent }, now);
}

const seqs = (messages: readonly Uint8Array[]) => messages.map((bytes) => splitEncoded(bytes)[0]!.seq);

// @rule delivery.sequence
Deno.test("each direction numbers its messages 1, 2, 3, … from the first", () => {
  const state = fresh();
  for (let i = 0; i < 300; i++) produce(state, "x");
  assert.deepEqual(seqs(delivery.transmit(state)), Array.from({ length: 300 }, (_, i) => i + 1));
  assert.equal(state.sent, 300);
});

// @rule delivery.order, delivery.dedupe, delivery.gap
Deno.test("the receiver takes exactly the next number, drops lower ones and calls a gap a gap", () => {
  const state = fresh();
  assert.equal(delivery.take(state, 1, 10), "taken");
  assert.equal(delivery.take(state, 1, 10), "duplicate");
  assert.equal(delivery.take(state, 2, 10), "taken");
  assert.deepEqual(
    [delivery.take(state, 4, 10)].map((verdict) => typeof verdict === "object" && verdict.rule),
    ["delivery.gap"],
  );
  assert.equal(state.taken, 2);
});

// @rule delivery.ack
Deno.test("a stale ack is ignored and one beyond what was sent is a violation", () => {
  const state = fresh();
  for (const text of ["a", "b", "c"]) produce(state, text);
  delivery.transmit(state);
  assert.equal(delivery.acknowledge(state, 2), null);
  assert.equal(delivery.acknowledge(state, 1), null);
  assert.equal(state.acked, 2);
  assert.equal(delivery.acknowledge(state, 4)?.rule, "delivery.ack");
});

// @rule delivery.ack
Deno.test("an ack of what the present conduit was not given is a violation", () => {
  const state = fresh(WIDE, { messages: 1, bytes: 1000 });
  produce(state, "a");
  produce(state, "b");
  delivery.transmit(state);
  assert.equal(delivery.acknowledge(state, 2)?.rule, "delivery.ack");
});

// @rule delivery.ack
Deno.test("an ack is due after 64 messages, 64 KiB or 50 ms, and says only what is safe", () => {
  const state = fresh();
  assert.equal(delivery.ackDueAt(state), null);
  delivery.take(state, 1, 10);
  assert.equal(delivery.ackDueAt(state), null, "taken, not safe");
  secureAll(state, 1_000);
  assert.equal(delivery.ackDueAt(state), 1_050);
  for (let seq = 2; seq <= 64; seq++) delivery.take(state, seq, 10);
  secureAll(state, 1_010);
  assert.equal(delivery.ackDueAt(state), 0);
  delivery.take(state, 65, 10);
  assert.equal(delivery.tellReceived(state), 64);
  assert.equal(delivery.ackDueAt(state), null);
  secureAll(state, 2_000);
  assert.equal(delivery.ackDueAt(state), 2_050);
  delivery.take(state, 66, 70_000);
  assert.equal(delivery.ackDueAt(state), 0);
});

// @rule delivery.retain, resume.exchange
Deno.test("what is not acked is kept and sent again, unchanged, first and in order", () => {
  const state = fresh();
  const sent = ["a", "b", "c", "d"].map((text) => produce(state, text));
  delivery.transmit(state);
  delivery.acknowledge(state, 1);
  const newer = produce(state, "e");
  assert.equal(delivery.divergence(state, { received: 2, sent: 0 }), null);
  assert.equal(delivery.reattach(state, { received: 2, sent: 0 }), 3);
  assert.deepEqual(delivery.transmit(state), [sent[2], sent[3], newer]);
  assert.equal(delivery.retainedMessage(state, 2), undefined);
  assert.equal(delivery.retainedMessage(state, 3), sent[2]);
});

Deno.test("counters move with replay: a second recovery brings nothing twice", () => {
  const state = fresh();
  for (const text of ["a", "b", "c"]) produce(state, text);
  delivery.reattach(state, { received: 0, sent: 0 });
  assert.deepEqual(seqs(delivery.transmit(state)), [1, 2, 3]);
  delivery.acknowledge(state, 3);
  delivery.reattach(state, { received: 3, sent: 0 });
  assert.deepEqual(delivery.transmit(state), []);
});

// @rule resume.diverged
Deno.test("claims beyond what was sent, below what was acked, or short of what was taken diverge", () => {
  const state = fresh();
  for (const text of ["a", "b", "c"]) produce(state, text);
  delivery.transmit(state);
  delivery.acknowledge(state, 1);
  delivery.take(state, 1, 5);
  secureAll(state);
  assert.match(delivery.divergence(state, { received: 4, sent: 1 }) ?? "", /received 4 of 3/);
  assert.match(delivery.divergence(state, { received: 0, sent: 1 }) ?? "", /already acked 1/);
  assert.match(delivery.divergence(state, { received: 1, sent: 0 }) ?? "", /1 were received/);
  assert.equal(delivery.divergence(state, { received: 1, sent: 9 }), null);
});

// @rule delivery.window
Deno.test("a full window holds messages back, by count and by bytes, and never drops one", () => {
  const state = fresh(WIDE, { messages: 3, bytes: 100 });
  for (let i = 0; i < 5; i++) produce(state, "x");
  assert.deepEqual(seqs(delivery.transmit(state)), [1, 2, 3]);
  assert.ok(!delivery.hasRoom(state, 10));
  delivery.acknowledge(state, 2);
  assert.deepEqual(seqs(delivery.transmit(state)), [4, 5]);
  delivery.acknowledge(state, 5);
  assert.ok(delivery.hasRoom(state, 10));
  produce(state, "y".repeat(60));
  produce(state, "z".repeat(60));
  assert.deepEqual(seqs(delivery.transmit(state)), [6]);
  delivery.acknowledge(state, 6);
  assert.deepEqual(seqs(delivery.transmit(state)), [7]);
});

// @rule delivery.window
Deno.test("what is beyond this side's window is a violation, by count and by bytes", () => {
  const byCount = fresh({ messages: 2, bytes: 1000 });
  delivery.take(byCount, 1, 10);
  delivery.take(byCount, 2, 10);
  const third = delivery.take(byCount, 3, 10);
  assert.equal(typeof third === "object" && third.rule, "delivery.window");
  const byBytes = fresh({ messages: 10, bytes: 100 });
  delivery.take(byBytes, 1, 60);
  const second = delivery.take(byBytes, 2, 60);
  assert.equal(typeof second === "object" && second.rule, "delivery.window");
});

// @rule resume.committed
Deno.test("nothing is transmitted before it is secured", () => {
  const state = fresh();
  delivery.enqueue(state, message("a"));
  assert.deepEqual(delivery.transmit(state), []);
  delivery.secure(state, { taken: 0, sent: 1 }, 0);
  delivery.enqueue(state, message("b"));
  assert.deepEqual(seqs(delivery.transmit(state)), [1]);
  assert.match(delivery.divergence(state, { received: 2, sent: 0 }) ?? "", /of 1 sent/);
});

Deno.test("a restored delivery goes on where the kept one was", () => {
  const state = fresh();
  for (const text of ["a", "b", "c"]) produce(state, text);
  delivery.transmit(state);
  delivery.acknowledge(state, 1);
  delivery.take(state, 1, 7);
  secureAll(state);
  const retained = [2, 3].map((seq) => delivery.retainedMessage(state, seq)!);
  const restored = delivery.restoreDelivery({ own: WIDE, peer: WIDE }, { received: 1, acked: 1, retained });
  assert.equal(restored.retainedBytes, state.retainedBytes);
  delivery.reattach(restored, { received: 1, sent: 1 });
  assert.deepEqual(delivery.transmit(restored), retained);
  assert.equal(delivery.take(restored, 2, 7), "taken");
  produce(restored, "d");
  assert.deepEqual(seqs(delivery.transmit(restored)), [4]);
});

/** One end of the pipe of the model below. */
interface End {
  state: delivery.DeliveryState;
  readonly got: number[];
  produced: number;
}

type Wire = { readonly ack: number } | { readonly encoded: Uint8Array; readonly seq: number };

// @rule delivery.order, delivery.dedupe, delivery.window, resume.exchange, resume.repeat
Deno.test("two machines over a pipe that loses what is under way and breaks: exactly once, in order, inside the windows", () => {
  const window = { messages: 5, bytes: 200 };
  const act = fc.record({
    side: fc.boolean(),
    what: fc.constantFrom("produce", "produce", "flush", "deliver", "deliver", "secure", "break", "restore"),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 250 }), (acts) => {
      const ends: [End, End] = [
        { state: fresh(window, window), got: [], produced: 0 },
        { state: fresh(window, window), got: [], produced: 0 },
      ];
      let wires: [Wire[], Wire[]] = [[], []];
      const flush = (from: 0 | 1) => {
        const { state } = ends[from];
        if (delivery.ackDueAt(state) !== null) wires[from].push({ ack: delivery.tellReceived(state) });
        for (const encoded of delivery.transmit(state)) {
          wires[from].push({ encoded, seq: splitEncoded(encoded)[0]!.seq });
        }
        assert.ok(state.transmitted - state.acked <= window.messages);
        assert.ok(state.inFlightBytes <= window.bytes);
      };
      const deliver = (to: 0 | 1) => {
        const arrived = wires[1 - to as 0 | 1].shift();
        const end = ends[to];
        if (arrived === undefined) return;
        if ("ack" in arrived) return assert.equal(delivery.acknowledge(end.state, arrived.ack), null);
        const verdict = delivery.take(end.state, arrived.seq, arrived.encoded.length);
        assert.ok(verdict === "taken" || verdict === "duplicate", JSON.stringify(verdict));
        if (verdict === "taken") end.got.push(arrived.seq);
      };
      // What was taken and not secured is void after a break: the other side sends it again.
      const reconnect = () => {
        wires = [[], []];
        for (const end of ends) end.got.length = end.state.received;
        const counters = ends.map(({ state }) => ({ received: state.received, sent: state.secured }));
        for (const side of [0, 1] as const) {
          const { state } = ends[side];
          delivery.restartIncoming(state);
          assert.equal(delivery.divergence(state, counters[1 - side]!), null);
          delivery.reattach(state, counters[1 - side]!);
        }
      };
      for (const { side, what } of acts) {
        const index = side ? 1 : 0;
        const end = ends[index];
        if (what === "produce") {
          delivery.enqueue(end.state, message(`${++end.produced}`));
        } else if (what === "secure") secureAll(end.state);
        else if (what === "flush") flush(index);
        else if (what === "deliver") deliver(index);
        else if (what === "break") reconnect();
        else {
          // The end loses its memory and goes on with what it kept.
          const { state } = end;
          const kept = Array.from(
            { length: state.secured - state.acked },
            (_, i) => delivery.retainedMessage(state, state.acked + 1 + i)!,
          );
          const { received, acked } = state;
          end.state = delivery.restoreDelivery({ own: window, peer: window }, {
            received,
            acked,
            retained: kept,
          });
          end.produced = end.state.sent;
          reconnect();
        }
      }
      reconnect();
      for (let round = 0; round < 600; round++) {
        for (const side of [0, 1] as const) {
          secureAll(ends[side].state);
          flush(side);
          while (wires[1 - side as 0 | 1].length > 0) deliver(side);
        }
      }
      for (const side of [0, 1] as const) {
        const sent = ends[side].state.sent;
        assert.deepEqual(ends[1 - side]!.got, Array.from({ length: sent }, (_, i) => i + 1));
        assert.equal(ends[side].state.retainedBytes, 0);
        assert.equal(ends[side].state.inFlightBytes, 0);
      }
    }),
    { numRuns: 300, seed: 7 },
  );
});

Deno.test("messages that nobody was given are taken back, and those behind them move up, encodings included", () => {
  const windows = { own: { messages: 4, bytes: 1000 }, peer: { messages: 400, bytes: 100_000 } };
  const payload = (n: number) => ({ kind: "message", connection: 1, body: encodeBody(n) }) as const;
  const [with_, without] = [delivery.newDelivery(windows), delivery.newDelivery(windows)];
  for (let n = 1; n <= 300; n++) {
    delivery.enqueue(with_, payload(n));
    if (n <= 120 || n > 140) delivery.enqueue(without, payload(n));
  }
  delivery.secure(with_, { taken: 0, sent: 100 }, 0);
  delivery.transmit(with_);
  delivery.acknowledge(with_, 60);
  delivery.secure(without, { taken: 0, sent: 100 }, 0);
  delivery.transmit(without);
  delivery.acknowledge(without, 60);
  delivery.withdraw(with_, 121, 20);
  assert.equal(with_.sent, 280);
  assert.equal(with_.retainedBytes, without.retainedBytes);
  for (let seq = 61; seq <= 280; seq++) {
    assert.deepEqual(delivery.retainedMessage(with_, seq), delivery.retainedMessage(without, seq));
  }
  assert.throws(() => delivery.withdraw(with_, 100, 1), /not there to be taken back/);
  assert.throws(() => delivery.withdraw(with_, 280, 2), /not there to be taken back/);
});
