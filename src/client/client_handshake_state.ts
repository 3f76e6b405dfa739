/** The part of the client's machine that has conduits: dialling, the handshake, moving, losing one and coming back. */

import { PROTOCOL_VERSION } from "../protocol/limits.ts";
import type { Established, Message, Refused } from "../protocol/messages.ts";
import {
  closeCode,
  type Instruction,
  instructionFor,
  instructionForCode,
  isReason,
} from "../protocol/reasons.ts";
import * as delivery from "../session/delivery_state.ts";
import { newKeepalive } from "../session/keepalive_state.ts";
import { endSession, failOver } from "./client_ending_state.ts";
import type { ClientEffect, ClientEvent, Moment } from "./client_events.ts";
import { type ClientState, progressed } from "./client_model.ts";

/** How long a conduit may take to open, and then to be answered; milliseconds. The server gives up after 10 s itself. */
export const DIAL_TIMEOUT_MS = 10_000;
export const HANDSHAKE_TIMEOUT_MS = 12_000;
/** A conduit that lived this long was good, whatever it carried; milliseconds. */
const GOOD_AFTER_MS = 5_000;
/** A WebSocket's normal closure; to the server no more than a break (`end.close`). */
const NORMAL_CLOSURE = 1000;

/** Why a conduit is gone. */
export interface Cause {
  readonly code: number;
  readonly reason: string;
}

/** Dials, unless that is under way or unwanted. */
export function dial(state: ClientState, { now }: Moment, effects: ClientEffect[]): void {
  state.dialAt = null;
  if (state.offline || state.dialling !== null) return;
  const conduit = ++state.lastConduit;
  state.lastDialAt = now;
  state.dials++;
  state.dialling = {
    conduit,
    stage: "connecting",
    challenge: "",
    auth: undefined,
    until: now + DIAL_TIMEOUT_MS,
    stated: 0,
    refusal: null,
  };
  if (state.attached === null) {
    effects.push({ kind: "tell", name: "connecting", details: { attempt: state.dials } });
  }
  effects.push({ kind: "dial", conduit });
}

/** Dials after a backoff: what came before was refused. */
export function dialLater(state: ClientState, { now, chance }: Moment): void {
  const delay = state.settings.reconnect({ attempt: state.attempt++, fraction: chance, retryAfter: null });
  if (delay !== null) state.dialAt = now + delay;
}

/** Sends `start` once the credentials are there and what it carries is stored. After it nothing is sent until the answer. */
export function sendStart(state: ClientState, effects: ClientEffect[]): void {
  const { dialling, identity, settings } = state;
  if (dialling?.stage !== "asking" || state.storedChanges === 0) return;
  if (settings.authenticated && dialling.auth === undefined) return;
  dialling.stage = "handshaking";
  const { received, secured: sent } = state.delivery;
  dialling.stated = received;
  effects.push({
    kind: "transmit",
    conduit: dialling.conduit,
    control: [{
      kind: "start",
      version: PROTOCOL_VERSION,
      challenge: dialling.challenge,
      ...(identity === null
        ? {}
        : { resume: { session: identity.session, token: identity.token, received, sent } }),
      ...(dialling.auth === undefined ? {} : { auth: dialling.auth }),
      ...(settings.metadata === undefined ? {} : { metadata: settings.metadata }),
      settings: settings.requested,
    }],
    messages: [],
  });
}

/** What a conduit says before it carries the session. */
export function handleHandshake(
  state: ClientState,
  message: Message,
  moment: Moment,
  effects: ClientEffect[],
): void {
  if (message.kind === "established") return established(state, message, moment, effects);
  if (message.kind === "refused") return refused(state, message, moment, effects);
  abandonDial(state, { code: closeCode("malformed"), reason: "malformed" }, moment, effects);
}

/** Gives up a conduit that does not carry the session. A `start` without an answer may still take effect. */
export function abandonDial(state: ClientState, cause: Cause, moment: Moment, effects: ClientEffect[]): void {
  const { dialling } = state;
  if (dialling === null) return;
  if (dialling.stage === "handshaking" && dialling.refusal === null) state.rival = true;
  state.dialling = null;
  effects.push({ kind: "close_conduit", conduit: dialling.conduit, ...cause });
  planDial(state, cause, null, moment, effects);
}

/** Gives up the conduit that carries the session; it resumes on another. */
export function lose(state: ClientState, cause: Cause, moment: Moment, effects: ClientEffect[]): void {
  const { attached } = state;
  if (attached === null) return;
  effects.push({ kind: "close_conduit", conduit: attached.conduit, ...cause });
  detach(state, cause, moment, effects);
}

/** The application cuts every conduit that there is. */
export function cut(state: ClientState, moment: Moment, effects: ClientEffect[]): void {
  const cause = { code: NORMAL_CLOSURE, reason: "cut" };
  // The attached one last, so that a dial under way is not taken for its successor.
  abandonDial(state, cause, moment, effects);
  lose(state, cause, moment, effects);
}

/** A conduit closed by itself or by the server; the code's range says what to do (`docs/protocol.md`, Reasons). */
export function conduitClosed(
  state: ClientState,
  event: Moment & Extract<ClientEvent, { readonly kind: "conduit_closed" }>,
  effects: ClientEffect[],
): void {
  const { conduit, code } = event;
  const reason = event.reason === "" ? `closed with ${code}` : event.reason;
  if (state.dialling?.conduit === conduit) return dialClosed(state, { code, reason }, event, effects);
  if (state.attached?.conduit !== conduit) return;
  const { closing } = state;
  if (closing?.told === true && code === NORMAL_CLOSURE) {
    return endSession(state, closing, { code, event: "ended", forget: true, failed: false }, effects);
  }
  let instruction = instructionForCode(code);
  if (instruction === "taken-over" && state.dialling?.stage === "handshaking") {
    // The move took effect, and its answer is on the way on the other conduit.
    state.attached = null;
    return;
  }
  if (instruction === "taken-over" && state.rival) {
    // A `start` of our own that we had given up took effect late.
    state.rival = false;
    instruction = "resume";
  }
  if (instruction === "resume") return detach(state, { code, reason }, event, effects);
  state.attached = null;
  obey(state, instruction, { code, reason, detail: "" }, null, event, effects);
}

function dialClosed(state: ClientState, cause: Cause, moment: Moment, effects: ClientEffect[]): void {
  const refusal = state.dialling?.refusal ?? null;
  const instruction = instructionForCode(cause.code);
  if (refusal === null && (instruction === "resume" || instruction === "taken-over")) {
    return abandonDial(state, cause, moment, effects);
  }
  state.dialling = null;
  const told = refusal === null
    ? { ...cause, detail: "" }
    : { code: cause.code, reason: refusal.reason, detail: refusal.detail };
  obey(state, duringHandshake(instruction), told, refusal?.retryAfter ?? null, moment, effects);
}

function refused(state: ClientState, message: Refused, moment: Moment, effects: ClientEffect[]): void {
  const dialling = state.dialling!;
  const { reason, detail, retryAfter } = message;
  if (!isReason(reason)) {
    // A newer server's reason: its close code says what to do.
    dialling.refusal = message;
    return;
  }
  state.dialling = null;
  const code = closeCode(reason);
  effects.push({ kind: "close_conduit", conduit: dialling.conduit, code: NORMAL_CLOSURE, reason: "" });
  const instruction = duringHandshake(instructionFor(reason));
  // The node could not wait for its commit (a slow store, a drain): what this `start` asked for may yet take effect
  // (`resume.takeover`).
  if (instruction === "resume") state.rival = true;
  obey(state, instruction, { code, reason, detail }, retryAfter ?? null, moment, effects);
}

/** Only the conduit that carries a session can lose it to somebody else; a handshake that lost a race asks again. */
function duringHandshake(instruction: Instruction): Instruction {
  return instruction === "taken-over" ? "resume" : instruction;
}

/** Does what a reason or a code asks for. The token is kept unless it says `over`. */
function obey(
  state: ClientState,
  instruction: Instruction,
  told: Cause & { readonly detail: string },
  retryAfter: number | null,
  moment: Moment,
  effects: ClientEffect[],
): void {
  const { code, reason, detail } = told;
  const stop = { code, event: "ended", forget: false, failed: true } as const;
  switch (instruction) {
    case "resume":
      return planDial(state, told, retryAfter, moment, effects);
    case "taken-over":
      return endSession(
        state,
        { reason: "taken-over", detail: "the session was resumed elsewhere" },
        { code, event: "taken-over", forget: false, failed: true },
        effects,
      );
    case "credentials":
      state.refusedCredentials = reason;
      effects.push({ kind: "tell", name: "credentials", details: { reason, detail } });
      if (!state.settings.authenticated) return endSession(state, { reason, detail }, stop, effects);
      return planDial(state, told, retryAfter, moment, effects);
    case "over":
      if (reason === "unknown-session" && state.closing === null && fallBack(state)) {
        return planDial(state, told, retryAfter, moment, effects);
      }
      return failOver(state, { reason, detail }, code, effects);
    case "stop":
      return endSession(state, { reason, detail }, stop, effects);
    default:
      instruction satisfies never;
  }
}

/** The newest token is not known: goes back to the one in use before it, if that may still be good. */
function fallBack(state: ClientState): boolean {
  const { identity } = state;
  if (identity === null || identity.inUse === null) return false;
  state.identity = { session: identity.session, token: identity.inUse, inUse: null };
  state.changes++;
  return true;
}

function established(
  state: ClientState,
  message: Established,
  moment: Moment,
  effects: ClientEffect[],
): void {
  const { dialling, identity } = state;
  if (dialling?.stage !== "handshaking" || message.challenge !== dialling.challenge) {
    return abandonDial(state, { code: closeCode("malformed"), reason: "malformed" }, moment, effects);
  }
  const problem = identity !== null && (!message.resumed || message.session !== identity.session)
    ? `asked to resume ${identity.session}, was given ${
      message.resumed ? "" : "a new "
    }session ${message.session}`
    : delivery.divergence(state.delivery, message);
  if (problem !== null) {
    return failOver(state, { reason: "diverged", detail: problem }, closeCode("diverged"), effects);
  }
  if (state.attached !== null) {
    // The server closes it with 4510; from here on it is none of this session's (`end.goaway`).
    const { conduit } = state.attached;
    effects.push({ kind: "close_conduit", conduit, code: NORMAL_CLOSURE, reason: "moved" });
  }
  const { session, token, resumed, node } = message;
  if (state.agreed === null) agree(state, message);
  state.identity = { session, token, inUse: identity?.token ?? null };
  state.dialling = null;
  state.dialAt = null;
  state.refusedCredentials = null;
  if (state.closing !== null) state.closing.told = false;
  state.control = [];
  state.attached = {
    conduit: dialling.conduit,
    since: moment.now,
    keepalive: newKeepalive(moment.now),
    cleared: !state.settings.stored,
    confirmed: false,
  };
  state.changes++;
  // The incoming direction is not begun again: what was taken stays taken, and what the server repeats of it is dropped.
  delivery.peerKnows(state.delivery, dialling.stated);
  const replayed = delivery.reattach(state.delivery, message);
  effects.push(
    resumed
      ? { kind: "tell", name: "resumed", details: { session, node, replayed } }
      : { kind: "tell", name: "connected", details: { session, node } },
  );
}

/** Takes over what is fixed for the session's life. Nothing was transmitted before, so the window may still change. */
function agree(state: ClientState, message: Established): void {
  const { durability, resumeWindow, keepalive, limits } = message;
  state.agreed = { durability, resumeWindow, keepalive, limits };
  const peerWindow = { messages: limits.windowMessages, bytes: limits.windowBytes };
  state.delivery = { ...state.delivery, peerWindow };
  state.mux = { ...state.mux, most: limits.connections, mostCalls: limits.concurrentCalls };
}

function detach(state: ClientState, cause: Cause, moment: Moment, effects: ClientEffect[]): void {
  const lived = moment.now - state.attached!.since;
  state.attached = null;
  state.control = [];
  state.volatile = [];
  if (state.closing !== null) state.closing.told = false;
  if (lived >= GOOD_AFTER_MS) progressed(state);
  if (state.dialling === null) return planDial(state, cause, null, moment, effects);
  // A move was under way: its conduit is the next one.
  effects.push({ kind: "tell", name: "detached", details: { ...cause, retryIn: 0 } });
}

/** Decides when to dial next: after a backoff always, also after refusals; the application may have given a limit. */
function planDial(
  state: ClientState,
  { code, reason }: Cause,
  retryAfter: number | null,
  { now, chance }: Moment,
  effects: ClientEffect[],
): void {
  let retryIn: number | null = null;
  state.notBefore = retryAfter === null ? 0 : now + retryAfter;
  if (!state.offline) {
    retryIn = state.settings.reconnect({ attempt: state.attempt++, fraction: chance, retryAfter });
    if (retryIn === null && state.attached === null) {
      const detail = `no conduit after ${state.attempt} attempts; the last one: ${reason}`;
      const how = { code: NORMAL_CLOSURE, event: "ended", forget: false, failed: true } as const;
      return endSession(state, { reason: "gave-up", detail }, how, effects);
    }
  }
  state.dialAt = retryIn === null ? null : now + retryIn;
  if (state.attached === null) {
    effects.push({ kind: "tell", name: "detached", details: { code, reason, retryIn } });
  }
}
