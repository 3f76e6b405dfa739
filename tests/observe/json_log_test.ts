import assert from "node:assert/strict";
import { describeError, JsonLog } from "../../src/observe/json_log.ts";
import type { LogLevel } from "../../src/observe/log.ts";

function logAt(level: LogLevel): { log: JsonLog; lines: string[] } {
  const lines: string[] = [];
  const log = new JsonLog({ level, clock: { now: () => 0 }, write: (line) => void lines.push(line) });
  return { log, lines };
}

Deno.test("a log line is one JSON object with time, level, event and fields", () => {
  const { log, lines } = logAt("debug");
  log.warn("stale_token", { session: "a\nb", count: 2, first: false, absent: undefined });
  assert.equal(lines.length, 1);
  assert.ok(lines[0]?.endsWith("}\n"));
  assert.equal(lines[0]?.trim().includes("\n"), false);
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    event: "stale_token",
    session: "a\nb",
    count: 2,
    first: false,
  });
});

Deno.test("a field cannot pose as the time, the level or the event", () => {
  const { log, lines } = logAt("debug");
  log.info("real", { event: "forged", level: "error", time: "never" });
  assert.equal(
    lines[0],
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"real"}\n',
  );
});

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
for (const [rank, level] of LEVELS.entries()) {
  Deno.test(`at level ${level} a log writes that and what matters more`, () => {
    const { log, lines } = logAt(level);
    for (const each of LEVELS) log[each]("event");
    assert.deepEqual(lines.map((line) => JSON.parse(line).level), LEVELS.slice(rank));
  });
}

Deno.test("what was thrown is described in one bounded line with its place", () => {
  const described = describeError(new RangeError("too far"));
  assert.match(described, /^RangeError: too far at .*json_log_test\.ts/);
  assert.equal(describeError("plain"), "thrown: plain");
  assert.equal(describeError(undefined), "thrown: undefined");
  assert.ok(describeError(new Error("x".repeat(10_000))).length < 1_000);
});
