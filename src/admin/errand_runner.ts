/**
 * Carries wishes between nodes that cannot reach each other: through the store, in one row and back in another.
 *
 * An errand is taken off the store before it is run, so it runs at most once; what must happen exactly once brings a
 * key of its own.
 */

import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import { join } from "../storage/outbox_write.ts";
import * as keys from "../storage/keys.ts";
import type { Put, SessionStore, StoredEntry } from "../storage/session_store.ts";
import { type Clock, sleepUntil } from "../system/clock.ts";
import { publicId, type Random } from "../system/random.ts";
import {
  decodeErrand,
  decodeOutcome,
  encodeErrand,
  encodeOutcome,
  type Wish,
  type WishOutcome,
} from "./errand.ts";

/** How often a node looks for errands, and one that asked for its answer; milliseconds. */
export const ERRANDS_EVERY_MS = 500;
const ANSWER_EVERY_MS = 100;
/** How long an answer is waited for; milliseconds. */
export const ERRAND_PATIENCE_MS = 8_000;
/** After this the store may drop what nobody fetched; milliseconds. */
const BACKSTOP_MS = 60_000;
const PART_BYTES = 60 * 1024;
/** Rows looked at in one go. */
const BATCH = 100;

/** What errands need. */
export interface ErrandPorts {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This node's process. */
  readonly boot: string;
}

export class Errands {
  readonly #ports: ErrandPorts;
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(ports: ErrandPorts) {
    this.#ports = ports;
  }

  /** Asks another node's process and waits for its answer; `unanswered` if none comes in time. */
  async ask(boot: string, wish: Wish): Promise<WishOutcome> {
    const { store, clock, random } = this.#ports;
    const errand = publicId(random);
    const until = clock.now() + ERRAND_PATIENCE_MS;
    const bytes = encodeErrand({ wish, until });
    const puts: Put[] = [];
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      const value = bytes.subarray(at, Math.min(at + PART_BYTES, bytes.length));
      puts.push({ key: keys.errandKey(boot, errand, puts.length), value, expireIn: BACKSTOP_MS });
    }
    await store.atomic({ checks: [], puts, deletes: [] });
    while (clock.now() < until) {
      await sleepUntil(clock, clock.now() + ANSWER_EVERY_MS);
      const [row] = await store.get([keys.answerKey(errand)]);
      if (row === null || row === undefined) continue;
      await store.atomic({ checks: [], puts: [], deletes: [keys.answerKey(errand)] });
      return decodeOutcome(row.value);
    }
    return { kind: "unanswered" };
  }

  /** Looks for errands to this node until {@link stop}. */
  start(fulfil: (wish: Wish) => Promise<WishOutcome>): void {
    const { clock, log } = this.#ports;
    this.#cancel = clock.wakeAt(clock.now() + ERRANDS_EVERY_MS, () => {
      this.#running = this.run(fulfil)
        .catch((error: unknown) => log.warn("errands-failed", { error: describeError(error) }))
        .finally(() => {
          this.#running = null;
          if (!this.#stopped) this.start(fulfil);
        });
    });
  }

  /** Resolves when what is being run is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
  }

  /** Runs all errands that are there for this node. */
  async run(fulfil: (wish: Wish) => Promise<WishOutcome>): Promise<void> {
    const { store, boot } = this.#ports;
    for (;;) {
      const [first] = await store.list(keys.errandsFor(boot), { limit: 1 });
      if (first === undefined) return;
      const errand = first.key[2] as string;
      const range = { prefix: [...first.key.slice(0, 3)] };
      await this.#runOne(errand, await store.list(range, { limit: BATCH }), fulfil);
    }
  }

  async #runOne(
    errand: string,
    parts: readonly StoredEntry[],
    fulfil: (wish: Wish) => Promise<WishOutcome>,
  ): Promise<void> {
    const { store, clock, log } = this.#ports;
    await store.atomic({ checks: [], puts: [], deletes: parts.map(({ key }) => key) });
    const values = parts.map(({ value }) => value);
    const { wish, until } = decodeErrand(join(values, values.reduce((sum, value) => sum + value.length, 0)));
    if (clock.now() >= until) {
      // Whoever is blocked still is to be kept out of a node that was away for a while.
      if (wish.wish === "keep-out") return void await fulfil(wish);
      return log.info("errand-too-late", { session: wish.session, wish: wish.wish });
    }
    const value = encodeOutcome(await fulfil(wish));
    const put = { key: keys.answerKey(errand), value, expireIn: BACKSTOP_MS };
    await store.atomic({ checks: [], puts: [put], deletes: [] });
  }
}
