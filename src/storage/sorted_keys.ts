/** An ordered set of strings. */

const LARGEST_BUCKET = 512;

/**
 * Strings in code-unit order, in buckets small enough that an insertion moves little.
 *
 * Adding, deleting and finding take the time of two binary searches and one move within a bucket.
 */
export class SortedKeys {
  /** Each sorted and not empty; all of one below all of the next. */
  #buckets: string[][] = [];

  /** @param key Must not be in the set. */
  add(key: string): void {
    if (this.#buckets.length === 0) {
      this.#buckets.push([key]);
      return;
    }
    const index = Math.min(this.#bucketOf(key), this.#buckets.length - 1);
    const bucket = this.#buckets[index]!;
    bucket.splice(lowerBound(bucket, key), 0, key);
    if (bucket.length > LARGEST_BUCKET) {
      this.#buckets.splice(index + 1, 0, bucket.splice(bucket.length >>> 1));
    }
  }

  /** Does nothing if the key is not in the set. */
  delete(key: string): void {
    const index = this.#bucketOf(key);
    const bucket = this.#buckets[index];
    if (bucket === undefined) return;
    const at = lowerBound(bucket, key);
    if (bucket[at] !== key) return;
    bucket.splice(at, 1);
    if (bucket.length === 0) this.#buckets.splice(index, 1);
  }

  clear(): void {
    this.#buckets = [];
  }

  /**
   * The keys from `start` (inclusive) to `end` (exclusive), in order or in reverse. The set must not change while
   * this is read.
   */
  *between(start: string, end: string, reverse: boolean): Generator<string> {
    if (reverse) yield* this.#down(start, end);
    else yield* this.#up(start, end);
  }

  *#up(start: string, end: string): Generator<string> {
    for (let index = this.#bucketOf(start); index < this.#buckets.length; index++) {
      const bucket = this.#buckets[index]!;
      for (let at = lowerBound(bucket, start); at < bucket.length; at++) {
        if (bucket[at]! >= end) return;
        yield bucket[at]!;
      }
    }
  }

  *#down(start: string, end: string): Generator<string> {
    for (let index = Math.min(this.#bucketOf(end), this.#buckets.length - 1); index >= 0; index--) {
      const bucket = this.#buckets[index]!;
      for (let at = lowerBound(bucket, end) - 1; at >= 0; at--) {
        if (bucket[at]! < start) return;
        yield bucket[at]!;
      }
    }
  }

  /** The first bucket whose last key is at or above `key`; their number if there is none. */
  #bucketOf(key: string): number {
    let low = 0;
    let high = this.#buckets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const bucket = this.#buckets[middle]!;
      if (bucket[bucket.length - 1]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Where `key` is in a sorted list, or would be inserted. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
