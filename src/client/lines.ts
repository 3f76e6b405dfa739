/** The conduits that a client has dialled, by the numbers its machine gave them, and what goes through them. */

import type { Conduit } from "../conduit/conduit.ts";
import type { Frame, FrameCodec, Subprotocol } from "../protocol/codec.ts";
import { codecFor } from "../protocol/codecs.ts";
import { encodeConduit } from "../protocol/encode.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { ConduitMessage, Message, StatedLimits } from "../protocol/messages.ts";
import type { Violation } from "../protocol/rules.ts";
import type { Dial } from "./options.ts";

/** A frame that we send holds at most this much, or one message. */
const FRAME_TARGET_BYTES = 128 * 1024;

/** What a conduit can tell. Never called for one that was closed from here. */
export interface LineListener {
  opened(conduit: number): void;
  received(conduit: number, messages: readonly Message[]): void;
  undecodable(conduit: number, violation: Violation): void;
  closed(conduit: number, code: number, reason: string): void;
}

interface Line {
  readonly conduit: Conduit;
  codec: FrameCodec;
  /** What the codec was made for. */
  limits: StatedLimits | null;
}

/** What lines need to know. */
export interface LineHost {
  readonly url: string;
  readonly subprotocol: Subprotocol;
  readonly dial: Dial;
  /** What the server stated; null until it did. */
  limits(): StatedLimits | null;
}

export class Lines {
  readonly #host: LineHost;
  readonly #listener: LineListener;
  readonly #lines = new Map<number, Line>();

  constructor(host: LineHost, listener: LineListener) {
    this.#host = host;
    this.#listener = listener;
  }

  /** Dials; what comes of it is told later. */
  dial(number: number): void {
    const { url, subprotocol, dial } = this.#host;
    const listener = this.#listener;
    const conduit = dial(url, [subprotocol], {
      onOpen: () => {
        if (this.#lines.has(number)) listener.opened(number);
      },
      onFrame: (frame) => {
        const line = this.#lines.get(number);
        if (line !== undefined) this.#received(number, line, frame);
      },
      onClose: (code, reason) => {
        if (this.#lines.delete(number)) listener.closed(number, code, reason);
      },
    });
    const limits = this.#host.limits();
    this.#lines.set(number, { conduit, limits, codec: codecOf(subprotocol, limits) });
  }

  /** Closes a conduit; nothing more is heard of it. */
  close(number: number, code: number, reason: string): void {
    const line = this.#lines.get(number);
    this.#lines.delete(number);
    line?.conduit.close(code, reason);
  }

  /** Sends messages in order, in as few frames as their size allows. */
  transmit(number: number, control: readonly ConduitMessage[], messages: readonly Uint8Array[]): void {
    const line = this.#lines.get(number);
    if (line === undefined) return;
    const most = Math.min(FRAME_TARGET_BYTES, this.#host.limits()?.frameBytes ?? FRAME_TARGET_BYTES);
    let batch: Uint8Array[] = [];
    let bytes = 0;
    for (const encoded of [...control.map(encodeConduit), ...messages]) {
      if (batch.length > 0 && bytes + encoded.length > most) {
        line.conduit.send(line.codec.join(batch));
        batch = [];
        bytes = 0;
      }
      batch.push(encoded);
      bytes += encoded.length;
    }
    line.conduit.send(line.codec.join(batch));
  }

  #received(number: number, line: Line, frame: Frame): void {
    const limits = this.#host.limits();
    if (line.limits !== limits) {
      line.limits = limits;
      line.codec = codecOf(this.#host.subprotocol, limits);
    }
    const decoded = line.codec.decode(frame);
    if (decoded.ok) this.#listener.received(number, decoded.messages);
    else this.#listener.undecodable(number, decoded.violation);
  }
}

/** What the server sends is bounded by what it takes itself, and by the defaults until that is known. */
function codecOf(subprotocol: Subprotocol, limits: StatedLimits | null): FrameCodec {
  const { frameBytes, bodyBytes } = limits ?? DEFAULT_LIMITS;
  return codecFor(subprotocol, {
    frameBytes: Math.max(frameBytes, DEFAULT_LIMITS.frameBytes),
    bodyBytes: Math.max(bodyBytes, DEFAULT_LIMITS.bodyBytes),
  });
}
