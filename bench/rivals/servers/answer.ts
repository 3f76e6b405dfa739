/** What the servers that are written for the bench do: they send texts back, and missed ones later. */

import { MISSED_AFTER_MS } from "../conversation.ts";
import { textOf } from "../text.ts";

/** Asks a server to send `count` texts of a conversation when its client is gone; `first` is the first one's index. */
export function later(number: number, first: number, count: number): string {
  return `later ${number} ${first} ${count}`;
}

/**
 * Answers a text.
 *
 * @param now Sends to the client that sent it.
 * @param whenGone Sends to the same client when its transport is gone, as the system wants that to be done.
 */
export function answer(text: string, now: (text: string) => void, whenGone = now): void {
  if (!text.startsWith("later ")) return now(text);
  const [number = 0, first = 0, count = 0] = text.slice("later ".length).split(" ").map(Number);
  setTimeout(() => {
    for (let index = first; index < first + count; index++) whenGone(textOf(number, index));
  }, MISSED_AFTER_MS);
}
