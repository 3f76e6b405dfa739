/** Handshakes per address: new ones by the second, resumes more generously, guesses not. */

import assert from "node:assert/strict";
import {
  countFailedResume,
  countHandshake,
  FAILED_RESUMES,
  FORGIVEN_AFTER_MS,
  MOST_ADDRESSES,
  newAddresses,
} from "../../src/access/address_state.ts";

const NOW = 1_000_000;
const A = "203.0.113.1";

Deno.test("an address has a second's worth of handshakes at once, then by the second, and hears when", () => {
  const state = newAddresses({ fresh: 2, resumes: 5 });
  const ask = (now: number) => countHandshake(state, A, "fresh", now);
  assert.deepEqual([ask(NOW), ask(NOW), ask(NOW)], [null, null, 500]);
  assert.equal(ask(NOW + 400), 100);
  assert.equal(ask(NOW + 500), null);
  assert.equal(countHandshake(state, "203.0.113.2", "fresh", NOW), null);
});

Deno.test("resumes have a bound of their own", () => {
  const state = newAddresses({ fresh: 1, resumes: 3 });
  countHandshake(state, A, "fresh", NOW);
  const resumes = Array.from({ length: 4 }, () => countHandshake(state, A, "resume", NOW));
  assert.deepEqual(resumes, [null, null, null, 334]);
});

Deno.test("after ten failed resumes an address counts as new, until none failed for a while", () => {
  const state = newAddresses({ fresh: 1, resumes: 100 });
  for (let i = 0; i < FAILED_RESUMES; i++) {
    assert.equal(countHandshake(state, A, "resume", NOW), null);
    countFailedResume(state, A, NOW);
  }
  assert.equal(countHandshake(state, A, "resume", NOW), null);
  assert.equal(countHandshake(state, A, "resume", NOW), 1000);
  const later = NOW + FORGIVEN_AFTER_MS;
  for (let i = 0; i < 50; i++) assert.equal(countHandshake(state, A, "resume", later), null);
});

Deno.test("a clock that is set back neither gives nor takes", () => {
  const state = newAddresses({ fresh: 1, resumes: 1 });
  assert.equal(countHandshake(state, A, "fresh", NOW), null);
  assert.equal(countHandshake(state, A, "fresh", NOW - 10_000), 1000);
  assert.equal(countHandshake(state, A, "fresh", NOW - 9_000), null);
});

Deno.test("addresses are remembered up to a bound, the quietest is forgotten first", () => {
  const state = newAddresses({ fresh: 1, resumes: 1 });
  for (let i = 0; i < MOST_ADDRESSES; i++) countHandshake(state, `a${i}`, "fresh", NOW);
  countHandshake(state, "a0", "fresh", NOW);
  countHandshake(state, "new", "fresh", NOW);
  assert.equal(state.addresses.size, MOST_ADDRESSES);
  assert.equal(state.addresses.has("a0"), true);
  assert.equal(state.addresses.has("a1"), false);
});
