/** The last things that happened to a client's conduits, for the message of a failed test. */

import type { WebSocket } from "ws";

const MOST = 40;

/** See the top of this file. */
export class ForeignNotes {
  readonly #lines: string[] = [];
  readonly #numbers = new WeakMap<WebSocket, number>();

  /** From now on the socket is called by this number. */
  name(socket: WebSocket, number: number): void {
    this.#numbers.set(socket, number);
  }

  add(socket: WebSocket, what: string): void {
    const at = (performance.timeOrigin + performance.now()).toFixed(1).slice(-8);
    this.#lines.push(`${at} ${new URL(socket.url).port}#${this.#numbers.get(socket)} ${what}`);
    if (this.#lines.length > MOST) this.#lines.shift();
  }

  toString(): string {
    return this.#lines.join("; ");
  }
}
