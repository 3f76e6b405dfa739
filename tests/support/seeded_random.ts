/** Randomness that a test can repeat: the same seed gives the same run. */

import type { Random } from "../../src/system/random.ts";

/** A {@link Random} from a seed (sfc32, seeded through splitmix32). Not for secrets. */
export class SeededRandom implements Random {
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed Any integer; its low 32 bits count. Print it when a test fails. */
  constructor(seed: number) {
    this.seed = seed;
    let state = seed | 0;
    const next = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let round = 0; round < 12; round++) this.uint32();
  }

  /** An integer in 0 … 2^32−1. */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21 | this.#c >>> 11) + result) | 0;
    return result >>> 0;
  }

  /** A number in 0 … 1 (1 excluded). */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** An integer in 0 … `below`−1. */
  int(below: number): number {
    return Math.floor(this.float() * below);
  }

  /** An integer in `low` … `high`, both included. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1);
  }

  /** Whether something of this probability (0 … 1) happens now. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of the items. @throws RangeError if there is none. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("cannot pick from an empty list");
    return items[this.int(items.length)]!;
  }

  /** The items in a random order, in a new array. */
  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let last = result.length - 1; last > 0; last--) {
      const other = this.int(last + 1);
      [result[last], result[other]] = [result[other]!, result[last]!];
    }
    return result;
  }

  /** An independent generator, so that one part of a simulation can draw more without changing another. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32());
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(length);
    for (let index = 0; index < length; index += 4) {
      const word = this.uint32();
      for (let part = 0; part < 4 && index + part < length; part++) {
        result[index + part] = (word >>> (8 * part)) & 0xff;
      }
    }
    return result;
  }
}
