/** README is tested where it can rot: its settings, its commands, its files. */

import assert from "node:assert/strict";
import { SETTINGS } from "../src/settings.ts";

const root = new URL("../", import.meta.url);
const readme = await Deno.readTextFile(new URL("README.md", root));

Deno.test("README's table holds every setting with its default, and no other", () => {
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)`\s*\| (.*?)\s*\|/gm)].map((
    [, name, shown],
  ) => [name, shown]);
  const expected = Object.entries(SETTINGS).map(([name, { fallback }]) => [
    name,
    fallback === undefined ? "" : fallback === "" ? "none" : `\`${fallback}\``,
  ]);
  assert.deepEqual(rows, expected);
});

Deno.test("README's tasks and files exist", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  for (const [, task] of readme.matchAll(/\btask ([a-z]+)/g)) assert.ok(task! in tasks, `task ${task}`);
  const files = [...readme.matchAll(/`((?:src|routes|docs|examples|tests|bench)\/[\w./]+)`/g)].map((
    [, path],
  ) => path!);
  assert.ok(files.length > 0);
  for (const path of files) await Deno.stat(new URL(path, root));
});
