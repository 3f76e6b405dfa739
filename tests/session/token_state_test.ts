/** Resume tokens: the machine, and the machine against a model that keeps every token ever issued. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  equalInConstantTime,
  judgeToken,
  newTokens,
  offerToken,
  proveToken,
} from "../../src/session/token_state.ts";

// @rule resume.rotate
Deno.test("a new session's successors are all valid until one is proven", () => {
  const tokens = newTokens();
  for (const hash of ["a", "b", "c"]) offerToken(tokens, hash, null);
  assert.deepEqual(["a", "b", "c", "d"].map((hash) => judgeToken(tokens, hash)), [
    "valid",
    "valid",
    "valid",
    "unknown",
  ]);
  assert.ok(proveToken(tokens, "b"));
  assert.deepEqual(["a", "b", "c"].map((hash) => judgeToken(tokens, hash)), ["stale", "valid", "stale"]);
});

// @rule resume.rotate
Deno.test("proving again, or proving what was never offered, changes nothing", () => {
  const tokens = newTokens();
  offerToken(tokens, "a", null);
  assert.ok(proveToken(tokens, "a"));
  const before = structuredClone(tokens);
  assert.ok(!proveToken(tokens, "a"));
  assert.ok(!proveToken(tokens, "never"));
  assert.deepEqual(tokens, before);
});

// @rule resume.rotate
Deno.test("the oldest beyond four successors is dropped, but never the token in use", () => {
  const tokens = newTokens();
  offerToken(tokens, "a", null);
  proveToken(tokens, "a");
  for (const hash of ["b", "c", "d", "e"]) offerToken(tokens, hash, "a");
  offerToken(tokens, "f", "b");
  assert.deepEqual(tokens.successors, ["b", "d", "e", "f"]);
  offerToken(tokens, "g", "a");
  assert.deepEqual(tokens.successors, ["d", "e", "f", "g"]);
  assert.equal(judgeToken(tokens, "a"), "valid");
});

// @rule resume.secret
Deno.test("hashes compare by all of their characters and by length", () => {
  assert.ok(equalInConstantTime("abc", "abc"));
  for (const other of ["abd", "bbc", "ab", "abca", ""]) assert.ok(!equalInConstantTime("abc", other), other);
});

// @rule resume.rotate
Deno.test("whatever is lost, the token that the client holds resumes, and a retired one never does", () => {
  const act = fc.constantFrom("resume_lost", "resume", "prove", "stale");
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
      const tokens = newTokens();
      let issued = 0;
      /** What the client holds; what its conduit offered it; whether that is proven. */
      let held = "";
      let retired: string[] = [];
      let living: string[] = [];
      const resume = (arrives: boolean) => {
        const hash = `t${++issued}`;
        const used = held === "" ? null : held;
        if (used !== null) assert.equal(judgeToken(tokens, used), "valid");
        offerToken(tokens, hash, used);
        living.push(hash);
        if (arrives) held = hash;
      };
      for (const what of acts) {
        if (what === "resume_lost") resume(false);
        else if (what === "resume") resume(true);
        else if (what === "prove" && held !== "") {
          if (!proveToken(tokens, held)) continue;
          retired = [...retired, ...living.filter((hash) => hash !== held)];
          living = [held];
        } else if (what === "stale") {
          for (const hash of retired) assert.notEqual(judgeToken(tokens, hash), "valid");
          assert.ok(tokens.successors.length <= 4);
          assert.ok(tokens.retired.length <= 8);
        }
      }
      if (held !== "") assert.equal(judgeToken(tokens, held), "valid");
      assert.equal(judgeToken(tokens, "never issued"), "unknown");
    }),
    { numRuns: 500, seed: 11 },
  );
});
