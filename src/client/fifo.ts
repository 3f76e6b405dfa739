/** A first-in first-out list whose removals cost nothing, also when it is long. */

/** Plain and serialisable; use the functions below. */
export interface Fifo<T> {
  items: T[];
  head: number;
}

/** A list that holds `items`, first one first. */
export function fifo<T>(items: T[] = []): Fifo<T> {
  return { items, head: 0 };
}

/** How many there are. */
export function size(list: Fifo<unknown>): number {
  return list.items.length - list.head;
}

/** The first one; undefined if there is none. */
export function first<T>(list: Fifo<T>): T | undefined {
  return list.items[list.head];
}

/** The last one; undefined if there is none. */
export function last<T>(list: Fifo<T>): T | undefined {
  return size(list) === 0 ? undefined : list.items.at(-1);
}

/** All of them in order, in an array of its own. */
export function all<T>(list: Fifo<T>): T[] {
  return list.items.slice(list.head);
}

/** Removes the first one and gives it. */
export function shift<T>(list: Fifo<T>): T | undefined {
  if (list.head >= list.items.length) return undefined;
  const item = list.items[list.head++];
  if (list.head === list.items.length) {
    list.items.length = 0;
    list.head = 0;
  } else if (list.head >= 256 && list.head * 2 >= list.items.length) {
    list.items = list.items.slice(list.head);
    list.head = 0;
  }
  return item;
}

/** Removes the first one that is `unwanted`, wherever it stands. @returns False if there is none. */
export function remove<T>(list: Fifo<T>, unwanted: (item: T) => boolean): boolean {
  const index = list.items.findIndex((item, at) => at >= list.head && unwanted(item));
  if (index < 0) return false;
  list.items.splice(index, 1);
  if (list.head === list.items.length) {
    list.items.length = 0;
    list.head = 0;
  }
  return true;
}
