/** One accepted conduit, from its first frame on: the handshake's rules, then whatever its session says. */

import { type Conduit, type ConduitHandler, type ConduitPeer, UNKNOWN_PEER } from "../conduit/conduit.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { HandshakeSpan, Tracing } from "../observe/tracing.ts";
import type { Frame, FrameCodec } from "../protocol/codec.ts";
import { encodeConduit } from "../protocol/encode.ts";
import type { ConduitMessage, Start } from "../protocol/messages.ts";
import { closeCode, type Reason } from "../protocol/reasons.ts";
import type { Clock } from "../system/clock.ts";
import type { Refusal } from "./admission_state.ts";

/** A frame that we send holds at most this much, or one message. */
const FRAME_TARGET_BYTES = 128 * 1024;

/** Whom a link reports to once its session is known. */
export interface LinkOwner {
  frameReceived(link: Link, frame: Frame): void;
  conduitLost(link: Link): void;
}

/** What a link needs of its node. */
export interface LinkHost {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** Milliseconds for `start` to arrive, and again for the answer. */
  readonly handshakeTimeout: number;
  codecOf(conduit: Conduit): FrameCodec;
  /** Decides a handshake; answers by `establish` or `refuse`. */
  admit(link: Link, start: Start): void;
  /** The handshake was answered, or will never be. Called once. */
  handshakeOver(link: Link): void;
  /** Called for each refusal of this link, before the peer is told. */
  linkRefused(link: Link, refusal: Refusal): void;
  linkClosed(link: Link): void;
}

/** A conduit with its codec, and the phase of its handshake. */
export class Link implements ConduitHandler {
  readonly id: number;
  readonly #conduit: Conduit;
  readonly #codec: FrameCodec;
  readonly #host: LinkHost;
  #phase: "waiting" | "admitting" | "established" | "closed" = "waiting";
  #owner: LinkOwner | null = null;
  #cancelTimeout: (() => void) | null;
  #challenge: string | undefined;
  /** From `start` to its answer. */
  #span: HandshakeSpan | null = null;
  #startedAt = 0;
  /** Dropped with the handshake: an attached conduit keeps no credentials. */
  #peer: ConduitPeer;

  constructor(conduit: Conduit, host: LinkHost, peer: ConduitPeer = UNKNOWN_PEER) {
    this.id = conduit.id;
    this.#peer = peer;
    this.#conduit = conduit;
    this.#codec = host.codecOf(conduit);
    this.#host = host;
    this.#cancelTimeout = this.#armTimeout(() => this.refuse(NO_START));
  }

  /** False once the conduit is closing or gone. */
  get open(): boolean {
    return this.#phase !== "closed";
  }

  get codec(): FrameCodec {
    return this.#codec;
  }

  /** When its `start` came, milliseconds since the Unix epoch. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** Who is at the other end; {@link UNKNOWN_PEER} once the handshake is over. */
  get peer(): ConduitPeer {
    return this.#peer;
  }

  onFrame(frame: Frame): void {
    this.#host.metrics.frameIn(frame.length);
    switch (this.#phase) {
      case "waiting":
        return this.#first(frame);
      case "admitting":
        return this.refuse({ reason: "malformed", detail: "a frame before established (handshake.first)" });
      case "established":
        return this.#owner!.frameReceived(this, frame);
      case "closed":
        return;
      default:
        return this.#phase satisfies never;
    }
  }

  onClose(): void {
    this.#finish();
    const owner = this.#owner;
    this.#owner = null;
    owner?.conduitLost(this);
    this.#host.linkClosed(this);
  }

  /** From here on `owner` hears when this conduit breaks. */
  ownedBy(owner: LinkOwner | null): void {
    this.#owner = owner;
  }

  /**
   * Answers the handshake: the session's frames follow.
   *
   * @param lacking How many messages will be sent again.
   */
  establish(message: ConduitMessage & { readonly kind: "established" }, lacking: number): void {
    if (this.#phase !== "admitting") return;
    this.#disarm();
    this.#phase = "established";
    this.#span?.established(message.session, message.resumed, lacking);
    this.#span = null;
    this.#peer = UNKNOWN_PEER;
    this.#host.handshakeOver(this);
    this.send(message);
  }

  /** Answers the handshake with a refusal, then closes with the reason's code (`handshake.refused`). */
  refuse(refusal: Refusal): void {
    if (this.#phase !== "waiting" && this.#phase !== "admitting") return;
    const { reason, detail, retryAfter } = refusal;
    this.#span?.refused(reason);
    this.#span = null;
    this.#host.linkRefused(this, refusal);
    this.send({
      kind: "refused",
      ...(this.#challenge === undefined ? {} : { challenge: this.#challenge }),
      reason,
      detail,
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
    this.close(closeCode(reason), reason);
  }

  /** Sends one conduit message, in a frame of its own. */
  send(message: ConduitMessage): void {
    this.#sendFrame([encodeConduit(message)]);
  }

  /** Sends encoded messages in order, several to a frame. */
  transmit(encoded: readonly Uint8Array[]): void {
    let from = 0;
    let bytes = 0;
    for (let i = 0; i < encoded.length; i++) {
      const length = encoded[i]!.length;
      if (i > from && bytes + length > FRAME_TARGET_BYTES) {
        this.#sendFrame(encoded.slice(from, i));
        from = i;
        bytes = 0;
      }
      bytes += length;
    }
    this.#sendFrame(from === 0 ? encoded : encoded.slice(from));
  }

  /** Reads nothing more from now on, and closes the conduit once it is known how; at the latest in `handshakeTimeout`. */
  closeWhenKnown(reason: Promise<Reason>, otherwise: Reason): void {
    if (this.#phase === "closed") return;
    this.#finish();
    const close = (why: Reason) => {
      cancel();
      this.#conduit.close(closeCode(why), why);
    };
    const cancel = this.#armTimeout(() => close(otherwise));
    reason.then(close, () => close(otherwise));
  }

  /** Closes the conduit; nothing more is read from it. */
  close(code: number, reason: string): void {
    if (this.#phase === "closed") return;
    this.#finish();
    this.#conduit.close(code, reason);
  }

  #sendFrame(encoded: readonly Uint8Array[]): void {
    const frame = this.#codec.join(encoded);
    this.#host.metrics.frameOut(frame.length);
    this.#conduit.send(frame);
  }

  #first(frame: Frame): void {
    const decoded = this.#codec.decode(frame);
    if (!decoded.ok) {
      const { rule, detail } = decoded.violation;
      return this.refuse({ reason: "malformed", detail: `${rule}: ${detail}` });
    }
    const [start, ...more] = decoded.messages;
    if (start?.kind !== "start") {
      return this.refuse({
        reason: "malformed",
        detail: "the first message must be start (handshake.first)",
      });
    }
    this.#challenge = start.challenge;
    if (more.length > 0) {
      return this.refuse({ reason: "malformed", detail: "a message before established (handshake.first)" });
    }
    this.#phase = "admitting";
    this.#startedAt = this.#host.clock.now();
    this.#span = this.#host.tracing.handshake({
      resume: start.resume !== undefined,
      traceparent: start.metadata?.["traceparent"],
    });
    this.#disarm();
    // A store that does not answer must not hold the client for ever.
    this.#cancelTimeout = this.#armTimeout(() => this.refuse(NO_ANSWER));
    this.#host.admit(this, start);
  }

  #armTimeout(wake: () => void): () => void {
    const { clock, handshakeTimeout } = this.#host;
    return clock.wakeAt(clock.now() + handshakeTimeout, wake);
  }

  #disarm(): void {
    this.#cancelTimeout?.();
    this.#cancelTimeout = null;
  }

  #finish(): void {
    this.#disarm();
    this.#span?.abandoned();
    this.#span = null;
    if (this.#phase === "waiting" || this.#phase === "admitting") this.#host.handshakeOver(this);
    this.#phase = "closed";
  }
}

const NO_START: Refusal = {
  reason: "handshake-timeout",
  detail: "no start in time (handshake.first)",
  retryAfter: 1000,
};
const NO_ANSWER: Refusal = {
  reason: "unavailable",
  detail: "the store did not answer in time",
  retryAfter: 1000,
};
