/**
 * Carries out what the client's machine decides, in order: dials, sends, stores, tells. One per session of the
 * application; it owns the one timer and knows nothing of the protocol.
 */

import type { EncodedBody } from "../protocol/messages.ts";
import { fraction, secret } from "../system/random.ts";
import { restoredCall } from "./client_call_claim_state.ts";
import type { CallWords } from "./client_call_model.ts";
import type { Act, ClientEffect, ClientEvent, Moment, Told } from "./client_events.ts";
import { type ClientState, newClient, type StorePoint } from "./client_model.ts";
import { restore } from "./client_restore.ts";
import { snapshot } from "./client_snapshot.ts";
import { step, wakeAt } from "./client_state.ts";
import { HoldfastError } from "./errors.ts";
import { Lines } from "./lines.ts";
import type { Caller, Happening, RunnerHost, RunnerListener } from "./runner_ports.ts";
import { SerialStorage } from "./serial_storage.ts";
import { Turn } from "../system/turn.ts";

/** A timer that fires this late tells of a machine that slept, milliseconds. */
const SLEPT_MS = 5_000;

interface Sender {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class ClientRunner {
  readonly #host: RunnerHost;
  readonly #listener: RunnerListener;
  readonly #lines: Lines;
  readonly #storage = new SerialStorage();
  readonly #turn = new Turn(() => this.#endTurn());
  readonly #senders = new Map<number, Sender>();
  /** Whoever waits for a call, by its key. */
  readonly #callers = new Map<number, Caller>();
  #state: ClientState | null = null;
  #untilReady: (() => void)[] = [];
  #lastTicket = 0;
  /** Effects are being performed; what finishes at once waits until they are. */
  #performing = false;
  #afterwards: (() => void)[] = [];
  #notices: (() => void)[] = [];
  #notifying = false;
  #cancelTimer: (() => void) | null = null;
  #timerAt = Infinity;

  constructor(host: RunnerHost, listener: RunnerListener) {
    this.#host = host;
    this.#listener = listener;
    const { url, subprotocol, dial, random } = host;
    this.#lines = new Lines({ url, subprotocol, dial, limits: () => this.#state?.agreed?.limits ?? null }, {
      opened: (conduit) => this.happen({ kind: "conduit_open", conduit, challenge: secret(random) }),
      received: (conduit, messages) => this.happen({ kind: "frame", conduit, messages }),
      undecodable: (conduit, violation) => this.happen({ kind: "undecodable", conduit, violation }),
      closed: (conduit, code, reason) => this.happen({ kind: "conduit_closed", conduit, code, reason }),
    });
  }

  /** The present session; null until the storage was read. */
  get state(): ClientState | null {
    return this.#state;
  }

  /** Reads the storage, at once if it answers at once; then dials, in a later turn. Never throws: what fails is told. */
  begin(): void {
    const { storage, storageKey } = this.#host;
    if (storage === null) return this.#load(null);
    let stored;
    try {
      stored = storage.get(storageKey);
    } catch (error) {
      return this.#unreadable(error);
    }
    if (!(stored instanceof Promise)) return this.#load(stored ?? null);
    stored.then((text) => this.#load(text ?? null), (error) => this.#unreadable(error));
  }

  /** Calls `act` once the session's state is there: now, or after the storage was read. */
  whenReady(act: () => void): void {
    if (this.#state !== null) act();
    else this.#untilReady.push(act);
  }

  /** Something happened to the present session, or to an earlier one that is over. */
  happen(happening: Happening, state: ClientState | null = this.#state): void {
    if (state === null) return;
    // The union loses its discriminant on the way through Omit; with the moment it is that union again.
    this.#perform(state, step(state, { ...happening, ...this.#moment() } as ClientEvent));
    this.#turn.touch();
    this.#notify();
  }

  /** The application does something. */
  act(act: Act, state: ClientState | null = this.#state): void {
    if (state === null) return;
    // Nothing of it is decided by chance, and it happens too often to draw for it.
    this.#perform(state, step(state, { ...act, now: this.#host.clock.now(), chance: 0 }));
    this.#turn.touch();
    this.#notify();
  }

  /** Makes a call, or asks for a restored one that is the same. */
  call(state: ClientState, connection: number, words: CallWords, caller: Caller): void {
    const restored = restoredCall(state, connection, words);
    const key = restored ?? state.lastCall + 1;
    this.#callers.set(key, caller);
    caller.started(state, key);
    this.act(
      restored === null ? { kind: "call", connection, words } : { kind: "claim_call", call: key },
      state,
    );
  }

  /** Nobody waits for a call any more. */
  leave(state: ClientState, call: number): void {
    this.#callers.delete(call);
    this.act({ kind: "leave_call", call }, state);
  }

  /** Sends on a connection. @returns Resolves when the message is safe. */
  send(state: ClientState, connection: number, body: EncodedBody): Promise<void> {
    const ticket = ++this.#lastTicket;
    return new Promise((resolve, reject) => {
      this.#senders.set(ticket, { resolve, reject });
      this.act({ kind: "send", connection, body, ticket }, state);
    });
  }

  /** Tells of something that failed and that the session survives. */
  failed(error: unknown): void {
    const known = error instanceof Error ? error : new Error(String(error));
    this.#notices.push(() => this.#listener.told({ kind: "tell", name: "error", details: { error: known } }));
    this.#notify();
  }

  #load(stored: string | null): void {
    const { settings, random } = this.#host;
    let state: ClientState;
    try {
      state = stored === null ? newClient(settings, secret(random)) : restore(settings, stored);
    } catch (error) {
      return this.#unreadable(error);
    }
    this.#ready(state);
    // The application has this turn to add its listeners.
    queueMicrotask(() => this.happen({ kind: "begin", backoff: false }));
  }

  /** What is stored cannot be read: the session in it, if there is one, is lost, and never silently replaced. */
  #unreadable(error: unknown): void {
    const { settings, random } = this.#host;
    const state = newClient(settings, secret(random));
    state.ended = { reason: "unreadable-storage", detail: describe(error) };
    const lost: Told = { kind: "tell", name: "lost", details: state.ended };
    this.#ready(state);
    queueMicrotask(() => {
      this.#perform(state, [lost]);
      this.#notify();
    });
  }

  #ready(state: ClientState): void {
    this.#state = state;
    this.#listener.loaded(state);
    for (const act of this.#untilReady.splice(0)) act();
  }

  #startAnew(old: ClientState): void {
    const { settings, random } = this.#host;
    const state = newClient(settings, secret(random));
    // Conduits of the old session may still report; their numbers are not used again.
    state.lastConduit = old.lastConduit;
    state.attempt = old.attempt;
    state.offline = old.offline;
    state.lastCall = old.lastCall;
    this.#ready(state);
    const calls = old.repeatable.splice(0);
    for (const { call } of calls) this.#callers.get(call.key)?.started(state, call.key);
    this.happen({ kind: "repeat", calls });
    this.happen({ kind: "begin", backoff: true });
  }

  #moment(): Moment {
    return { now: this.#host.clock.now(), chance: fraction(this.#host.random) };
  }

  #perform(state: ClientState, effects: readonly ClientEffect[]): void {
    const outermost = !this.#performing;
    this.#performing = true;
    for (const effect of effects) this.#carryOut(state, effect);
    if (!outermost) return;
    this.#performing = false;
    for (const act of this.#afterwards.splice(0)) act();
  }

  #carryOut(state: ClientState, effect: ClientEffect): void {
    const listener = this.#listener;
    switch (effect.kind) {
      case "dial":
        return this.#lines.dial(effect.conduit);
      case "transmit":
        return this.#lines.transmit(effect.conduit, effect.control, effect.messages);
      case "close_conduit":
        return this.#lines.close(effect.conduit, effect.code, effect.reason);
      case "ask_credentials":
        return this.#askCredentials(effect.conduit, effect.refused);
      case "store":
        return this.#store(state, effect.point);
      case "forget":
        return this.#forget();
      case "sent":
        return this.#senderOf(effect.ticket)?.resolve();
      case "unsent":
        return this.#senderOf(effect.ticket)?.reject(new HoldfastError(effect.reason, effect.detail));
      case "tell":
        this.#notices.push(() => listener.told(effect));
        if (effect.name === "lost" && this.#host.startAnew) {
          this.#notices.push(() => this.#startAnew(state));
        }
        return;
      case "accepted":
        return void this.#notices.push(() => listener.accepted(state, effect.connection));
      case "relayed":
        return void this.#notices.push(() => listener.relayed?.(state, effect.message, effect.outcome));
      case "room":
        return void this.#notices.push(() => listener.room?.());
      case "arrived":
        return void this.#notices.push(() => listener.arrived(state, effect.connection));
      case "volatile":
        return void this.#notices.push(() => listener.volatile(state, effect.connection, effect.body));
      case "connection_over":
        return void this.#notices.push(() => listener.over(state, effect.connection, effect.ending));
      case "item_arrived":
        return void this.#notices.push(() => this.#callers.get(effect.call)?.arrived());
      case "pull":
        return void this.#notices.push(() => this.#callers.get(effect.call)?.pull());
      case "call_over":
        return void this.#notices.push(() => this.#over(effect.call, effect.ok, effect.body));
      case "offered":
        return void this.#notices.push(() => listener.offered(state, effect.connection));
      case "called":
        return void this.#notices.push(() => listener.called(state, effect));
      case "abort":
        return void this.#notices.push(() =>
          listener.aborted(state, effect.connection, effect.request, effect.reason)
        );
      default:
        return effect satisfies never;
    }
  }

  #over(call: number, ok: boolean, body: EncodedBody): void {
    const caller = this.#callers.get(call);
    this.#callers.delete(call);
    caller?.over(ok, body);
  }

  #senderOf(ticket: number): Sender | undefined {
    const sender = this.#senders.get(ticket);
    this.#senders.delete(ticket);
    return sender;
  }

  /** Tells what happened, in order. What a listener does meanwhile is told after it. */
  #notify(): void {
    if (this.#notifying) return;
    this.#notifying = true;
    try {
      for (let notices = this.#notices; notices.length > 0; notices = this.#notices) {
        this.#notices = [];
        for (const notice of notices) notice();
      }
    } finally {
      this.#notifying = false;
    }
  }

  #endTurn(): void {
    const state = this.#state;
    if (state === null) return;
    this.#perform(state, step(state, { kind: "turn_ended", ...this.#moment() }));
    this.#arm();
    this.#notify();
  }

  #arm(): void {
    const at = this.#state === null ? Infinity : wakeAt(this.#state) ?? Infinity;
    if (at === this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = at === Infinity ? null : this.#host.clock.wakeAt(at, () => {
      this.#timerAt = Infinity;
      this.#cancelTimer = null;
      if (this.#host.clock.now() > at + SLEPT_MS) this.happen({ kind: "nudge" });
      this.happen({ kind: "woke" });
    });
  }

  #askCredentials(conduit: number, refused: string | null): void {
    const { auth } = this.#host;
    if (auth === null) return;
    Promise.resolve().then(() => auth({ refused })).then(
      (given) => this.happen({ kind: "credentials", conduit, auth: given }),
      (error) => {
        this.failed(error);
        this.happen({ kind: "credentials_failed", conduit });
      },
    );
  }

  #store(state: ClientState, point: StorePoint): void {
    const { storage, storageKey } = this.#host;
    if (storage === null) return;
    this.#storage.run(() => storage.set(storageKey, snapshot(state)), {
      done: () => {
        this.happen({ kind: "stored", point }, state);
        this.#endTurn();
      },
      failed: (error) => {
        this.failed(new Error(`cannot store the session's state: ${describe(error)}`, { cause: error }));
        this.happen({ kind: "store_failed" }, state);
      },
    }, (act) => void this.#afterwards.push(act));
  }

  #forget(): void {
    const { storage, storageKey } = this.#host;
    if (storage === null) return;
    this.#storage.run(() => storage.remove(storageKey), {
      done: () => {},
      failed: (error) =>
        this.failed(new Error(`cannot remove the session's state: ${describe(error)}`, { cause: error })),
    }, (act) => void this.#afterwards.push(act));
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
