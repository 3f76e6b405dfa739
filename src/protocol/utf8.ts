/** UTF-8 as `frame.body` demands it: no overlong forms, no surrogates, nothing cut short. */

/** True if `bytes[from … to)` is well-formed UTF-8. */
export function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to) {
    const lead = bytes[i]!;
    if (lead < 0x80) {
      i++;
    } else if (lead < 0xc2) {
      return false;
    } else if (lead < 0xe0) {
      if (!isContinuation(bytes, i + 1, to, 1)) return false;
      i += 2;
    } else if (lead < 0xf0) {
      if (!isContinuation(bytes, i + 1, to, 2)) return false;
      const second = bytes[i + 1]!;
      if (lead === 0xe0 && second < 0xa0 || lead === 0xed && second > 0x9f) return false;
      i += 3;
    } else if (lead < 0xf5) {
      if (!isContinuation(bytes, i + 1, to, 3)) return false;
      const second = bytes[i + 1]!;
      if (lead === 0xf0 && second < 0x90 || lead === 0xf4 && second > 0x8f) return false;
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

/** The UTF-8 length of a string in bytes, or −1 if it holds a lone surrogate. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length++;
    } else if (unit < 0xd800 || unit > 0xdfff) {
      length += 2;
    } else {
      const low = unit > 0xdbff ? 0 : text.charCodeAt(i + 1);
      if (!(low >= 0xdc00 && low <= 0xdfff)) return -1;
      length += 2;
      i++;
    }
  }
  return length;
}

/** Reads well-formed UTF-8. A byte order mark is a character like any other. */
export function readUtf8(bytes: Uint8Array, from: number, to: number): string {
  if (to - from > SHORT) return DECODER.decode(bytes.subarray(from, to));
  let text = "";
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) return DECODER.decode(bytes.subarray(from, to));
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Up to here a loop over ASCII beats the call into the platform. */
const SHORT = 24;

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isContinuation(bytes: Uint8Array, at: number, to: number, count: number): boolean {
  if (at + count > to) return false;
  for (let i = at; i < at + count; i++) {
    if ((bytes[i]! & 0xc0) !== 0x80) return false;
  }
  return true;
}
