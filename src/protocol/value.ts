/** Builds values from MessagePack that {@link walk} has found well-formed. */

import type { BodyValue } from "./body.ts";
import { declaredLength, lengthBytes, numberBytes, readCount } from "./scan.ts";
import { readUtf8 } from "./utf8.ts";

/**
 * Reads the one value of `bytes`, which `walk` has found well-formed. Nothing in the result shares memory with them.
 *
 * Integers within ±(2^53 − 1) and integral floats in that range are the same `number`, −0 is 0, larger integers are
 * `bigint` (`frame.body`).
 */
export function readValue(bytes: Uint8Array): BodyValue {
  return new ValueReader(bytes, 0).next();
}

/** Reads one well-formed value after the other. */
export class ValueReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, from: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = from;
  }

  next(): BodyValue {
    const bytes = this.#bytes;
    const at = this.#at;
    const head = bytes[at]!;
    if (head < 0x80) {
      this.#at++;
      return head;
    }
    if (head < 0x90 || head === 0xde || head === 0xdf) return this.#map(this.#enter(head));
    if (head < 0xa0 || head === 0xdc || head === 0xdd) return this.#array(this.#enter(head));
    if (head < 0xc0 || head >= 0xd9 && head <= 0xdb) {
      const length = this.#enter(head);
      this.#at += length;
      return readUtf8(bytes, this.#at - length, this.#at);
    }
    if (head >= 0xc4 && head <= 0xc6) {
      const length = this.#enter(head);
      this.#at += length;
      return bytes.slice(this.#at - length, this.#at);
    }
    this.#at += numberBytes(head);
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return this.#view.getFloat32(at + 1) + 0;
      case 0xcb:
        return this.#view.getFloat64(at + 1) + 0;
      case 0xd0:
        return this.#view.getInt8(at + 1);
      case 0xd1:
        return this.#view.getInt16(at + 1);
      case 0xd2:
        return this.#view.getInt32(at + 1);
      case 0xcf:
        return safe(this.#view.getBigUint64(at + 1));
      case 0xd3:
        return safe(this.#view.getBigInt64(at + 1));
      default:
        return head >= 0xe0 ? head - 0x100 : readCount(bytes, at, bytes.length);
    }
  }

  /** Where the binary is that comes next, and moves behind it; null, and stays, if it is something else. */
  binary(): { readonly from: number; readonly to: number } | null {
    const head = this.#bytes[this.#at]!;
    if (head < 0xc4 || head > 0xc6) return null;
    const length = this.#enter(head);
    this.#at += length;
    return { from: this.#at - length, to: this.#at };
  }

  /** Moves behind the header of a string, binary, array or map and gives the length it declares. */
  #enter(head: number): number {
    const length = declaredLength(this.#bytes, this.#at, head);
    this.#at += 1 + lengthBytes(head);
    return length;
  }

  #array(length: number): BodyValue[] {
    const items: BodyValue[] = [];
    for (let i = 0; i < length; i++) items.push(this.next());
    return items;
  }

  #map(size: number): { [key: string]: BodyValue } {
    const map: { [key: string]: BodyValue } = {};
    for (let i = 0; i < size; i++) {
      const length = this.#enter(this.#bytes[this.#at]!);
      this.#at += length;
      const key = readUtf8(this.#bytes, this.#at - length, this.#at);
      map[key] = this.next();
    }
    return map;
  }
}

function safe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
