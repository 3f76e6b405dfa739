/** Judging handshakes: what is refused, with which reason, in which order. */

import assert from "node:assert/strict";
import type { Authentication } from "../../src/access/authenticator.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { judgeRepeat, judgeResume, judgeStart, judgeTombstone } from "../../src/session/admission_state.ts";
import { newSession, type SessionState } from "../../src/session/session_model.ts";
import { offerToken, proveToken } from "../../src/session/token_state.ts";
import { newStart } from "../support/raw_peer.ts";

const NOW = 5_000_000;

/** A proven session that is detached; its tokens are `old` (retired) and `now`. */
function session(idleTimeout: number | null = null): SessionState {
  const state = newSession({
    id: "s".repeat(22),
    principal: "",
    createdAt: NOW,
    challenge: "c",
    provisionalUntil: NOW + 60_000,
    settings: {
      durability: "durable",
      limits: DEFAULT_LIMITS,
      clientWindow: { messages: 1024, bytes: 1024 * 1024 },
      resumeWindow: 60_000,
      idleTimeout,
      keepalive: { interval: 25_000, timeout: 10_000 },
    },
  });
  for (const token of ["old", "now"]) {
    offerToken(state.tokens, token, null);
    proveToken(state.tokens, token);
  }
  return state;
}

function authenticated(principal: string): Authentication {
  return { ok: true, grant: { principal, expiresAt: null, services: null, limits: {}, admin: false } };
}

const NOBODY = authenticated("");
const UNKNOWN_KEY: Authentication = { ok: false, reason: "unauthorized", detail: "no such key" };

const RIGHT = {
  token: "now",
  authentication: NOBODY,
  counters: { received: 0, sent: 0 },
  settings: undefined,
};

// @rule handshake.version, handshake.challenge, handshake.settings
Deno.test("a start is judged by version, then challenge, then windows", () => {
  assert.equal(judgeStart(newStart(), DEFAULT_LIMITS), null);
  const wrong = { challenge: "x", settings: { windowMessages: 0 } };
  assert.equal(judgeStart(newStart({ ...wrong, version: 7 }), DEFAULT_LIMITS)?.reason, "unsupported-version");
  assert.match(judgeStart(newStart(wrong), DEFAULT_LIMITS)?.detail ?? "", /challenge/);
  assert.match(
    judgeStart(newStart({ settings: { windowMessages: 0 } }), DEFAULT_LIMITS)?.detail ?? "",
    /window/,
  );
  const windowBytes = 2 * DEFAULT_LIMITS.bodyBytes;
  assert.equal(judgeStart(newStart({ settings: { windowBytes } }), DEFAULT_LIMITS), null);
  assert.equal(
    judgeStart(newStart({ settings: { windowBytes: windowBytes - 1 } }), DEFAULT_LIMITS)?.reason,
    "malformed",
  );
});

// @rule handshake.order, resume.refused
Deno.test("a resume is judged by token, then credentials, then ending, then settings, then counters", () => {
  const wrong = {
    authentication: NOBODY,
    counters: { received: 9, sent: 0 },
    settings: { windowMessages: 3 },
  };
  const reasonFor = (token: string, now: number, authentication = NOBODY) =>
    judgeResume(session(), { ...wrong, authentication, token }, now)?.reason;
  assert.equal(reasonFor("nobody's", NOW + 70_000, UNKNOWN_KEY), "unknown-session");
  assert.equal(reasonFor("old", NOW + 70_000, UNKNOWN_KEY), "stale-token");
  assert.equal(reasonFor("now", NOW + 70_000, UNKNOWN_KEY), "unauthorized");
  assert.equal(reasonFor("now", NOW + 70_000), "expired");
  assert.equal(reasonFor("now", NOW), "settings-changed");
  assert.equal(
    judgeResume(session(), { ...wrong, token: "now", settings: undefined }, NOW)?.reason,
    "diverged",
  );
  assert.equal(judgeResume(session(), RIGHT, NOW), null);
});

// @rule resume.reauthorise
Deno.test("a resume must be its session's principal's, also where that has ended", () => {
  const other = { ...RIGHT, authentication: authenticated("mallory") };
  assert.equal(judgeResume(session(), other, NOW)?.reason, "unauthorized");
  const tombstone = {
    tokens: session().tokens,
    principal: "alice",
    reason: "closed",
    detail: "bye",
  } as const;
  assert.equal(judgeTombstone(tombstone, RIGHT).reason, "unauthorized");
  assert.equal(judgeTombstone(tombstone, { ...RIGHT, authentication: UNKNOWN_KEY }).reason, "unauthorized");
  const owner = { ...RIGHT, authentication: authenticated("alice") };
  assert.equal(judgeTombstone(tombstone, owner).reason, "closed");
});

// @rule resume.reauthorise
Deno.test("a resume that cannot be authenticated just now is told when to come back", () => {
  const authentication: Authentication = {
    ok: false,
    reason: "unavailable",
    detail: "no keys",
    retryAfter: 77,
  };
  const refusal = judgeResume(session(), { ...RIGHT, authentication }, NOW);
  assert.deepEqual(refusal, { reason: "unavailable", detail: "no keys", retryAfter: 77 });
});

Deno.test("judging changes nothing", () => {
  const state = session();
  const before = structuredClone(state);
  judgeResume(state, { ...RIGHT, counters: { received: 5, sent: 5 } }, NOW + 100_000);
  judgeRepeat(state, newStart(), NOW);
  assert.deepEqual(structuredClone(state), before);
});

// @rule end.close, resume.window
Deno.test("an end is told as closed with its reason, expiry and token reuse as themselves", () => {
  const told = (reason: "closed" | "idle" | "expired" | "token-reuse" | "protocol-error", token = "now") =>
    judgeTombstone({ tokens: session().tokens, principal: "", reason, detail: "why" }, { ...RIGHT, token });
  assert.deepEqual(told("closed"), { reason: "closed", detail: "why" });
  assert.deepEqual(told("idle"), { reason: "closed", detail: "idle: why" });
  assert.deepEqual(told("expired"), { reason: "expired", detail: "why" });
  assert.equal(told("token-reuse").reason, "token-reuse");
  assert.equal(told("protocol-error").reason, "closed");
  assert.equal(told("closed", "nobody's").reason, "unknown-session");
  assert.equal(told("closed", "old").reason, "stale-token");
});

// @rule end.idle
Deno.test("a session that is idle by now is told so though nobody ended it yet", () => {
  assert.match(judgeResume(session(1_000), RIGHT, NOW + 1_000)?.detail ?? "", /^idle/);
  assert.equal(judgeResume(session(1_000), RIGHT, NOW + 999), null);
});

// @rule handshake.challenge
Deno.test("a repeated start gets its session until that is proven, ends, or was asked for otherwise", () => {
  const fresh = session();
  fresh.tokens.current = null;
  assert.equal(judgeRepeat(fresh, newStart(), NOW), null);
  assert.equal(
    judgeRepeat(fresh, newStart({ settings: { windowMessages: 9 } }), NOW)?.reason,
    "settings-changed",
  );
  assert.equal(judgeRepeat(fresh, newStart(), NOW + 60_000)?.reason, "challenge-used");
  assert.equal(judgeRepeat(session(), newStart(), NOW)?.reason, "challenge-used");
});
