/** The numbers 1, 2, 3, … on one `echo` connection: which were sent, and whether each comes back once and in order. */

/** What one number is sent as; the padding shows whether it came back unchanged. */
export interface NumberedBody {
  readonly n: number;
  readonly pad: string;
}

/** Before `accept` no more messages may be sent (`connection.early`). */
const EARLY = 16;

/** See the top of this file. */
export class EchoedNumbers {
  /** How many numbers were given out. */
  produced = 0;
  /** The highest that came back; all below it came before. */
  echoed = 0;
  #accepted = false;

  /** The next number's body; null while the service has not accepted and no more may be sent early. */
  next(): NumberedBody | null {
    if (!this.#accepted && this.produced >= EARLY) return null;
    const n = ++this.produced;
    return { n, pad: padding(n) };
  }

  /** Takes a session message on the connection. @returns What is wrong with it, or null. */
  judge(name: string, field: unknown): string | null {
    if (name === "accept") {
      if (this.#accepted) return "a second accept";
      this.#accepted = true;
      return null;
    }
    if (name !== "message") return `${name}: ${JSON.stringify(field)}`;
    const { n, pad } = field as NumberedBody;
    if (n !== this.echoed + 1) return `echo ${n} after ${this.echoed}`;
    if (pad !== padding(n)) return `echo ${n} is not what was sent`;
    this.echoed = n;
    return null;
  }
}

function padding(n: number): string {
  return "x".repeat(n % 60);
}
