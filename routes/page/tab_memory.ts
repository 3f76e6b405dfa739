/**
 * What the tab keeps across a reload, in `sessionStorage`.
 *
 * The SDK's state and the tally are **one** item, written in one call. Kept apart, a reload between the two writes would
 * leave one of them behind: an echo that the tally counted and the SDK delivers again looks doubled, the other way round
 * it looks lost. So the tally is only ever written where the SDK writes, and the page keeps its side of the bargain: it
 * counts a message in the turn in which it sends it, and an echo before it asks for the next one.
 */

import type { ClientStorage } from "../../src/client/mod.ts";
import { type History, newHistory } from "./history_state.ts";
import { newTally, type Tally } from "./tally_state.ts";

const SESSION_ITEM = "holdfast.page.session";
const VIEW_ITEM = "holdfast.page.view";
/** Goes up when the shape of an item changes; an item of another version is not read. */
const VERSION = 1;

interface SessionItem {
  readonly version: number;
  readonly client: string;
  readonly tally: Tally;
}

/** What is shown but proves nothing; it may be older than the session's item. */
export interface View {
  readonly version: number;
  readonly history: History;
  /** Messages per second. */
  rate: number;
  paused: boolean;
  /** Echoes per second of the clock (seconds since the Unix epoch), oldest first. */
  readonly echoes: { readonly second: number; count: number }[];
}

/** The storage that the SDK is given, and the page's own memory. */
export class TabMemory implements ClientStorage {
  /** The tally of the session; replaced by {@link TabMemory.restart} alone. */
  tally: Tally;
  view: View;
  readonly #storage: Storage;
  #client: string | null;

  constructor(storage: Storage) {
    this.#storage = storage;
    const session = this.#read<SessionItem>(SESSION_ITEM);
    this.#client = session?.client ?? null;
    this.tally = session?.tally ?? newTally();
    // A view without its session belongs to one that is over.
    this.view = (session === null ? null : this.#read<View>(VIEW_ITEM)) ?? newView();
  }

  /** Whether there is a session to go on with. */
  get holdsSession(): boolean {
    return this.#client !== null;
  }

  get(_key: string): string | null {
    return this.#client;
  }

  set(_key: string, client: string): void {
    const item: SessionItem = { version: VERSION, client, tally: this.tally };
    this.#storage.setItem(SESSION_ITEM, JSON.stringify(item));
    this.#client = client;
  }

  remove(_key: string): void {
    this.#client = null;
    this.#storage.removeItem(SESSION_ITEM);
  }

  saveView(): void {
    this.#storage.setItem(VIEW_ITEM, JSON.stringify(this.view));
  }

  /** Forgets the session and its numbers; rate and pause stay as they are. */
  restart(): void {
    this.remove("");
    this.tally = newTally();
    this.view = { ...newView(), rate: this.view.rate, paused: this.view.paused };
    this.saveView();
  }

  #read<T extends { readonly version: number }>(name: string): T | null {
    const text = this.#storage.getItem(name);
    if (text === null) return null;
    const item = JSON.parse(text) as T;
    return item.version === VERSION ? item : null;
  }
}

/** Counts one echo for the timeline's bars. @param now Milliseconds since the Unix epoch. */
export function countEcho(view: View, now: number, keptSeconds: number): void {
  const second = Math.floor(now / 1_000);
  const last = view.echoes.at(-1);
  if (last?.second === second) last.count++;
  else view.echoes.push({ second, count: 1 });
  while ((view.echoes[0]?.second ?? second) < second - keptSeconds) view.echoes.shift();
}

function newView(): View {
  return { version: VERSION, history: newHistory(), rate: 20, paused: false, echoes: [] };
}
