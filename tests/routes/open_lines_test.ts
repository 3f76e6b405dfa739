/** Which connection makes room, as a pure decision. */

import assert from "node:assert/strict";
import { OpenLines } from "../../routes/open_lines_state.ts";

/** Opens one more and gives the one that makes room, if one has to. */
function open(lines: OpenLines<string>, line: string): string | undefined {
  const tooMany = lines.opened(line);
  const chosen = lines.makeRoom();
  assert.equal(chosen.length, tooMany === "room" ? 0 : 1);
  return chosen[0];
}

Deno.test("above the limit the connection that waits longest makes room, and is known no more", () => {
  const lines = new OpenLines<string>(2);
  assert.equal(open(lines, "a"), undefined);
  assert.equal(open(lines, "b"), undefined);
  assert.equal(open(lines, "c"), "a");
  assert.equal(open(lines, "d"), "b");
  assert.equal(lines.size, 2);
});

Deno.test("a connection whose request is answered is spared, and idle from its answer on", () => {
  const lines = new OpenLines<string>(2);
  open(lines, "a");
  open(lines, "b");
  lines.asked("a");
  assert.equal(open(lines, "c"), "b");
  lines.answered("a");
  assert.equal(open(lines, "d"), "c");
  assert.equal(open(lines, "e"), "a");
});

Deno.test("of several requests on one connection all have to be answered before it is idle", () => {
  const lines = new OpenLines<string>(2);
  open(lines, "a");
  lines.asked("a");
  lines.asked("a");
  lines.answered("a");
  open(lines, "b");
  assert.equal(open(lines, "c"), "b");
});

Deno.test("a request that waits for its peer is not spared, however often a little more comes", () => {
  const lines = new OpenLines<string>(2);
  open(lines, "a");
  lines.asked("a");
  open(lines, "b");
  for (let drip = 0; drip < 10; drip++) {
    lines.waits("a", false);
    lines.waits("a", true);
  }
  assert.equal(open(lines, "c"), "a");
});

Deno.test("a new request is spared again after one that waited", () => {
  const lines = new OpenLines<string>(2);
  open(lines, "a");
  lines.asked("a");
  lines.waits("a", true);
  lines.answered("a");
  lines.asked("a");
  open(lines, "b");
  assert.equal(open(lines, "c"), "b");
});

Deno.test("where all are being answered the new connection is the one that goes", () => {
  const lines = new OpenLines<string>(2);
  for (const line of ["a", "b"]) {
    open(lines, line);
    lines.asked(line);
  }
  assert.equal(open(lines, "c"), "c");
  assert.equal(lines.size, 2);
});

Deno.test("what is closed or became a WebSocket leaves its room to others", () => {
  const lines = new OpenLines<string>(2);
  open(lines, "a");
  open(lines, "b");
  lines.gone("a");
  lines.waits("a", true);
  lines.answered("a");
  assert.equal(open(lines, "c"), undefined);
  assert.equal(lines.size, 2);
});

Deno.test("those that came at one moment make room together, and none that was asked something meanwhile", () => {
  const lines = new OpenLines<string>(1);
  for (const line of ["a", "b", "c"]) lines.opened(line);
  lines.asked("a");
  assert.deepEqual(lines.makeRoom(), ["b", "c"]);
  assert.deepEqual(lines.makeRoom(), []);
});

Deno.test("where there are half as many again nobody waits for what they may still send", () => {
  const lines = new OpenLines<string>(2);
  const makes = ["a", "b", "c", "d"].map((line) => lines.opened(line));
  assert.deepEqual(makes, ["room", "room", "soon", "now"]);
});
