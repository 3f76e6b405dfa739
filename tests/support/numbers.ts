/** Load with the SDK: sessions that send 1, 2, 3, … to `echo` and judge what comes back. */

import assert from "node:assert/strict";
import { connect, type Connection, exponentialBackoff, type Session } from "../../src/client/mod.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** What a {@link Numbers} session saw. */
export interface NumbersCounts {
  resumed: number;
  replayed: number;
  detached: number;
}

/** One session: sends numbers until it is told to stop, and judges that each comes back once, in order, unchanged. */
export class Numbers {
  sent = 0;
  echoed = 0;
  readonly counts: NumbersCounts = { resumed: 0, replayed: 0, detached: 0 };
  /** The first thing that must not happen; null while nothing did. */
  failure: string | null = null;
  readonly session: Session;
  readonly #connection: Connection;
  readonly #random: SeededRandom;
  #stopping = false;

  constructor(url: string, encoding: "msgpack" | "json", random: SeededRandom) {
    this.#random = random;
    // The default waits up to 30 s after many failures in a row; these tests have their storm in seconds.
    const reconnect = exponentialBackoff({ least: 20, first: 100, most: 500 });
    this.session = connect(url, { encoding, reconnect });
    this.session.on("resumed", ({ replayed }) => {
      this.counts.resumed++;
      this.counts.replayed += replayed;
    });
    this.session.on("detached", () => void this.counts.detached++);
    this.session.on("lost", ({ reason, detail }) => this.#fail(`lost: ${reason}: ${detail}`));
    this.session.on("taken-over", () => this.#fail("taken over"));
    this.session.on("ended", ({ reason, detail }) => {
      if (!this.#stopping) this.#fail(`ended: ${reason}: ${detail}`);
    });
    this.#connection = this.session.open("echo");
  }

  /** Resolves when the service took the connection, and so the session has its id. */
  get opened(): Promise<void> {
    return this.#connection.opened;
  }

  /** Sends until `until` settles, then resolves when everything came back, or something failed. */
  async run(until: Promise<void>): Promise<void> {
    let sending = true;
    const stop = until.then(() => void (sending = false));
    const received = this.#receive(() => !sending && this.echoed === this.sent);
    while (sending && this.failure === null) {
      const burst = this.#random.between(1, 8);
      for (let n = 0; n < burst && sending; n++) {
        const number = ++this.sent;
        await this.#connection.send({ number, pad: "x".repeat(number % 90) });
      }
      await pause(this.#random.between(5, 30));
    }
    await stop;
    if (this.echoed < this.sent) await received;
  }

  async close(): Promise<void> {
    this.#stopping = true;
    await this.session.close();
  }

  async #receive(complete: () => boolean): Promise<void> {
    for await (const body of this.#connection) {
      const { number, pad } = body as { number: number; pad: string };
      if (number !== this.echoed + 1) return this.#fail(`${number} came after ${this.echoed}`);
      if (pad !== "x".repeat(number % 90)) return this.#fail(`${number} came back changed`);
      this.echoed = number;
      if (complete()) return;
    }
    this.#fail("the connection ended");
  }

  #fail(what: string): void {
    this.failure ??= what;
  }
}

/** Sessions of both encodings by turns. */
export function manyNumbers(count: number, url: string, random: SeededRandom): Numbers[] {
  return Array.from({ length: count }, (_, index) => {
    return new Numbers(url, index % 2 === 0 ? "msgpack" : "json", random.fork());
  });
}

/** What a {@link underLoad} proved. */
export interface Load {
  readonly sessions: number;
  readonly messages: number;
  readonly resumed: number;
  readonly replayed: number;
  readonly detached: number;
}

/**
 * Lets all sessions send while `disaster` goes on, then asserts that everything sent came back: nothing lost, doubled or
 * reordered, no session lost or replaced by another. Ends the sessions, also when it fails.
 *
 * @param calm How long the last echoes may take after the disaster, milliseconds; a session that waits longer fails.
 * @param least Messages per session, on average, below which there was no load.
 */
export async function underLoad(
  numbers: readonly Numbers[],
  disaster: () => Promise<void>,
  { calm = 20_000, least = 50 }: { readonly calm?: number; readonly least?: number } = {},
): Promise<Load> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let outcome: unknown = null;
  // A disaster that fails ends the load too, and is then told.
  const over = disaster().catch((error) => void (outcome = error));
  const late = over.then(() => new Promise<void>((resolve) => void (timer = setTimeout(resolve, calm))));
  try {
    await Promise.race([Promise.all(numbers.map((each) => each.run(over))), late]);
    clearTimeout(timer);
    if (outcome !== null) throw outcome;
    for (const [index, each] of numbers.entries()) {
      assert.equal(each.failure, null, `session ${index}`);
      assert.equal(each.echoed, each.sent, `session ${index} waits, in phase ${each.session.phase}`);
      assert.ok(each.sent > 0, `session ${index} sent nothing`);
    }
    // One session may spend most of a disaster on dead lines; all of them together do not.
    const sent = sum(numbers, (each) => each.sent);
    assert.ok(sent > least * numbers.length, `only ${sent} messages were sent`);
    assert.equal(new Set(numbers.map((each) => each.session.id)).size, numbers.length);
    return {
      sessions: numbers.length,
      messages: sum(numbers, (each) => each.sent),
      resumed: sum(numbers, (each) => each.counts.resumed),
      replayed: sum(numbers, (each) => each.counts.replayed),
      detached: sum(numbers, (each) => each.counts.detached),
    };
  } finally {
    await Promise.all(numbers.map((each) => each.close()));
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
