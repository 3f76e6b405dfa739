/** The body that the load sends: it says whose it is and which one, so that an echo can be checked byte by byte. */

/** MessagePack's `bin 8` marker and length: the encoding of one body value. */
const HEADER_BYTES = 2;
const PEER_AT = 2;
const INDEX_AT = 6;
const FILL_AT = 10;

/** Bodies need room for their header and two numbers, and their length must fit `bin 8`. */
export const BODY_BYTES = { least: 16, most: 257 };

/** One peer's body, rewritten for each message: the encoding of a byte string, {@link TestBody.bytes} long in all. */
export class TestBody {
  /** What the encoding has before the byte string. */
  static readonly headerBytes = HEADER_BYTES;
  readonly bytes: Uint8Array<ArrayBuffer>;

  /** @param size Bytes of the whole encoded body, within {@link BODY_BYTES}. */
  constructor(size: number, peer: number) {
    if (size < BODY_BYTES.least || size > BODY_BYTES.most) {
      throw new RangeError(`a body has ${BODY_BYTES.least} to ${BODY_BYTES.most} bytes, not ${size}`);
    }
    this.bytes = new Uint8Array(size);
    this.bytes[0] = 0xc4;
    this.bytes[1] = size - HEADER_BYTES;
    writeNumber(this.bytes, PEER_AT, peer);
    for (let at = FILL_AT; at < size; at++) this.bytes[at] = at * 31 + peer;
  }

  /** The body of message `index`; valid until the next call. */
  number(index: number): Uint8Array<ArrayBuffer> {
    writeNumber(this.bytes, INDEX_AT, index);
    return this.bytes;
  }

  /** Says how an echo of message `index` differs from it, or null. */
  mismatch(echo: Uint8Array, index: number): string | null {
    const { bytes } = this;
    if (echo.length !== bytes.length) return `an echo has ${echo.length} bytes instead of ${bytes.length}`;
    const found = readNumber(echo, INDEX_AT);
    if (found !== index) return `expected the echo of message ${index}, got that of ${found}`;
    for (let at = 0; at < INDEX_AT; at++) {
      if (echo[at] !== bytes[at]) return `byte ${at} of the echo of message ${index} is wrong`;
    }
    for (let at = FILL_AT; at < bytes.length; at++) {
      if (echo[at] !== bytes[at]) return `byte ${at} of the echo of message ${index} is wrong`;
    }
    return null;
  }
}

function writeNumber(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function readNumber(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
}
