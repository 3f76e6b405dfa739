import assert from "node:assert/strict";
import type { ClientEvent } from "../../src/client/client_events.ts";
import { newClient } from "../../src/client/client_model.ts";
import { step, wakeAt } from "../../src/client/client_state.ts";
import { exponentialBackoff } from "../../src/client/reconnect_policy.ts";
import { statedLimits } from "../support/fake_server.ts";
import { attachedClient } from "../support/client_fixture.ts";

// @rule keepalive.ping
Deno.test("a ping is answered with its nonce", async () => {
  const { line } = await attachedClient();
  await line.say({ kind: "ping", nonce: 7 }, { kind: "ping", nonce: 9 });
  assert.deepEqual(line.of("pong"), [{ kind: "pong", nonce: 7 }, { kind: "pong", nonce: 9 }]);
});

// @rule keepalive.silence
Deno.test("a conduit on which nothing at all is heard for interval and timeout is given up", async () => {
  const { session, server, clock, line } = await attachedClient();
  await clock.advance(32_000);
  assert.equal(line.of("ping").length, 1);
  await clock.advance(2_999);
  assert.equal(session.phase, "attached");
  await clock.advance(1);
  assert.equal(session.phase, "detached");
  assert.equal(line.closedWith?.code, 4409);
  await clock.advanceToNext();
  assert.equal(server.lines.length, 2);
});

// @rule keepalive.silence
Deno.test("whatever is heard keeps a conduit, also in answer to a probe", async () => {
  const { session, clock, line } = await attachedClient();
  for (let round = 0; round < 5; round++) {
    await clock.advance(33_000);
    await line.say({ kind: "ping", nonce: round });
  }
  assert.equal(session.phase, "attached");
});

Deno.test("a machine that slept asks before it gives up its conduit, and gives it up 3 s later", async () => {
  const { session, clock, line } = await attachedClient();
  clock.jump(3_600_000);
  await clock.advance(0);
  assert.equal(session.phase, "attached");
  assert.equal(line.of("ping").length, 1);
  await clock.advance(3_000);
  assert.equal(session.phase, "detached");
});

const SETTINGS = {
  requested: {},
  metadata: undefined,
  ownWindow: { messages: 1024, bytes: 1024 * 1024 },
  storedBytes: 8 * 1024 * 1024,
  stored: false,
  authenticated: false,
  repeatsOperations: false,
  reconnect: exponentialBackoff(),
};

/** A bare machine, with each event at a time of its own. */
function machine() {
  const state = newClient(SETTINGS, "challenge-challenge-challenge");
  const at = (now: number, event: Record<string, unknown> & { readonly kind: ClientEvent["kind"] }) => {
    const moment = { now, chance: 0.5 };
    const effects = step(state, { ...event, ...moment } as ClientEvent);
    return [...effects, ...step(state, { kind: "turn_ended", ...moment })];
  };
  return { state, at };
}

function attachedMachine() {
  const { state, at } = machine();
  at(0, { kind: "begin", backoff: false });
  at(0, { kind: "conduit_open", conduit: 1, challenge: "unused" });
  const established = {
    kind: "established",
    challenge: state.challenge,
    session: "s",
    token: "t",
    resumed: false,
    received: 0,
    sent: 0,
    durability: "durable",
    resumeWindow: 1000,
    keepalive: { interval: 25_000, timeout: 10_000 },
    limits: statedLimits(),
    node: "n",
  };
  at(0, { kind: "frame", conduit: 1, messages: [established] });
  assert.equal(state.attached?.conduit, 1);
  return { state, at };
}

Deno.test("a page that wakes, comes to the front or is online again probes its conduit, with 3 s to answer", () => {
  const { state, at } = attachedMachine();
  const [sent] = at(1_000, { kind: "nudge" });
  assert.deepEqual(sent, {
    kind: "transmit",
    conduit: 1,
    control: [{ kind: "ping", nonce: 1 }],
    messages: [],
  });
  assert.equal(wakeAt(state), 4_000);
  // A second nudge does not ask again, nor give more time.
  assert.deepEqual(at(2_000, { kind: "nudge" }), []);
  const effects = at(4_000, { kind: "woke" });
  assert.deepEqual(effects.map(({ kind }) => kind), ["close_conduit", "tell"]);
});

Deno.test("a probe that is answered costs nothing", () => {
  const { state, at } = attachedMachine();
  at(1_000, { kind: "nudge" });
  at(1_100, { kind: "frame", conduit: 1, messages: [{ kind: "pong", nonce: 1 }] });
  at(4_000, { kind: "woke" });
  assert.equal(state.attached?.conduit, 1);
});

Deno.test("a detached client that is nudged dials at once, but not in a storm", () => {
  const { state, at } = attachedMachine();
  state.attempt = 10;
  at(10_000, { kind: "conduit_closed", conduit: 1, code: 1006, reason: "" });
  state.attempt = 10;
  let dials = 0;
  let now = 10_000;
  for (let n = 0; n < 100; n++) {
    now += 50;
    dials += at(now, { kind: "nudge" }).filter(({ kind }) => kind === "dial").length;
    if (state.dialling !== null) {
      at(now, { kind: "conduit_closed", conduit: state.dialling.conduit, code: 1006, reason: "" });
    }
  }
  assert.ok(dials >= 3 && dials <= 6, `${dials} dials in 5 s`);
});

// @rule handshake.refused
Deno.test("a nudge keeps to retryAfter", () => {
  const { state, at } = machine();
  at(0, { kind: "begin", backoff: false });
  at(0, { kind: "conduit_open", conduit: 1, challenge: "unused" });
  const refused = { kind: "refused", reason: "unavailable", detail: "", retryAfter: 20_000 };
  at(0, { kind: "frame", conduit: 1, messages: [refused] });
  assert.deepEqual(at(5_000, { kind: "nudge" }), []);
  assert.equal(state.dialAt, 20_000);
  assert.equal(at(20_000, { kind: "woke" }).some(({ kind }) => kind === "dial"), true);
});

Deno.test("a machine that waits for nothing never asks to be woken in the past", () => {
  const { state, at } = attachedMachine();
  at(0, { kind: "close", reason: "bye", detail: "" });
  assert.ok((wakeAt(state) ?? 0) > 0);
});
