/** Which connection makes room, as a pure decision. */

import assert from "node:assert/strict";
import { OpenLines } from "../../routes/open_lines_state.ts";

Deno.test("above the limit the connection that waits longest makes room, and is known no more", () => {
  const lines = new OpenLines<string>(2);
  assert.equal(lines.opened("a"), undefined);
  assert.equal(lines.opened("b"), undefined);
  assert.equal(lines.opened("c"), "a");
  assert.equal(lines.opened("d"), "b");
  assert.equal(lines.size, 2);
});

Deno.test("a connection whose request is answered is spared, and idle from its answer on", () => {
  const lines = new OpenLines<string>(2);
  lines.opened("a");
  lines.opened("b");
  lines.asked("a");
  assert.equal(lines.opened("c"), "b");
  lines.answered("a");
  assert.equal(lines.opened("d"), "c");
  assert.equal(lines.opened("e"), "a");
});

Deno.test("of several requests on one connection all have to be answered before it is idle", () => {
  const lines = new OpenLines<string>(2);
  lines.opened("a");
  lines.asked("a");
  lines.asked("a");
  lines.answered("a");
  lines.opened("b");
  assert.equal(lines.opened("c"), "b");
});

Deno.test("a request that waits for its peer is not spared, however often a little more comes", () => {
  const lines = new OpenLines<string>(2);
  lines.opened("a");
  lines.asked("a");
  lines.opened("b");
  for (let drip = 0; drip < 10; drip++) {
    lines.waits("a", false);
    lines.waits("a", true);
  }
  assert.equal(lines.opened("c"), "a");
});

Deno.test("a new request is spared again after one that waited", () => {
  const lines = new OpenLines<string>(2);
  lines.opened("a");
  lines.asked("a");
  lines.waits("a", true);
  lines.answered("a");
  lines.asked("a");
  lines.opened("b");
  assert.equal(lines.opened("c"), "b");
});

Deno.test("where all are being answered the new connection is the one that goes", () => {
  const lines = new OpenLines<string>(2);
  for (const line of ["a", "b"]) {
    lines.opened(line);
    lines.asked(line);
  }
  assert.equal(lines.opened("c"), "c");
  assert.equal(lines.size, 2);
});

Deno.test("what is closed or became a WebSocket leaves its room to others", () => {
  const lines = new OpenLines<string>(2);
  lines.opened("a");
  lines.opened("b");
  lines.gone("a");
  lines.waits("a", true);
  lines.answered("a");
  assert.equal(lines.opened("c"), undefined);
  assert.equal(lines.size, 2);
});
