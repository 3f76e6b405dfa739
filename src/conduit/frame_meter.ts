/** How much of a WebSocket frame has come, by the headers on its line (RFC 6455, 5.2). */

/** The mask of a client's frame. */
const MASK_BYTES = 4;

/** The opcode of a close frame. */
const CLOSE = 0x8;

/**
 * Walks from header to header and counts what belongs to a message that has not ended, fragments together.
 *
 * It judges nothing: whoever takes the frames apart refuses what is malformed, and after that the count means nothing.
 */
export class FrameMeter {
  /** Bytes of the message that has begun and not ended, its headers included; control frames between fragments are not. */
  unfinished = 0;
  /** A close frame came to its end. */
  closed = false;
  /** Bytes of the present header that were seen, and that it has. */
  #seen = 0;
  #size = 0;
  #length = 0;
  /** Bytes that the present frame's payload lacks. */
  #missing = 0;
  #final = false;
  #opcode = 0;

  /** Takes the next bytes of the line. @returns true if a message ended in them. */
  read(chunk: Uint8Array): boolean {
    let ended = false;
    let at = 0;
    while (at < chunk.length) {
      if (this.#missing > 0) {
        const taken = Math.min(this.#missing, chunk.length - at);
        at += taken;
        this.#missing -= taken;
        if (!this.#control) this.unfinished += taken;
      } else if (!this.#header(chunk[at++]!)) {
        continue;
      }
      if (this.#missing > 0) continue;
      if (this.#opcode === CLOSE) this.closed = true;
      if (!this.#final || this.#control) continue;
      this.unfinished = 0;
      ended = true;
    }
    return ended;
  }

  get #control(): boolean {
    return (this.#opcode & 0x08) !== 0;
  }

  /** Takes a byte of a header. @returns true if it was the last. */
  #header(byte: number): boolean {
    const index = this.#seen++;
    if (index === 0) {
      this.#final = (byte & 0x80) !== 0;
      this.#opcode = byte & 0x0f;
      return false;
    }
    if (index === 1) {
      const length = byte & 0x7f;
      this.#length = length < 126 ? length : 0;
      this.#size = 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + MASK_BYTES;
      return false;
    }
    if (index < this.#size - MASK_BYTES) this.#length = this.#length * 256 + byte;
    if (this.#seen < this.#size) return false;
    this.#seen = 0;
    this.#missing = this.#length;
    if (!this.#control) this.unfinished += this.#size;
    return true;
  }
}
