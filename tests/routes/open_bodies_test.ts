/** Which request makes room where too much of their bodies lies unread. */

import assert from "node:assert/strict";
import { OpenBodies } from "../../routes/open_bodies_state.ts";

Deno.test("the oldest bodies make room for a new one, as many as are too much, and are known no more", () => {
  const bodies = new OpenBodies<string>(100, 50);
  assert.deepEqual(bodies.opened("a", 30), []);
  assert.deepEqual(bodies.opened("b", 30), []);
  assert.deepEqual(bodies.opened("c", 40), []);
  assert.deepEqual(bodies.opened("d", 50), ["a", "b"]);
  assert.deepEqual(bodies.opened("e", 50), ["c"]);
});

Deno.test("a body counts with what can lie unread of it, however long it is or may become", () => {
  const bodies = new OpenBodies<string>(100, 50);
  assert.deepEqual(bodies.opened("long", 1_000_000), []);
  assert.deepEqual(bodies.opened("of any length", Infinity), []);
  assert.deepEqual(bodies.opened("another", 50), ["long"]);
});

Deno.test("a request without a body asks nobody for room, and what is gone leaves its own, once", () => {
  const bodies = new OpenBodies<string>(100, 50);
  bodies.opened("a", 50);
  bodies.opened("b", 50);
  assert.deepEqual(bodies.opened("no body", 0), []);
  bodies.gone("no body");
  bodies.gone("a");
  bodies.gone("a");
  assert.deepEqual(bodies.opened("c", 50), []);
  assert.deepEqual(bodies.opened("d", 50), ["b"]);
});
