/** When to ping, and when to give a conduit up. */

import assert from "node:assert/strict";
import {
  answered,
  isSilent,
  keepaliveDue,
  keepaliveDueAt,
  newKeepalive,
  probe,
} from "../../src/session/keepalive_state.ts";

const SETTINGS = { interval: 25_000, timeout: 10_000 };

// @rule keepalive.ping
Deno.test("a ping is due when for an interval nothing was received, or nothing was sent", () => {
  const deaf = newKeepalive(0);
  deaf.spokeAt = 20_000;
  assert.equal(keepaliveDueAt(deaf, SETTINGS), 25_000);
  assert.deepEqual(keepaliveDue(deaf, SETTINGS, 24_999), { kind: "nothing" });
  assert.deepEqual(keepaliveDue(deaf, SETTINGS, 25_000), { kind: "ping", nonce: 1 });
  const mute = newKeepalive(0);
  mute.heardAt = 20_000;
  assert.equal(keepaliveDue(mute, SETTINGS, 25_000).kind, "ping");
});

// @rule keepalive.ping
Deno.test("a missing pong gives the conduit up, a wrong nonce does not answer", () => {
  const state = newKeepalive(0);
  keepaliveDue(state, SETTINGS, 25_000);
  answered(state, 99);
  assert.deepEqual(keepaliveDue(state, SETTINGS, 34_999), { kind: "nothing" });
  assert.deepEqual(keepaliveDue(state, SETTINGS, 35_000), { kind: "lost" });
});

// @rule keepalive.ping
Deno.test("an answered ping is followed by the next one an interval later, with another nonce", () => {
  const state = newKeepalive(0);
  keepaliveDue(state, SETTINGS, 25_000);
  state.heardAt = 26_000;
  answered(state, 1);
  assert.equal(keepaliveDueAt(state, SETTINGS), 50_000);
  assert.deepEqual(keepaliveDue(state, SETTINGS, 50_000), { kind: "ping", nonce: 2 });
});

// @rule keepalive.ping
Deno.test("either side may ping of its own accord, within a time of its own", () => {
  const state = newKeepalive(0);
  assert.equal(probe(state, 500, 1_000), 1);
  assert.equal(keepaliveDueAt(state, SETTINGS), 1_500);
  assert.equal(keepaliveDue(state, SETTINGS, 1_500).kind, "lost");
});

// @rule keepalive.silence
Deno.test("a conduit on which nothing at all was heard for interval and timeout is silent", () => {
  const state = newKeepalive(1_000);
  assert.ok(!isSilent(state, SETTINGS, 35_999));
  assert.ok(isSilent(state, SETTINGS, 36_000));
});
