/** Watches calls, channels and credit of each session as they go over its lines: each number once, in order. */

import { decodeBody } from "../../src/protocol/body.ts";
import type { SessionMessage } from "../../src/protocol/messages.ts";
import type { Ledger } from "./ledger.ts";
import type { Direction } from "./sim_line.ts";

/** What the server may still send on one channel, or on one connection. */
interface Flow {
  credit: number;
  over: boolean;
}

interface Watched {
  readonly seen: { [direction in Direction]: number };
  /** By connection and channel; channel 0: the plain messages of connections that were opened with credit. */
  readonly flows: Map<string, Flow>;
}

/** What a call gives at first, where it says nothing. */
const INITIAL_CREDIT = 16;

export class FlowWitness {
  readonly #ledger: Ledger;
  readonly #sessions = new Map<string, Watched>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** One end gave a message to a line. */
  said(session: string, direction: Direction, message: SessionMessage): void {
    // Two pages with one session give the same numbers to different messages.
    if (this.#ledger.named(session)?.shared === true) return;
    const watched = this.#of(session);
    if (message.seq <= watched.seen[direction]) return;
    watched.seen[direction] = message.seq;
    if (direction === "up") this.#asked(session, watched, message);
    else this.#served(session, watched, message);
  }

  #asked(session: string, { flows }: Watched, message: SessionMessage): void {
    const { connection } = message;
    switch (message.kind) {
      case "open":
        if (message.messageCredit === undefined) return;
        flows.set(`${connection} 0`, { credit: message.messageCredit, over: false });
        return;
      case "call": {
        const { download, credit = INITIAL_CREDIT } = message.options ?? {};
        this.#ledger.callLeaves(session, message.seq, connection, message.request, decodeBody(message.body));
        if (download !== undefined) flows.set(`${connection} ${download}`, { credit, over: false });
        return;
      }
      case "credit": {
        const flow = flows.get(`${connection} ${message.channel}`);
        if (flow !== undefined) flow.credit += message.additional;
      }
    }
  }

  #served(session: string, { flows }: Watched, message: SessionMessage): void {
    const { connection } = message;
    switch (message.kind) {
      case "message": {
        const flow = flows.get(`${connection} 0`);
        if (flow !== undefined && --flow.credit < 0) this.#fail(session, message, "connection.credit");
        return;
      }
      case "item":
      case "finish":
      case "reset": {
        const flow = flows.get(`${connection} ${message.channel}`);
        if (flow === undefined || flow.over) return this.#fail(session, message, "channel.finish");
        if (message.kind === "item" && --flow.credit < 0) this.#fail(session, message, "channel.credit");
        flow.over = message.kind !== "item";
        return;
      }
      case "response": {
        const { request, ok, body } = message;
        const value = decodeBody(body);
        const code = ok ? "" : (value as { readonly code: string }).code;
        this.#ledger.answerLeaves(session, connection, request, { ok, value, code });
      }
    }
  }

  #fail(session: string, { kind, connection, seq }: SessionMessage, rule: string): void {
    this.#ledger.fail(`${kind} ${seq} of session ${session} on connection ${connection} breaks ${rule}`);
  }

  #of(session: string): Watched {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const watched: Watched = { seen: { up: 0, down: 0 }, flows: new Map() };
    this.#sessions.set(session, watched);
    return watched;
  }
}
