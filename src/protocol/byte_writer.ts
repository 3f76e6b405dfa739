/** Writes MessagePack in its shortest form into a buffer that grows. */

import { allocate } from "./slab.ts";
import { utf8Length } from "./utf8.ts";

const INITIAL_BYTES = 2048;
/** A buffer that one large value made grow beyond this is given back. */
const KEPT_BYTES = 1024 * 1024;
/** Up to here a loop over ASCII beats the call into the platform. */
const SHORT = 200;
const ENCODER = new TextEncoder();
const TWO_32 = 0x1_0000_0000;

/** A growing buffer with one method for each MessagePack form. Integers and lengths take the shortest one. */
export class ByteWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was written after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = length;
    if (length === 0 && this.#bytes.length > KEPT_BYTES) {
      this.#bytes = new Uint8Array(INITIAL_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
    }
  }

  /** A copy of what was written from `from` on. */
  copy(from = 0): Uint8Array {
    const length = this.#length - from;
    const copy = allocate(length);
    // A view for `set` costs more than a short loop.
    if (length > SHORT) copy.set(this.#bytes.subarray(from, this.#length));
    else for (let i = 0; i < length; i++) copy[i] = this.#bytes[from + i]!;
    return copy;
  }

  nil(): void {
    this.#byte(0xc0);
  }

  boolean(value: boolean): void {
    this.#byte(value ? 0xc3 : 0xc2);
  }

  /** @throws {RangeError} If the value is not an integer within ±(2^53 − 1). */
  integer(value: number): void {
    if (value >= 0 && value < 0x80 && Number.isInteger(value)) return this.#byte(value);
    if (!Number.isSafeInteger(value)) {
      throw new RangeError(`an integer within ±(2^53 − 1) is needed, not ${value}`);
    }
    this.#reserve(9);
    const at = this.#length;
    const view = this.#view;
    if (value >= 0) {
      if (value < 0x100) {
        view.setUint16(at, 0xcc00 | value);
        this.#length += 2;
      } else if (value < 0x1_0000) {
        view.setUint8(at, 0xcd);
        view.setUint16(at + 1, value);
        this.#length += 3;
      } else if (value < TWO_32) {
        view.setUint8(at, 0xce);
        view.setUint32(at + 1, value);
        this.#length += 5;
      } else {
        view.setUint8(at, 0xcf);
        this.#halves(value);
      }
    } else if (value >= -0x20) {
      view.setInt8(at, value);
      this.#length += 1;
    } else if (value >= -0x80) {
      view.setUint8(at, 0xd0);
      view.setInt8(at + 1, value);
      this.#length += 2;
    } else if (value >= -0x8000) {
      view.setUint8(at, 0xd1);
      view.setInt16(at + 1, value);
      this.#length += 3;
    } else if (value >= -0x8000_0000) {
      view.setUint8(at, 0xd2);
      view.setInt32(at + 1, value);
      this.#length += 5;
    } else {
      view.setUint8(at, 0xd3);
      this.#halves(value);
    }
  }

  /** @throws {RangeError} If the value does not fit 64 bits. */
  bigint(value: bigint): void {
    if (value >= -MAX_SAFE && value <= MAX_SAFE) return this.integer(Number(value));
    if (value < -(2n ** 63n) || value >= 2n ** 64n) throw new RangeError(`${value} does not fit 64 bits`);
    this.#reserve(9);
    this.#view.setUint8(this.#length, value >= 0n ? 0xcf : 0xd3);
    this.#view.setBigUint64(this.#length + 1, BigInt.asUintN(64, value));
    this.#length += 9;
  }

  float64(value: number): void {
    this.#reserve(9);
    this.#view.setUint8(this.#length, 0xcb);
    // A NaN that was read from elsewhere may carry bits of its own.
    this.#view.setFloat64(this.#length + 1, Number.isNaN(value) ? NaN : value);
    this.#length += 9;
  }

  /** Writes a string. A lone surrogate writes nothing and gives false. */
  string(text: string): boolean {
    const bytes = utf8Length(text);
    if (bytes < 0) return false;
    this.#reserve(bytes + 5);
    if (bytes < 0x20) this.#byte(0xa0 | bytes);
    else this.#lengthHeader(0xd9, bytes);
    const at = this.#length;
    if (bytes === text.length && bytes <= SHORT) {
      for (let i = 0; i < bytes; i++) this.#bytes[at + i] = text.charCodeAt(i);
    } else {
      ENCODER.encodeInto(text, this.#bytes.subarray(at));
    }
    this.#length += bytes;
    return true;
  }

  /** A binary field: header and bytes. */
  binary(bytes: Uint8Array): void {
    this.#reserve(bytes.length + 5);
    this.#lengthHeader(0xc4, bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  array(length: number): void {
    this.#reserve(5);
    if (length < 0x10) this.#byte(0x90 | length);
    else this.#countHeader(0xdc, length);
  }

  map(size: number): void {
    this.#reserve(5);
    if (size < 0x10) this.#byte(0x80 | size);
    else this.#countHeader(0xde, size);
  }

  /** Leaves room for the header of an array or a map whose length shows only at its end. */
  open(): number {
    this.#byte(0);
    return this.#length - 1;
  }

  /** Writes the header of what was opened at `at` and got `count` elements, or entries, since. */
  close(kind: "array" | "map", at: number, count: number): void {
    if (count < 0x10) {
      this.#bytes[at] = (kind === "array" ? 0x90 : 0x80) | count;
      return;
    }
    const more = count < 0x1_0000 ? 2 : 4;
    this.#reserve(more);
    const end = this.#length;
    this.#bytes.copyWithin(at + 1 + more, at + 1, end);
    this.#length = at;
    this[kind](count);
    this.#length = end + more;
  }

  /** Bytes that are MessagePack already. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** `first` is the form with an 8-bit length; those with 16 and 32 bits follow it. */
  #lengthHeader(first: number, length: number): void {
    if (length < 0x100) {
      this.#view.setUint8(this.#length, first);
      this.#view.setUint8(this.#length + 1, length);
      this.#length += 2;
    } else {
      this.#countHeader(first + 1, length);
    }
  }

  /** `first` is the form with a 16-bit count; that with 32 bits follows it. */
  #countHeader(first: number, count: number): void {
    if (count < 0x1_0000) {
      this.#view.setUint8(this.#length, first);
      this.#view.setUint16(this.#length + 1, count);
      this.#length += 3;
    } else {
      this.#view.setUint8(this.#length, first + 1);
      this.#view.setUint32(this.#length + 1, count);
      this.#length += 5;
    }
  }

  #halves(value: number): void {
    this.#view.setInt32(this.#length + 1, Math.floor(value / TWO_32));
    this.#view.setUint32(this.#length + 5, value >>> 0);
    this.#length += 9;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

let spare: ByteWriter | null = new ByteWriter();

/**
 * Lends the one reused writer, empty, for as long as `write` runs. Inside such a call (a getter of a value that is
 * being encoded may encode another) it lends a new one.
 */
export function withWriter<T>(write: (writer: ByteWriter) => T): T {
  const writer = spare ?? new ByteWriter();
  spare = null;
  writer.truncate(0);
  try {
    return write(writer);
  } finally {
    spare = writer;
  }
}
