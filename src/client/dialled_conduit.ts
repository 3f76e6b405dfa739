/** What the conduits that a client dials have in common, whichever library holds their sockets. */

import type { Conduit } from "../conduit/conduit.ts";
import { nextConduitId } from "../conduit/conduit_id.ts";
import type { Frame, Subprotocol } from "../protocol/codec.ts";
import type { DialHandler } from "./options.ts";

/** What is used of a socket here. */
export interface DialledSocket {
  readonly bufferedAmount: number;
}

/** A conduit that cannot be had is closed with 1006; each is closed once. */
export abstract class DialledConduit<Socket extends DialledSocket> implements Conduit {
  readonly id: number = nextConduitId();
  readonly subprotocol: Subprotocol;
  protected readonly handler: DialHandler;
  /** Null: none could be made. */
  protected socket: Socket | null = null;
  #closed = false;

  constructor(subprotocols: readonly Subprotocol[], handler: DialHandler) {
    this.subprotocol = subprotocols[0] ?? "holdfast.v1.json";
    this.handler = handler;
  }

  get bufferedBytes(): number {
    return this.#closed ? 0 : this.socket?.bufferedAmount ?? 0;
  }

  abstract send(frame: Frame): void;
  abstract close(code: number, reason: string): void;

  protected get isClosed(): boolean {
    return this.#closed;
  }

  /** Makes the socket, whose events the maker has bound to this conduit. */
  protected begin(make: () => Socket): void {
    try {
      this.socket = make();
    } catch (error) {
      // No WebSocket here, a url that is none, or a page that may not dial it.
      const reason = error instanceof Error ? error.message : String(error);
      queueMicrotask(() => this.finish(1006, reason));
    }
  }

  /** Reports the end, once. */
  protected finish(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.handler.onClose(code, reason);
  }
}
