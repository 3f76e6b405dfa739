/** The session machine: what leaves when, which conduit counts, and what a commit makes safe. */

import assert from "node:assert/strict";
import { encodeBody } from "../../src/protocol/body.ts";
import { splitEncoded } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { Message, SessionPayload } from "../../src/protocol/messages.ts";
import {
  newSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
} from "../../src/session/session_model.ts";
import { commitPoint, endingDue, endsAt, partsOf, step, wakeAt } from "../../src/session/session_state.ts";

const NOW = 1_000_000;

function session(settings: Partial<SessionState["settings"]> = {}): SessionState {
  return newSession({
    id: "s".repeat(22),
    principal: "",
    createdAt: NOW,
    challenge: "c",
    provisionalUntil: NOW + 60_000,
    settings: {
      durability: "durable",
      limits: DEFAULT_LIMITS,
      clientWindow: { messages: 1024, bytes: 1024 * 1024 },
      resumeWindow: 3_600_000,
      idleTimeout: null,
      keepalive: { interval: 25_000, timeout: 10_000 },
      ...settings,
    },
  });
}

/** One event and the end of its turn. */
function turn(state: SessionState, event: SessionEvent): SessionEffect[] {
  return [...step(state, event), ...step(state, { kind: "turn_ended", now: event.now })];
}

const FREE = { expiresAt: null, services: null };

function attach(state: SessionState, conduit: number, now = NOW): SessionEffect[] {
  const { received, sent } = { received: state.delivery.acked, sent: state.delivery.taken };
  return turn(state, {
    kind: "attach",
    node: "node-a",
    conduit,
    offered: `token-${conduit}`,
    used: null,
    access: FREE,
    peer: { received, sent },
    resumed: false,
    now,
  });
}

function commit(state: SessionState, now = NOW): SessionEffect[] {
  return turn(state, { kind: "committed", point: commitPoint(state), now });
}

function frame(state: SessionState, conduit: number, messages: Message[], now = NOW): SessionEffect[] {
  return turn(state, { kind: "frame", conduit, messages, now });
}

function attached(settings: Partial<SessionState["settings"]> = {}): SessionState {
  const state = session(settings);
  attach(state, 1);
  if (state.settings.durability === "durable") commit(state);
  return state;
}

function numbered(seq: number, payload: SessionPayload): Message {
  return { ...payload, seq, cost: 20 };
}

const kinds = (effects: SessionEffect[]) => effects.map(({ kind }) => kind);
const open = numbered(1, { kind: "open", connection: 1, service: "echo" });
const plain = (seq: number) => numbered(seq, { kind: "message", connection: 1, body: encodeBody(seq) });

// @rule resume.committed
Deno.test("established, acks and messages wait for the commit that holds them", () => {
  const state = session();
  assert.deepEqual(kinds(attach(state, 1)), ["commit"]);
  assert.deepEqual(kinds(commit(state)), ["established"]);
  assert.deepEqual(kinds(frame(state, 1, [open])), ["offer", "commit"]);
  assert.deepEqual(
    kinds(turn(state, { kind: "service", action: { do: "accept", connection: 1 }, now: NOW })),
    [
      "commit",
    ],
  );
  const [sent] = commit(state);
  assert.ok(sent?.kind === "transmit");
  assert.deepEqual(sent.ack, { kind: "ack", received: 1 });
  assert.deepEqual(sent.messages.map((bytes) => splitEncoded(bytes)[0]!.seq), [1]);
});

// @rule resume.committed
Deno.test("a commit makes safe only what it held", () => {
  const state = attached();
  frame(state, 1, [open]);
  step(state, { kind: "service", action: { do: "accept", connection: 1 }, now: NOW });
  const point = commitPoint(state);
  frame(state, 1, [plain(2)]);
  step(state, { kind: "service", action: { do: "send", connection: 1, body: encodeBody(1) }, now: NOW });
  const effects = turn(state, { kind: "committed", point, now: NOW });
  const sent = effects.find((effect) => effect.kind === "transmit");
  assert.ok(sent?.kind === "transmit");
  assert.equal(sent.ack?.received, 1);
  assert.equal(sent.messages.length, 1);
  assert.ok(kinds(effects).includes("commit"), "what happened since wants one more");
});

Deno.test("an ephemeral session commits nothing: what it holds is safe at the end of the turn", () => {
  const state = session({ durability: "ephemeral" });
  assert.deepEqual(kinds(attach(state, 1)), ["established"]);
});

// @rule resume.takeover
Deno.test("the older conduit is closed with the commit of the newer one, and not read or written from its attach on", () => {
  const state = attached();
  assert.deepEqual(kinds(attach(state, 2)), ["commit"]);
  assert.deepEqual(kinds(frame(state, 1, [open])), ["commit"]);
  assert.equal(state.delivery.taken, 0);
  const effects = commit(state);
  assert.deepEqual(kinds(effects), ["close_conduit", "established"]);
  assert.ok(effects[0]?.kind === "close_conduit" && effects[0].conduit === 1 && effects[0].code === 4510);
});

// @rule resume.takeover
Deno.test("a conduit that broke before its attach was committed leaves the session detached, the older one closed", () => {
  const state = attached();
  attach(state, 2);
  turn(state, { kind: "conduit_lost", conduit: 2, now: NOW });
  assert.equal(state.attached?.conduit, 1);
  assert.deepEqual(kinds(commit(state, NOW + 5)), ["close_conduit", "commit"]);
  assert.equal(state.attached, null);
  assert.equal(state.detachedAt, NOW + 5);
});

// @rule resume.takeover
Deno.test("what a replaced conduit delivers or reports changes nothing", () => {
  const state = attached();
  attach(state, 2);
  commit(state);
  const before = structuredClone(state);
  assert.deepEqual(frame(state, 1, [open]), []);
  assert.deepEqual(turn(state, { kind: "conduit_lost", conduit: 1, now: NOW }), []);
  assert.deepEqual(
    turn(state, {
      kind: "undecodable",
      conduit: 1,
      violation: { rule: "frame.batch", detail: "" },
      now: NOW,
    }),
    [],
  );
  assert.deepEqual(structuredClone(state), before);
});

// @rule resume.rotate, handshake.confirm
Deno.test("any frame on a conduit proves its token, and no other one's", () => {
  const state = attached();
  assert.equal(state.tokens.current, null);
  frame(state, 1, [{ kind: "ack", received: 0 }]);
  assert.equal(state.tokens.current, "token-1");
  commit(state);
  attach(state, 2);
  frame(state, 1, [{ kind: "ack", received: 0 }]);
  assert.equal(state.tokens.current, "token-1");
  commit(state);
  frame(state, 2, [{ kind: "ping", nonce: 1 }]);
  assert.equal(state.tokens.current, "token-2");
  assert.deepEqual(state.tokens.retired, ["token-1"]);
});

// @rule end.protocol
Deno.test("a protocol error tells the rule and ends the session; what follows in the frame is not looked at", () => {
  const state = attached();
  const effects = frame(state, 1, [plain(5), open]);
  assert.deepEqual(kinds(effects), ["violated", "send", "close_conduit", "ended", "commit"]);
  const [, close, conduit] = effects;
  assert.ok(close?.kind === "send" && close.message.kind === "close");
  assert.match(close.message.detail, /^delivery\.gap/);
  assert.ok(conduit?.kind === "close_conduit" && conduit.code === 4500);
  assert.deepEqual(kinds(frame(state, 1, [open])), ["commit"], "an ended session only waits for its commit");
});

// @rule end.close
Deno.test("a close of the client is never echoed; its conduit is closed when the end is committed", () => {
  const state = attached();
  const effects = frame(state, 1, [{ kind: "close", reason: "done", detail: "x" }]);
  assert.deepEqual(kinds(effects), ["ended", "commit"]);
  assert.deepEqual(kinds(commit(state)), ["close_conduit"]);
  assert.equal(state.ended?.detail, "done: x");
});

for (
  const message of [
    { kind: "established" },
    { kind: "refused", reason: "", detail: "" },
    { kind: "goaway", reason: "", after: 1 },
    { kind: "authorised" },
    { kind: "start", version: 1, challenge: "c" },
  ] as unknown as Message[]
) {
  // @rule handshake.first
  Deno.test(`${message.kind} from an established client is a protocol error`, () => {
    const effects = frame(attached(), 1, [message]);
    assert.ok(effects[0]?.kind === "violated" && effects[0].violation.rule === "handshake.first");
  });
}

// @rule keepalive.ping
Deno.test("a conduit that does not answer is closed with 4409 and the session is detached, not ended", () => {
  const state = attached();
  assert.equal(wakeAt(state), NOW + 25_000);
  const ping = turn(state, { kind: "woke", now: NOW + 25_000 });
  assert.ok(ping[0]?.kind === "send" && ping[0].message.kind === "ping");
  assert.equal(wakeAt(state), NOW + 35_000);
  const lost = turn(state, { kind: "woke", now: NOW + 35_000 });
  assert.ok(lost[0]?.kind === "close_conduit" && lost[0].code === 4409);
  assert.equal(state.detachedAt, NOW + 35_000);
  assert.equal(state.ended, null);
});

// @rule resume.window, end.idle
Deno.test("what the store's index says of a detached session's end is when it ends", () => {
  for (const idleTimeout of [null, 10_000]) {
    const state = attached({ idleTimeout });
    frame(state, 1, [open]);
    commit(state);
    turn(state, { kind: "conduit_lost", conduit: 1, now: NOW + 1_000 });
    const at = endsAt(state, NOW + 1_000);
    assert.equal(at, idleTimeout === null ? NOW + 1_000 + 3_600_000 : NOW + 10_000);
    assert.equal(wakeAt(state), at);
    assert.equal(endingDue(state, at - 1), null);
    assert.equal(endingDue(state, at)?.reason, idleTimeout === null ? "expired" : "idle");
    assert.ok(kinds(turn(state, { kind: "woke", now: at })).includes("ended"));
  }
});

// @rule handshake.challenge
Deno.test("a session of which no token was proven ends with its challenge, attached or not", () => {
  const state = attached();
  assert.equal(endingDue(state, NOW + 59_999), null);
  assert.equal(endingDue(state, NOW + 60_000)?.reason, "expired");
  frame(state, 1, [{ kind: "ack", received: 0 }]);
  assert.equal(endingDue(state, NOW + 60_000), null);
});

// @rule end.goaway
Deno.test("goaway is told to the conduit that is attached", () => {
  const told = turn(attached(), { kind: "go_away", reason: "draining", after: 500, now: NOW });
  assert.deepEqual(told, [
    { kind: "send", conduit: 1, message: { kind: "goaway", reason: "draining", after: 500 } },
  ]);
  assert.deepEqual(turn(session(), { kind: "go_away", reason: "draining", after: 500, now: NOW }), []);
});

// @rule delivery.dedupe
Deno.test("a duplicate has no effect, not even a commit", () => {
  const state = attached();
  frame(state, 1, [open]);
  commit(state);
  commit(state, NOW + 60);
  assert.deepEqual(frame(state, 1, [open]), []);
});

// @rule connection.order
Deno.test("a frame is taken apart into its messages, an empty one is still heard", () => {
  const messages = [open, plain(2), plain(3)];
  const parts = partsOf({ kind: "frame", conduit: 1, messages, now: NOW });
  assert.deepEqual(parts.flatMap((part) => part.kind === "frame" ? part.messages : []), messages);
  assert.equal(parts.length, 3);
  assert.equal(partsOf({ kind: "frame", conduit: 1, messages: [], now: NOW }).length, 1);
});

Deno.test("the machine's state is plain data", () => {
  const state = attached();
  frame(state, 1, [open, plain(2)]);
  assert.deepEqual(structuredClone(state), state);
});
