/** The golden scenarios of `tests/protocol/vectors`, against the multiplexer. */

import assert from "node:assert/strict";
import { type Scenario, SCENARIOS } from "../protocol/vectors/source_scenarios.ts";
import scenarios from "../protocol/vectors/scenarios.json" with { type: "json" };
import { type ScenarioAction, ScenarioSide } from "./scenario_side.ts";

/** What a vector says, with each "*" in it taken for whatever there is. */
function like(actual: unknown, expected: unknown): unknown {
  if (expected === "*") return typeof actual === "string" && actual !== "" ? "*" : actual;
  if (typeof actual !== "object" || typeof expected !== "object" || actual === null || expected === null) {
    return actual;
  }
  if (Array.isArray(actual)) return actual.map((each, i) => like(each, (expected as unknown[])[i]));
  return Object.fromEntries(
    Object.entries(actual).map((
      [key, each],
    ) => [key, like(each, (expected as Record<string, unknown>)[key])]),
  );
}

function run({ name, side, settings, steps }: Scenario, afterEach: (side: ScenarioSide) => void): void {
  const tested = new ScenarioSide(side, settings);
  for (const [i, step] of steps.entries()) {
    const where = `${name}, step ${i + 1}: ${JSON.stringify(step)}`;
    if ("send" in step) step.send.forEach((message) => tested.receive(message));
    else if ("do" in step) tested.perform(step.do as ScenarioAction);
    else if ("advance" in step) tested.advance(step.advance);
    else if ("expect" in step) {
      const sent = tested.takeSent();
      assert.deepEqual(like(sent, step.expect), step.expect, where);
    } else if ("hear" in step) {
      assert.deepEqual(tested.takeHeard(), step.hear, where);
    } else {
      assert.equal(tested.violated, step.violation, where);
      assert.equal(i, steps.length - 1, "nothing comes after a violation");
      continue;
    }
    assert.ok(tested.violated === null || i === steps.length - 2 && "violation" in steps.at(-1)!, where);
    afterEach(tested);
  }
  assert.deepEqual(tested.takeSent(), [], `${name}: nothing is sent that is not expected`);
}

// @rule connection.open
// @rule connection.early
// @rule connection.order
// @rule connection.end
// @rule connection.credit
// @rule call.once
// @rule call.cancel
// @rule call.timeout
// @rule call.limit
// @rule channel.credit
// @rule channel.order
// @rule channel.finish
// @rule channel.reset
// @rule frame.ids
// @rule frame.body
Deno.test("each scenario of the vectors comes to what it says", () => {
  for (const scenario of scenarios as unknown as readonly Scenario[]) run(scenario, () => {});
});

// @rule channel.resume
Deno.test("and comes to the same if its side is read back from the store after each step", () => {
  for (const scenario of scenarios as unknown as readonly Scenario[]) run(scenario, (side) => side.store());
});

Deno.test("the scenarios are those of their source, with names of their own", () => {
  assert.deepEqual(scenarios, JSON.parse(JSON.stringify(SCENARIOS)));
  assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length);
});

Deno.test("every rule of calls and channels that one side shows alone has scenarios, and each scenario names rules that there are", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/protocol.md", import.meta.url));
  const named = new Set(scenarios.flatMap(({ rules }) => rules));
  for (const rule of named) assert.ok(text.includes(`\`${rule}\``), rule);
  const shown = [
    ...["connection.open", "connection.early", "connection.order", "connection.end", "connection.credit"],
    ...["call.once", "call.cancel", "call.timeout", "call.limit"],
    ...["channel.credit", "channel.order", "channel.finish", "channel.reset", "frame.ids", "frame.body"],
  ];
  assert.deepEqual(shown.filter((rule) => !named.has(rule)), []);
  for (
    const rule of [
      ...["call.limit", "call.once", "channel.credit", "channel.order"],
      ...["connection.early", "connection.credit", "connection.open"],
    ]
  ) {
    const violations = scenarios.map(({ steps }) => steps.at(-1)).filter((step) =>
      step !== undefined && "violation" in step && step.violation === rule
    );
    assert.notEqual(violations.length, 0, rule);
  }
});
