/** The delivery rules as a client in another language would write them, from `docs/protocol.md` alone. */

/** What `delivery.ack` allows at most before an ack leaves. */
const ACK_MESSAGES = 64;

/** A session message that the server has not acked: its number and its text. */
interface Kept {
  readonly seq: number;
  readonly text: string;
}

/** What the server said it takes unacked. */
export interface ForeignWindow {
  readonly windowMessages: number;
  readonly windowBytes: number;
}

/** Numbers, keeps and counts session messages. Methods that judge the server give what it did wrong, or null. */
export class ForeignDelivery {
  /** Session messages numbered, and those of them that the present conduit was given. */
  sent = 0;
  transmitted = 0;
  /** Session messages taken; what is taken is in memory, and so it is safe for this client. */
  received = 0;
  #ackSent = 0;
  readonly #kept: Kept[] = [];
  #keptBytes = 0;

  /** Session messages that the server has not acked. */
  get unacked(): number {
    return this.#kept.length;
  }

  /** True while another message of at most 1 KiB fits into the window. */
  hasRoom(window: ForeignWindow): boolean {
    // No value of this client is longer in MessagePack than in JSON, so that this stays on the safe side.
    return this.#kept.length < window.windowMessages && this.#keptBytes + 1024 <= window.windowBytes;
  }

  /** Numbers a message and keeps it until it is acked. */
  keep(name: string, ...fields: unknown[]): void {
    const seq = ++this.sent;
    const text = JSON.stringify([name, seq, ...fields]);
    this.#kept.push({ seq, text });
    this.#keptBytes += text.length;
  }

  /** What the conduit was not given yet; from now on it was. */
  transmit(): string[] {
    const texts = this.#kept.filter(({ seq }) => seq > this.transmitted).map(({ text }) => text);
    this.transmitted = this.sent;
    return texts;
  }

  /** The server has everything up to `received`. */
  acked(received: number): string | null {
    if (received > this.sent) return `ack ${received} of ${this.sent}`;
    while (this.#kept[0] !== undefined && this.#kept[0].seq <= received) {
      this.#keptBytes -= this.#kept.shift()!.text.length;
    }
    return null;
  }

  /** Begins a new conduit with the counters of `established` (`resume.exchange`). */
  exchange(server: { readonly received: number; readonly sent: number }): string | null {
    if (server.received > this.sent || server.received < this.sent - this.#kept.length) {
      return `the server received ${server.received} of ${this.sent}, of which ${this.#kept.length} are unacked`;
    }
    if (server.sent < this.received) return `the server sent ${server.sent}, and ${this.received} came`;
    this.transmitted = server.received;
    return this.acked(server.received);
  }

  /** Takes the next number; "duplicate" for one that was taken before. */
  take(seq: number): "taken" | "duplicate" | "gap" {
    if (seq <= this.received) return "duplicate";
    if (seq !== this.received + 1) return "gap";
    this.received = seq;
    return "taken";
  }

  /** True when an ack must leave now, and not only within 50 ms. */
  get ackIsDue(): boolean {
    return this.received - this.#ackSent >= ACK_MESSAGES;
  }

  /** The ack, as text. */
  ack(): string {
    this.#ackSent = this.received;
    return JSON.stringify(["ack", this.received]);
  }
}
