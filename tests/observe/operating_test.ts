/** `docs/operating.md` is tested where it can rot: the metrics it names are those that there are. */

import assert from "node:assert/strict";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { describeNode } from "../../src/observe/node_metrics.ts";
import { type Family, parseExposition } from "../support/exposition_parser.ts";

const text = await Deno.readTextFile(new URL("../../docs/operating.md", import.meta.url));

function families(): Map<string, Family> {
  const counted = new CountedMetrics();
  counted.protocolError("delivery.gap");
  counted.called("demo", "add", "ok", 3);
  const commits = { atomics: 0, writes: 0, mutations: 0, conflicts: 0, unknown: 0 };
  const node = {
    ...{ attached: 0, detached: 0, operators: 0, conduits: 0, draining: false, outboxBytes: 0, commits },
    ...{ work: 0, heldBytes: 0, operations: 0, upstreamSockets: 0, remotes: { connections: 0, sessions: 0 } },
  };
  return parseExposition(describeNode(counted, node, { resident: 0, heap: 0, startedAt: 0 }));
}

/** The labels of a family beside those of the format itself. */
function labelsOf({ samples }: Family): string {
  const labels = new Set(samples.flatMap((sample) => [...sample.labels.keys()]));
  labels.delete("le");
  return [...labels].map((label) => `\`${label}\``).join(", ");
}

Deno.test("the table of metrics holds every metric with its type and labels, and no other", () => {
  const rows = [...text.matchAll(/^\| `((?:holdfast|process)_\w+)` +\| (\w+) +\| ([^|]*?) *\|/gm)];
  assert.deepEqual(
    rows.map(([, name, type, labels]) => [name, type, labels]).sort(),
    [...families().values()].map((family) => [family.name, family.type, labelsOf(family)]).sort(),
  );
});

Deno.test("every metric that an alert or a sentence names exists", () => {
  const known = families();
  for (const [name] of text.matchAll(/\b(holdfast|process)_[a-z_]+\b/g)) {
    const family = known.get(name) ?? known.get(name.replace(/_(bucket|sum|count)$/, ""));
    assert.ok(family !== undefined || name === "holdfast_data", `${name} is no metric`);
  }
});

Deno.test("every event that the table of logs names is logged somewhere", async () => {
  const [, table = ""] = /^\| event +\|[^\n]*\n([\s\S]*?)\n\n/m.exec(text) ?? [];
  const events = [...table.matchAll(/`([a-z_-]+)`/g)].map(([, event]) => event!);
  assert.ok(events.length > 10);
  const sources: string[] = [await Deno.readTextFile(new URL("../../main.ts", import.meta.url))];
  const read = async (folder: URL): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await read(new URL(`${name}/`, folder));
      else if (name.endsWith(".ts")) sources.push(await Deno.readTextFile(new URL(name, folder)));
    }
  };
  for (const folder of ["src", "routes"]) await read(new URL(`../../${folder}/`, import.meta.url));
  const code = sources.join("\n");
  for (const event of events) assert.ok(code.includes(`"${event}"`), `${event} is logged nowhere`);
});
