/** A fuzz run's verdict on memory: what a bounded server shows passes, and what a leaking one shows does not. */

import assert from "node:assert/strict";
import { SeededRandom } from "../support/seeded_random.ts";
import { memoryProblems } from "./resident.ts";

const MIB = 2 ** 20;
const MINUTES = 5;
const LOOKS = MINUTES * 60 * 4;

/** Looks of a run whose memory goes up to a plateau within its first third, with the garbage collector's teeth on it. */
function looks(leakPerMinute: number, plateau = 200): number[] {
  const random = new SeededRandom(5_503);
  return Array.from({ length: LOOKS }, (_, n) => {
    const risen = Math.min(1, 3 * n / LOOKS);
    const leaked = leakPerMinute * MINUTES * n / LOOKS;
    return MIB * (90 + (plateau - 90) * risen + leaked - random.int(50));
  });
}

Deno.test("memory that finds its size early and stays there is no problem", () => {
  assert.deepEqual(memoryProblems(looks(0), MINUTES * 60_000), []);
});

Deno.test("memory that goes on growing in the second half of a long run is a problem, though it is far from its bound", () => {
  const problems = memoryProblems(looks(30, 120), MINUTES * 60_000);
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /goes on growing/);
});

Deno.test("the growth at the beginning of a short run is none", () => {
  assert.deepEqual(memoryProblems(looks(0).slice(0, LOOKS / 5), MINUTES * 12_000), []);
});

Deno.test("memory beyond its bound is a problem in a run of any length", () => {
  assert.match(memoryProblems([90 * MIB, 600 * MIB, 90 * MIB], 750).join(), /600 MiB were resident/);
});
