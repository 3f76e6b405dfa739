/** The texts that the sessions of the bench exchange, and what became of them. */

/** Characters, and bytes, of each text. */
export const TEXT_BYTES = 100;

/** The text of message `index` of conversation `number`: it says which one it is, and is {@link TEXT_BYTES} long. */
export function textOf(number: number, index: number): string {
  return `${number}.${index}.`.padEnd(TEXT_BYTES, ".");
}

/** Which message a text is; null if it is none of conversation `number`, or was changed on its way. */
export function indexOf(number: number, text: string): number | null {
  const index = Number(text.slice(`${number}.`.length, text.indexOf(".", `${number}.`.length)));
  return textOf(number, index) === text ? index : null;
}

/** What became of the messages of one conversation. */
export class Fate {
  /** Messages that came for the first time. */
  arrived = 0;
  /** Messages that came again. */
  doubled = 0;
  /** Messages that came after a later one. */
  late = 0;
  #next = 0;
  readonly #missing = new Set<number>();

  /** The highest index that came; −1 before the first. */
  get highest(): number {
    return this.#next - 1;
  }

  /** Message `index` came. */
  took(index: number): void {
    if (index >= this.#next) {
      for (let absent = this.#next; absent < index; absent++) this.#missing.add(absent);
      this.#next = index + 1;
      this.arrived++;
    } else if (this.#missing.delete(index)) {
      this.late++;
      this.arrived++;
    } else {
      this.doubled++;
    }
  }
}
