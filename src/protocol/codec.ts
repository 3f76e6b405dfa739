/** What both encodings promise, so that nothing above them knows which one a conduit speaks. */

import type { ConduitMessage, Message } from "./messages.ts";
import type { Violation } from "./rules.ts";

/** The subprotocols of `frame.route`. */
export type Subprotocol = "holdfast.v1.msgpack" | "holdfast.v1.json";

/** One WebSocket message: bytes for MessagePack, text for JSON. */
export type Frame = Uint8Array | string;

/** A frame's messages in order, or what is wrong with it. A wrong frame yields none of its messages. */
export type Decoded =
  | { readonly ok: true; readonly messages: readonly Message[] }
  | { readonly ok: false; readonly violation: Violation };

/** The byte limits a decoder enforces before it allocates. */
export interface DecodeLimits {
  /** Longest frame, MessagePack bytes. The conduit refuses longer ones before they are decoded. */
  readonly frameBytes: number;
  /** Longest encoded body, bytes. */
  readonly bodyBytes: number;
}

/**
 * One encoding of the protocol.
 *
 * Inside a process each message exists in one encoded form, MessagePack: it is what a sender retains, what the
 * store holds and what `frame.cost` counts. A codec turns a run of those into a frame, and a frame into messages.
 */
export interface FrameCodec {
  /** What this codec speaks. */
  readonly subprotocol: Subprotocol;

  /**
   * Decodes one frame. Never throws on input, whatever it is.
   *
   * @param frame What the conduit received. The messages' bodies may be views of it.
   */
  decode(frame: Frame): Decoded;

  /** Puts already encoded messages, in order, into one frame (`frame.batch`). */
  join(encoded: readonly Uint8Array[]): Frame;
}

/** Encodes one conduit message, MessagePack. */
export type EncodeConduitMessage = (message: ConduitMessage) => Uint8Array;
