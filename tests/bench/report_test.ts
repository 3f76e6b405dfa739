import assert from "node:assert/strict";
import { BOUNDS } from "../../bench/bounds.ts";
import { commitText } from "../../bench/commit.ts";
import { byConstructor, difference } from "../../bench/heap_profile.ts";
import { boundOf, missedReport, Witness } from "../../bench/missed.ts";
import { readOptions } from "../../bench/options.ts";
import { judge, type Measurements } from "../../bench/report.ts";
import { printed } from "../../bench/tables.ts";

Deno.test("a figure that misses its bound is never printed as the bound", () => {
  assert.equal(printed(0.998, 1, false), "0.998");
  assert.equal(printed(0.99996, 1, false), "0.99996");
  assert.equal(printed(0.998, 1, true), "1.00");
  assert.equal(printed(2.85, 3, false), "2.85");
  assert.equal(printed(256.2, 256, false, 0), "256.2");
});

/** Everything is missed by far. */
const MISSED: Measurements = (() => {
  const slow = { messagesPerSecond: 1, p50: 9, p99: 9, mutationsPerEcho: 9 };
  const fast = { ...slow, messagesPerSecond: 1_000 };
  const round = {
    ...{ bare: fast, naive: fast, ephemeral: slow, durable: slow },
    ...{ "call-ephemeral": slow, "transaction-own": slow, "download-ephemeral": slow },
  };
  const load = { shape: { sockets: 1, inFlight: 1 }, rounds: [round] };
  const weights = (bytes: number) => {
    const weight = { heap: bytes, resident: bytes };
    return { attached: weight, dropped: weight };
  };
  const transfer = { rate: 5_000_000, bytes: 1, milliseconds: 1, mostWaiting: 1, heap: 1e9, resident: 1e9 };
  const opened = { milliseconds: 1, bursts: 1 };
  return {
    machine: {},
    ...{ loaded: load, single: load, streams: load, calls: { loaded: load, single: load } },
    memory: { bare: weights(2_048), ephemeral: weights(99_999), durable: weights(102_400) },
    upstream: [{ ...transfer, residentAfter: 1 }],
    connections: (["ephemeral", "durable"] as const).flatMap((durability) => {
      return (["echo", "demo"] as const).map((service) => {
        return { durability, service, count: 1, fresh: 9_999, used: 9_999, opened };
      });
    }),
  };
})();

Deno.test("each target of the product's own parts that can be missed has an explanation", () => {
  const targets = judge(MISSED);
  assert.equal(targets.length, 23);
  for (const target of targets) {
    assert.equal(target.met, false, target.name);
    assert.notEqual(boundOf(BOUNDS, target), undefined, target.name);
  }
});

Deno.test("evidence is taken once, shown once, and where it fails its reason is shown", async () => {
  const witness = new Witness(() => {});
  let taken = 0;
  const look = () => {
    taken++;
    return Promise.resolve({ functions: [{ where: "step src/a.ts", share: 0.5 }] });
  };
  const evidence = await witness.take("durable", look);
  assert.equal(await witness.take("durable", look), evidence);
  assert.equal(taken, 1);
  const failed = await witness.take("ephemeral", () => Promise.reject(new Error("no processor")));
  const target = (name: string) => ({ name, wanted: "≥ 2 ×", measured: "1.00 ×", met: false });
  const text = missedReport([
    { target: target("one"), evidence },
    { target: target("other"), evidence },
    { target: target("third"), evidence: failed },
  ], [["o", "Its bound."]]).join("\n");
  assert.equal(text.split("step src/a.ts").length, 2);
  assert.match(text, /The profile is the one above, durable\./);
  assert.match(text, /What bounds it is said above, at “one”\./);
  assert.match(text, /Its profile \(ephemeral\) could not be taken: no processor\./);
});

Deno.test("a heap profile is what came between two snapshots, by constructor, for each session", () => {
  const fields = ["type", "name", "self_size"];
  const snapshot = (...nodes: number[]) => ({
    snapshot: { meta: { node_fields: fields, node_types: [["object", "closure"]] as const } },
    ...{ nodes, strings: ["", "Session", "onmessage"] },
  });
  const before = byConstructor(snapshot(0, 1, 100));
  const after = byConstructor(snapshot(0, 1, 100, 0, 1, 100, 0, 1, 120, 1, 2, 40));
  assert.deepEqual(difference(before, after, 2, 9), {
    bytes: 130,
    shares: [{ constructor: "Session", objects: 1, bytes: 110 }, {
      constructor: "(closure)",
      objects: 0.5,
      bytes: 20,
    }],
  });
});

Deno.test("a report names its commit, and says when the code is another one or cannot be told", () => {
  assert.equal(commitText("fcd1028", ""), "fcd1028");
  assert.equal(commitText("fcd1028", " M bench/main.ts"), "fcd1028 with uncommitted changes");
  assert.equal(commitText(undefined, undefined), "unknown");
});

Deno.test("the bench says how it is used, and refuses what it does not know in one line", () => {
  const help = readOptions(["--help"]);
  assert.ok(help.kind === "help" && help.text.includes("deno task bench --peers --write"));
  for (
    const args of [
      ["--colour"],
      ["rounds"],
      ["--rounds"],
      ["--rounds", "none"],
      ["--minutes", "0"],
      ["--only", "echo"],
      ["--systems", "websockets"],
      ["--profile", "socket.io"],
    ]
  ) {
    const asked = readOptions(args);
    assert.ok(asked.kind === "refused" && !asked.why.includes("\n"), args.join(" "));
  }
});

Deno.test("RESULTS.md is written by a run of everything only", () => {
  for (
    const args of [["--write"], ["--peers", "--write", "--only", "echo"], [
      "--peers",
      "--write",
      "--systems",
      "bare",
    ]]
  ) {
    assert.equal(readOptions(args).kind, "refused", args.join(" "));
  }
  const asked = readOptions(["--peers", "--write", "--minutes", "40"]);
  assert.ok(asked.kind === "run" && asked.options.write && asked.options.minutes === 40);
  assert.equal(asked.options.parts.length, 7);
  assert.equal(asked.options.contestParts.length, 7);
});
