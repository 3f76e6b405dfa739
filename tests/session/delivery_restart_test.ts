import assert from "node:assert/strict";
import { newDelivery, peerKnows, reattach, secure, take } from "../../src/session/delivery_state.ts";

// @rule delivery.window
Deno.test("what a handshake told the peer opens the window, before any ack is sent", () => {
  const window = { messages: 4, bytes: 1000 };
  const state = newDelivery({ own: window, peer: window });
  for (const seq of [1, 2, 3]) assert.equal(take(state, seq, 10), "taken");
  secure(state, { taken: 3, sent: 0 }, 0);
  // The conduit broke before these three were acked; the next handshake stated `received: 3`.
  peerKnows(state, 3);
  reattach(state, { received: 0, sent: 3 });
  for (const seq of [4, 5, 6, 7]) assert.equal(take(state, seq, 10), "taken", `message ${seq}`);
  assert.equal(typeof take(state, 8, 10), "object", "message 8 is beyond the window");
});
