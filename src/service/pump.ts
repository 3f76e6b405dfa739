/** Sends what a handler's iterator gives on a call's download. */

import type { Gate } from "./gate.ts";
import type { ServedCall } from "./service.ts";

/** What a download is sent with. */
type Sink = Pick<ServedCall, "signal" | "trySend" | "whenCredit">;

/**
 * Takes item after item while the client's credit allows it, and never more than one ahead of it.
 *
 * However it comes out, the iterator has said that it is at its end, or was told to `return`: in the moment in which the call was
 * over, too. What it still gives goes nowhere.
 *
 * @param items An iterator's source, synchronous or not.
 * @returns True when all was sent, false when the call is over; the iterator has done what it does when it is told to return.
 * @throws What the iterator threw. `TypeError` for something that gives no items, or for an item that `gate` refuses: that is
 * told at once, whatever time the iterator takes to return.
 */
export async function pump(sink: Sink, items: unknown, gate: Gate): Promise<boolean> {
  const { signal } = sink;
  const iterator = iteratorOf(items);
  /** The iterator has more to give, as far as it said. */
  let running = true;
  /** It is inside `next`, where a synchronous one cannot be told anything. */
  let busy = false;
  let left: Promise<unknown> | null = null;
  const leave = (): Promise<unknown> => {
    if (left !== null) return left;
    left = returned(iterator);
    // Where it is not waited for below there was an error before it, and that counts, or `next` never ends.
    left.catch(() => {});
    return left;
  };
  const onAbort = () => {
    if (!busy) leave();
  };
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      running = false;
      busy = true;
      const next = iterator.next();
      busy = false;
      if (signal.aborted) leave();
      const step = "then" in next ? await next : next;
      if (step.done === true) break;
      running = true;
      if (signal.aborted) break;
      const body = gate.give(step.value);
      while (!sink.trySend(body)) {
        await sink.whenCredit();
        if (signal.aborted) break;
      }
    }
  } catch (error) {
    if (running) leave();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  if (running || left !== null) await leave();
  return !signal.aborted;
}

type AnyIterator = {
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>>;
  return?(): unknown;
};

function iteratorOf(items: unknown): AnyIterator {
  if (typeof items === "object" && items !== null) {
    if (Symbol.asyncIterator in items) return (items as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    if (Symbol.iterator in items) return (items as Iterable<unknown>)[Symbol.iterator]();
  }
  throw new TypeError("a handler with a download must give something to iterate over");
}

async function returned(iterator: AnyIterator): Promise<void> {
  await iterator.return?.();
}
