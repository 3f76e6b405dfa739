/** docs/operating.md is tested where it can rot: its table of settings. */

import assert from "node:assert/strict";
import { SETTINGS } from "../src/settings.ts";

const operating = await Deno.readTextFile(new URL("../docs/operating.md", import.meta.url));

Deno.test("the table of settings holds every setting with its default and its meaning, and no other", () => {
  const [, section = ""] = operating.split(/^## Settings$/m);
  const [table = ""] = section.split(/^## /m);
  const rows = [...table.matchAll(/^\| `([A-Z_]+)`\s*\| (.*?)\s*\| (.*?)\s*\|$/gm)].map(([, ...cells]) =>
    cells
  );
  const expected = Object.entries(SETTINGS).map(([name, { fallback, doc }]) => [
    name,
    fallback === undefined ? "" : fallback === "" ? "none" : `\`${fallback}\``,
    doc,
  ]);
  assert.deepEqual(rows, expected);
});

Deno.test("every setting that the chapters name exists", () => {
  for (const [name] of operating.matchAll(/\bHOLDFAST_[A-Z_]+\b/g)) assert.ok(name in SETTINGS, name);
});
