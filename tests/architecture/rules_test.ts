/** Every rule of `docs/protocol.md` is named by a test that would fail without it. */

import assert from "node:assert/strict";
import { ROOT, sourceFiles } from "./source_files.ts";

/**
 * Rules that this version does not serve yet, each with what it waits for. The list can only shrink: a rule that a test
 * names must leave it, and one that `docs/protocol.md` no longer has, too.
 */
const NOT_YET: Readonly<Record<string, string>> = {
  "connection.proxy": "comes with bridged connections",
};

const RULE = /\b(?:frame|handshake|delivery|resume|keepalive|end|connection|call|channel)\.[a-z][a-z-]*\b/g;

/** The ids that begin a rule: `- \`frame.route\`: …`, several in one line where they share a sentence. */
function stated(markdown: string): Set<string> {
  const ids = new Set<string>();
  for (const line of markdown.split("\n")) {
    const [head] = /^(?:[-*]|#+)\s+(?:\*\*)?`[a-z.-]+`(?:(?:,| and)\s*`[a-z.-]+`)*/.exec(line) ?? [];
    for (const [id] of (head ?? "").matchAll(RULE)) ids.add(id);
    // Two rules in one line: "`delivery.dedupe`: … `delivery.gap`: …".
    if (head !== undefined) { for (const [, id = ""] of line.matchAll(/`([a-z]+\.[a-z-]+)`:/g)) ids.add(id); }
  }
  return ids;
}

const RULES = stated(await Deno.readTextFile(`${ROOT}/docs/protocol.md`));
const TESTED = new Set<string>();
for (const { text } of sourceFiles("tests")) {
  for (const [, ids = ""] of text.matchAll(/^\s*\/\/ @rule (.+)$/gm)) {
    for (const [id] of ids.matchAll(RULE)) TESTED.add(id);
  }
}

Deno.test("every rule of the protocol is named by a test, or listed as not yet served", () => {
  assert.ok(RULES.size >= 50, `only ${RULES.size} rules were found in docs/protocol.md`);
  assert.deepEqual([...RULES].filter((id) => !TESTED.has(id) && !(id in NOT_YET)).sort(), []);
});

Deno.test("no rule is listed as not yet served once a test names it or the protocol dropped it", () => {
  assert.deepEqual(Object.keys(NOT_YET).filter((id) => TESTED.has(id) || !RULES.has(id)), []);
});

Deno.test("no test names a rule that the protocol does not have", () => {
  assert.deepEqual([...TESTED].filter((id) => !RULES.has(id)).sort(), []);
});
