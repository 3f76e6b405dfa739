/** Guesses which name was meant. */

/** The number of insertions, deletions and replacements that turn one text into the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line++) {
    const next = [line];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/**
 * The name most like a mistyped one.
 *
 * @param mistyped What was written; only its first 100 characters are compared.
 * @param names At least one.
 */
export function nearest(mistyped: string, names: readonly string[]): string {
  const scored = names.map((name) => ({ name, far: distance(mistyped.slice(0, 100), name) }));
  scored.sort((a, b) => a.far - b.far);
  return scored[0]?.name ?? "";
}
