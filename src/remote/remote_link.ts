/** A session of this node's at another Holdfast server, and the connections of it that are bridged to clients' here. */

import { refusesCall, type Relayed } from "../connection/relay_state.ts";
import type { Said } from "../connection/bridge_state.ts";
import type { MuxOutcome } from "../connection/mux_model.ts";
import type { Told } from "../client/client_events.ts";
import type { ClientState, ConnectionEnding } from "../client/client_model.ts";
import { MESSAGE_OVERHEAD_BYTES } from "../client/client_numbering_state.ts";
import { ClientRunner } from "../client/client_runner.ts";
import type { RunnerHost, RunnerListener } from "../client/runner_ports.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { EncodedBody, Metadata, SessionMessage } from "../protocol/messages.ts";
import type { Saying } from "../service/relay.ts";
import { hasRoom } from "../session/delivery_state.ts";

/** How long a link without a connection is kept; milliseconds. */
export const LINK_LINGER_MS = 30_000;

/** What hears of a connection at the other server. */
export interface FarHandler {
  /** The other server said something; `outcome` is what that means. */
  heard(message: SessionMessage, outcome: MuxOutcome): void;
  heardVolatile(body: EncodedBody): void;
  /** More may be said. */
  room(): void;
  /** It is over; `lost`: the link is, and nobody ended the connection. */
  ended(ending: { readonly reason: string; readonly detail: string }, lost: boolean): void;
}

/** A connection at the other server. */
export interface FarConnection {
  /** Says what the client said. */
  say(said: Said): Saying;
  sayVolatile(body: EncodedBody): void;
}

/** How a connection is opened there. */
export interface FarOpening {
  readonly service: string;
  readonly metadata: Metadata;
  readonly messageCredit: number | undefined;
}

export class RemoteLink implements RunnerListener {
  readonly #runner: ClientRunner;
  readonly #host: RunnerHost;
  readonly #gone: (reason: string, detail: string) => void;
  readonly #failed: (error: unknown) => void;
  readonly #handlers = new Map<number, FarHandler>();
  #cancelLinger: () => void = () => {};
  /** It ended, or is asked to. */
  #over = false;

  /**
   * Dials, and from then on keeps the session up.
   *
   * @param gone Called once, when no connection can be opened on it any more.
   * @param failed Told of what the session survives: credentials that are refused.
   */
  constructor(
    host: RunnerHost,
    gone: (reason: string, detail: string) => void,
    failed: (error: unknown) => void,
  ) {
    this.#host = host;
    this.#gone = gone;
    this.#failed = failed;
    this.#runner = new ClientRunner(host, this);
    this.#runner.begin();
  }

  /** True while another connection can be opened. */
  get open(): boolean {
    const state = this.#runner.state;
    if (state === null || this.#over) return false;
    const most = state.agreed?.limits.connections ?? DEFAULT_LIMITS.connections;
    return state.mux.connections.size < most;
  }

  /** Opens a connection. {@link open} must be true. */
  connect({ service, metadata, messageCredit }: FarOpening, handler: FarHandler): FarConnection {
    this.#cancelLinger();
    const state = this.#runner.state!;
    this.#runner.act({
      ...{ kind: "open", service, relayed: true, messageCredit },
      metadata: Object.keys(metadata).length === 0 ? undefined : metadata,
    });
    const id = state.mux.highestOwn;
    this.#handlers.set(id, handler);
    return {
      say: (said) => this.#say(state, id, said),
      sayVolatile: (body) => this.#runner.act({ kind: "send_volatile", connection: id, body }, state),
    };
  }

  /** Ends the session. Its connections are lost. */
  close(): void {
    if (this.#over) return;
    this.#leave("closed", "");
    this.#runner.happen({ kind: "close", reason: "closed", detail: "" });
  }

  // RunnerListener

  loaded(): void {}
  accepted(): void {}
  arrived(): void {}
  offered(): void {}
  called(): void {}
  aborted(): void {}

  told(event: Told): void {
    if (event.name === "error") return this.#failed(event.details.error);
    if (event.name === "credentials") {
      return this.#failed(new Error(`the server refuses this node's credentials: ${event.details.reason}`));
    }
    if (event.name === "taken-over") return this.#leave("taken-over", "");
    if (event.name === "ended" || event.name === "lost") {
      this.#leave(event.details.reason, event.details.detail);
    }
  }

  relayed(_: ClientState, message: SessionMessage, outcome: MuxOutcome): void {
    this.#handlers.get(message.connection)?.heard(message, outcome);
  }

  volatile(_: ClientState, id: number, body: EncodedBody): void {
    this.#handlers.get(id)?.heardVolatile(body);
  }

  room(): void {
    for (const handler of [...this.#handlers.values()]) handler.room();
  }

  over(state: ClientState, id: number, ending: ConnectionEnding): void {
    const handler = this.#handlers.get(id);
    this.#handlers.delete(id);
    handler?.ended(ending, state.ended !== null);
    if (this.#handlers.size > 0 || this.#over) return;
    const { clock } = this.#host;
    this.#cancelLinger();
    this.#cancelLinger = clock.wakeAt(clock.now() + LINK_LINGER_MS, () => this.close());
  }

  #say(state: ClientState, id: number, said: Said): Saying {
    if (state.ended !== null || !state.mux.connections.has(id)) return "said";
    switch (said.kind) {
      case "accept":
        return "said";
      case "end":
        this.#runner.act({ kind: "end", connection: id, reason: said.reason, detail: said.detail }, state);
        return "said";
      default: {
        // What the other server takes is known with its first word.
        if (state.agreed === null) return "no-room";
        const bytes = "body" in said ? said.body.length : 0;
        if (bytes > state.agreed.limits.bodyBytes) return "too-large";
        if (!hasRoom(state.delivery, bytes + MESSAGE_OVERHEAD_BYTES)) return "no-room";
        const payload: Relayed = { ...said, connection: id };
        if (refusesCall(state.mux, payload)) return "refused";
        this.#runner.act({ kind: "relay", payload }, state);
        return "said";
      }
    }
  }

  #leave(reason: string, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelLinger();
    this.#gone(reason, detail);
  }
}
