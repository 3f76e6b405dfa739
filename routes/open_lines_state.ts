/**
 * Which connections speak HTTP, and which of them makes room when there are too many.
 *
 * A connection is here from its accept until it is closed or becomes a WebSocket. While one of its requests is answered it
 * is spared; otherwise it waits: for a request's head, for its body, for the next request, or for its peer to take its last
 * answer.
 */

/** What is known of one connection. */
interface Open {
  /** Requests that are not answered yet. */
  requests: number;
  /** What is asked for cannot go on before its peer has sent more, or taken what is there for it. */
  incomplete: boolean;
}

/** The connections of one server. `Line` is compared by identity. */
export class OpenLines<Line> {
  readonly #most: number;
  /** The one whose last answer, or whose accept, is the longest ago first. Bytes that drip in do not make it younger. */
  readonly #lines = new Map<Line, Open>();

  /** @param most Connections at once; at least 1. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#lines.size;
  }

  /** A connection was accepted. @returns Whether some must make room: soon, or at once where they are half as many again. */
  opened(line: Line): "room" | "soon" | "now" {
    this.#lines.set(line, { requests: 0, incomplete: false });
    if (this.#lines.size <= this.#most) return "room";
    return this.#lines.size > 1.5 * this.#most ? "now" : "soon";
  }

  /**
   * Chooses who makes room.
   *
   * @returns The ones that wait longest, which are known no more: as many as are too many, if so many wait.
   */
  makeRoom(): Line[] {
    const chosen: Line[] = [];
    for (const [line, { requests, incomplete }] of this.#lines) {
      if (this.#lines.size <= this.#most) break;
      if (requests > 0 && !incomplete) continue;
      this.#lines.delete(line);
      chosen.push(line);
    }
    return chosen;
  }

  /** A request has come, and will be answered. */
  asked(line: Line): void {
    const open = this.#lines.get(line);
    if (open === undefined) return;
    open.requests++;
    open.incomplete = false;
  }

  /** It is its peer's turn, to send more or to take its answer; or it is not any more. */
  waits(line: Line, incomplete: boolean): void {
    const open = this.#lines.get(line);
    if (open !== undefined) open.incomplete = incomplete;
  }

  /** A request was answered; from now on the connection is idle, unless there are more. */
  answered(line: Line): void {
    const open = this.#lines.get(line);
    if (open === undefined) return;
    open.requests--;
    if (open.requests > 0) return;
    this.#lines.delete(line);
    this.#lines.set(line, open);
  }

  /** It is closed, or became a WebSocket. @returns Whether it was known. */
  gone(line: Line): boolean {
    return this.#lines.delete(line);
  }
}
