/** The conduits of one session: the one that is attached, and the one that is being attached. */

import { encodeConduit } from "../protocol/encode.ts";
import type { ConduitMessage, Established } from "../protocol/messages.ts";
import type { Refusal } from "./admission_state.ts";
import type { Link, LinkOwner } from "./link.ts";
import type { AttachRequest, RunnerHost } from "./runner_host.ts";
import type { SessionEffect, SessionState } from "./session_model.ts";
import type { SessionMeter } from "./session_meter.ts";

type Of<K extends SessionEffect["kind"]> = Extract<SessionEffect, { readonly kind: K }>;

/** What became of an attach: done, or void because another node wrote. */
export type AttachOutcome = "attached" | "conflict";

interface PendingAttach {
  readonly request: AttachRequest;
  readonly settled: (outcome: AttachOutcome) => void;
}

/** Says to conduits what the session machine decided; what it says to one that is gone is dropped. */
export class SessionConduits {
  readonly #owner: LinkOwner;
  readonly #host: RunnerHost;
  #link: Link | null = null;
  #attaching: PendingAttach | null = null;

  /** @param owner Hears what the conduits say. */
  constructor(owner: LinkOwner, host: RunnerHost) {
    this.#owner = owner;
    this.#host = host;
  }

  /** The conduit that is attached. */
  get attached(): Link | null {
    return this.#link;
  }

  /** Whether an attach is under way. */
  get attaching(): boolean {
    return this.#attaching !== null;
  }

  /** Begins an attach. @returns What {@link settle} is told, at last. */
  begin(request: AttachRequest): Promise<AttachOutcome> {
    request.link.ownedBy(this.#owner);
    return new Promise((settled) => void (this.#attaching = { request, settled }));
  }

  /** Ends the attach under way, if there is one. */
  settle(outcome: AttachOutcome): void {
    const attaching = this.#attaching;
    this.#attaching = null;
    if (outcome === "conflict") attaching?.request.link.ownedBy(null);
    attaching?.settled(outcome);
  }

  /** Answers the conduit that is being attached; from now on it is the session's. */
  establish(
    { id: session, settings, delivery }: SessionState,
    effect: Of<"established">,
    meter: SessionMeter,
  ): void {
    if (this.#attaching === null) return;
    const { link, challenge, token } = this.#attaching.request;
    this.#link = link;
    const { storedBytes: _, ...limits } = settings.limits;
    const { node, region, clock } = this.#host;
    const message: Established = {
      kind: "established",
      challenge,
      session,
      token,
      resumed: effect.resumed,
      received: effect.received,
      sent: effect.sent,
      durability: settings.durability,
      resumeWindow: settings.resumeWindow,
      keepalive: settings.keepalive,
      limits,
      node,
      ...(region === undefined ? {} : { region }),
    };
    link.establish(message, meter.established(delivery, effect.resumed, link.startedAt, clock.now()));
    this.settle("attached");
  }

  /** One frame: an ack and volatile messages, then encoded session messages. */
  transmit({ conduit, ack, volatile, messages }: Of<"transmit">): void {
    const link = this.#find(conduit);
    if (link === null) return;
    this.#host.metrics.sent(messages.length);
    const own: Uint8Array[] = volatile.map(encodeConduit);
    if (ack !== null) own.unshift(encodeConduit(ack));
    link.transmit(own.length === 0 ? messages : [...own, ...messages]);
  }

  send(conduit: number, message: ConduitMessage): void {
    this.#find(conduit)?.send(message);
  }

  refuse(conduit: number, refusal: Refusal): void {
    this.#find(conduit)?.refuse(refusal);
  }

  /** Closes a conduit of this session. What it reports later changes nothing. */
  close(conduit: number, code: number, reason: string): void {
    const link = this.#find(conduit);
    if (link === this.#link) this.#link = null;
    link?.ownedBy(null);
    link?.close(code, reason);
  }

  /** This conduit is gone. */
  lost(link: Link): void {
    if (this.#link === link) this.#link = null;
  }

  /** Lets go of the attached conduit and leaves it open. */
  release(): void {
    this.#link?.ownedBy(null);
    this.#link = null;
  }

  #find(conduit: number): Link | null {
    if (this.#link?.id === conduit) return this.#link;
    const attaching = this.#attaching?.request.link;
    return attaching?.id === conduit ? attaching : null;
  }
}
