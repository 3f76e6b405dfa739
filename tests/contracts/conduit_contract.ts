/** Every obligation of the `Conduit` port, run against each implementation. */

import assert from "node:assert/strict";
import type { Conduit } from "../../src/conduit/conduit.ts";
import type { Frame } from "../../src/protocol/codec.ts";
import type { Closing, RecordingHandler } from "../support/recording_handler.ts";

/** What is at the other end, and what can happen to the line. */
export interface Peer {
  send(frame: Frame): void;
  close(code: number, reason: string): void;
  /** Cuts the line without a close. */
  break(): void;
  /** Stops reading and answering, without a close. */
  stall(): void;
  received(count: number): Promise<readonly Frame[]>;
  closed(): Promise<Closing>;
}

/** One conduit under test. */
export interface Bench {
  readonly conduit: Conduit;
  readonly handler: RecordingHandler;
  readonly peer: Peer;
  /** Errors of handlers that the conduit's one error handler was given so far. */
  readonly handlerErrors: () => number;
  /** Lets pass the longest time within which a close must be reported. */
  passCloseWait(): Promise<void>;
  /** Resolves when what is under way has arrived. */
  quiet(): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Registers the contract's tests.
 *
 * @param name The implementation.
 * @param open A new conduit with its handler attached and its peer connected.
 */
export function conduitContract(name: string, open: () => Promise<Bench>): void {
  const obligation = (sentence: string, run: (bench: Bench) => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, async () => {
      const bench = await open();
      try {
        await run(bench);
      } finally {
        await bench.dispose();
      }
    });

  obligation("frames arrive whole, once and in order, both ways", async ({ conduit, handler, peer }) => {
    const frames = Array.from({ length: 200 }, (_, at) => new Uint8Array(at * 37 % 5000).fill(at));
    for (const frame of frames) peer.send(frame);
    for (const frame of frames) conduit.send(frame);
    assert.deepEqual([...await handler.received(frames.length)], frames);
    assert.deepEqual([...await peer.received(frames.length)], frames);
  });

  obligation("text stays text and bytes stay bytes", async ({ conduit, handler, peer }) => {
    peer.send("grüße 🌍");
    peer.send(Uint8Array.of(1, 2, 3));
    conduit.send("zurück 🌍");
    conduit.send(Uint8Array.of(4, 5, 6));
    assert.deepEqual([...await handler.received(2)], ["grüße 🌍", Uint8Array.of(1, 2, 3)]);
    assert.deepEqual([...await peer.received(2)], ["zurück 🌍", Uint8Array.of(4, 5, 6)]);
  });

  obligation("a sent frame's memory may be used again at once", async ({ conduit, peer }) => {
    const frame = Uint8Array.of(7, 7, 7);
    conduit.send(frame);
    frame.fill(0);
    assert.deepEqual([...await peer.received(1)], [Uint8Array.of(7, 7, 7)]);
  });

  obligation("a view of a larger buffer sends only what it shows", async ({ conduit, peer }) => {
    conduit.send(Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 3));
    assert.deepEqual([...await peer.received(1)], [Uint8Array.of(2, 3)]);
  });

  obligation("the peer's close is reported once, with its code and reason", async (bench) => {
    bench.peer.close(4321, "peer is done");
    assert.deepEqual(await bench.handler.closed(), { code: 4321, reason: "peer is done" });
    await bench.passCloseWait();
    assert.equal(bench.handler.closings.length, 1);
  });

  obligation("frames sent before a close arrive before it", async ({ conduit, peer }) => {
    for (let at = 0; at < 50; at++) conduit.send(Uint8Array.of(at));
    conduit.close(4400, "moving");
    assert.deepEqual(await peer.closed(), { code: 4400, reason: "moving" });
    assert.equal((await peer.received(50)).length, 50);
  });

  obligation("this side's close is reported once, to both", async (bench) => {
    bench.conduit.close(4500, "protocol-error");
    assert.equal((await bench.peer.closed()).code, 4500);
    assert.equal((await bench.handler.closed()).code, 4500);
    await bench.passCloseWait();
    assert.equal(bench.handler.closings.length, 1);
  });

  obligation("codes that the protocol closes with reach the peer", async ({ conduit, peer }) => {
    conduit.close(1012, "restart");
    assert.deepEqual(await peer.closed(), { code: 1012, reason: "restart" });
  });

  obligation("a close reason longer than 123 bytes is cut at a character", async ({ conduit, peer }) => {
    conduit.close(4500, "é".repeat(100));
    assert.deepEqual(await peer.closed(), { code: 4500, reason: "é".repeat(61) });
  });

  obligation("a line that is cut is reported as 1006, once", async (bench) => {
    bench.peer.break();
    assert.equal((await bench.handler.closed()).code, 1006);
    await bench.passCloseWait();
    assert.equal(bench.handler.closings.length, 1);
  });

  obligation("sending and closing after the end do nothing", async (bench) => {
    bench.peer.break();
    await bench.handler.closed();
    bench.conduit.send("late");
    bench.conduit.close(4400, "late");
    await bench.passCloseWait();
    assert.equal(bench.handler.closings.length, 1);
    assert.equal(bench.conduit.bufferedBytes, 0);
  });

  obligation("sending on a closing conduit does nothing", async ({ conduit, peer, handler }) => {
    conduit.close(4400, "moving");
    conduit.send("late");
    conduit.close(4500, "later");
    assert.equal((await peer.closed()).code, 4400);
    await handler.closed();
    assert.deepEqual([...await peer.received(0)], []);
  });

  obligation("frames that arrive after this side closed are not delivered", async (bench) => {
    bench.conduit.close(4400, "moving");
    for (let at = 0; at < 20; at++) bench.peer.send(`late ${at}`);
    await bench.handler.closed();
    assert.deepEqual(bench.handler.frames, []);
  });

  obligation("a peer that never answers a close cannot keep its end from being reported", async (bench) => {
    bench.peer.stall();
    bench.conduit.close(4409, "keepalive-timeout");
    await bench.passCloseWait();
    assert.equal((await bench.handler.closed()).code, 1006);
    assert.equal(bench.handler.closings.length, 1);
  });

  obligation("no callback runs inside send or close", async (bench) => {
    let inside = false;
    const calls: boolean[] = [];
    bench.handler.behave = () => void calls.push(inside);
    const onClose = bench.handler.onClose.bind(bench.handler);
    bench.handler.onClose = (code, reason) => {
      calls.push(inside);
      onClose(code, reason);
    };
    bench.peer.send("ping");
    await bench.quiet();
    inside = true;
    bench.conduit.send("x");
    bench.conduit.close(4400, "moving");
    inside = false;
    await bench.handler.closed();
    assert.ok(calls.length >= 1);
    assert.ok(!calls.includes(true));
  });

  obligation("a handler that throws is reported and costs its own conduit only", async (bench) => {
    bench.handler.behave = () => {
      throw new Error("broken handler");
    };
    bench.peer.send("boom");
    assert.equal((await bench.peer.closed()).code, 1011);
    await bench.handler.closed();
    assert.equal(bench.handlerErrors(), 1);
  });

  obligation("a handler that rejects is reported and costs its own conduit only", async (bench) => {
    bench.handler.behave = () => Promise.reject(new Error("broken async handler"));
    bench.peer.send("boom");
    assert.equal((await bench.peer.closed()).code, 1011);
    await bench.handler.closed();
    assert.equal(bench.handlerErrors(), 1);
  });

  obligation("a throw while the end is reported is reported itself", async (bench) => {
    const onClose = bench.handler.onClose.bind(bench.handler);
    bench.handler.onClose = (code, reason) => {
      onClose(code, reason);
      throw new Error("broken close handler");
    };
    bench.peer.close(4400, "bye");
    await bench.handler.closed();
    await bench.passCloseWait();
    assert.equal(bench.handlerErrors(), 1);
    assert.equal(bench.handler.closings.length, 1);
  });
}
