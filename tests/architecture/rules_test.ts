/** Every rule of `docs/protocol.md` is named by a test that would fail without it, and its tables are those of the code. */

import assert from "node:assert/strict";
import { closeCode, CONNECTION_REASONS, REASONS } from "../../src/protocol/reasons.ts";
import { adviceFor, RPC_CODES } from "../../src/protocol/rpc_codes.ts";
import { ROOT, sourceFiles } from "./source_files.ts";

/**
 * Rules that this version does not serve yet, each with what it waits for. The list can only shrink: a rule that a test
 * names must leave it, and one that `docs/protocol.md` no longer has, too.
 */
const NOT_YET: Readonly<Record<string, string>> = {};

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

const PROTOCOL = await Deno.readTextFile(`${ROOT}/docs/protocol.md`);
const RULES = stated(PROTOCOL);
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

/** The rows of the table whose header has these cells, without back quotes. */
function table(...header: string[]): string[][] {
  const cells = (line: string) => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", ""));
  const lines = PROTOCOL.split("\n");
  const found = lines.flatMap((line, i) =>
    line.startsWith("|") && JSON.stringify(cells(line)) === JSON.stringify(header) ? [i] : []
  );
  assert.equal(found.length, 1, `one table with the header ${header}`);
  const rows = lines.slice(found[0]! + 2);
  return rows.slice(0, rows.findIndex((line) => !line.startsWith("|"))).map(cells);
}

Deno.test("the protocol's table of reasons is the code's, close codes included", () => {
  assert.deepEqual(
    table("reason", "code", "when", "the client").map(([reason, code]) => [reason, Number(code)]),
    REASONS.map((reason) => [reason, closeCode(reason)]),
  );
});

Deno.test("the protocol's table of connections' reasons is the code's", () => {
  assert.deepEqual(table("reason", "when").map(([reason]) => reason), [...CONNECTION_REASONS]);
});

Deno.test("the protocol's table of calls' codes is the code's, with what a caller may do", () => {
  assert.deepEqual(
    table("code", "when", "the caller").map(([code, , advice]) => [code, advice]),
    RPC_CODES.map((code) => [code, adviceFor(code)]),
  );
});

Deno.test("every link within the protocol's text leads somewhere", () => {
  const anchors = new Set(
    [...PROTOCOL.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title.toLowerCase().replace(/[^a-z0-9 _-]/g, "").replaceAll(" ", "-")
    ),
  );
  const links = [...PROTOCOL.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = ""]) => anchor);
  assert.deepEqual(links.filter((anchor) => !anchors.has(anchor)), []);
});
