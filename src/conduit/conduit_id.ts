/** Ids of conduits, in the order they came to be, whatever their kind. */

let last = 0;

/** The next conduit's id; unique in this process, ascending. */
export function nextConduitId(): number {
  return ++last;
}
