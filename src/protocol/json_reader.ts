/**
 * Reads JSON as the protocol means it: bodies become MessagePack on the way, and what `JSON.parse` would pass over in
 * silence (a key twice, a lone surrogate) is seen.
 */

import { fromBase64Url } from "./base64url.ts";
import { type ByteWriter, withWriter } from "./byte_writer.ts";
import { type BodyField, malformedBody } from "./assemble.ts";
import { MAX_DEPTH } from "./limits.ts";
import { type RuleId, violation } from "./rules.ts";

/** Thrown inside the JSON decoder alone, and caught there: the frame breaks a rule. */
export class JsonRefused extends Error {
  readonly violation: ReturnType<typeof violation>;

  constructor(rule: RuleId, detail: string) {
    super(detail);
    this.violation = violation(rule, detail);
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const INTEGER_64 = /^-?[1-9][0-9]{15,19}$/;

/** Reads values from one text, from left to right. A line feed ends a message and is no white space inside one. */
export class JsonReader {
  readonly #text: string;
  #at = 0;
  /** What breaks `frame.body` in the body being read. */
  #malformed: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Moves past white space; true if nothing of the text is left. */
  atEnd(): boolean {
    this.#space();
    return this.#at === this.#text.length;
  }

  /** Takes `character` if it comes next, after white space. */
  take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** @throws {JsonRefused} If `character` does not come next. */
  need(character: string): void {
    if (!this.take(character)) throw this.#syntax(`expected ${JSON.stringify(character)}`);
  }

  /** Reads a value of a header. `depth` counts the containers around it. */
  header(depth: number): unknown {
    this.#space();
    switch (this.#text[this.#at]) {
      case '"': {
        const text = this.#string();
        if (!text.isWellFormed()) throw new JsonRefused("frame.header", "a string with a lone surrogate");
        return text;
      }
      case "[": {
        this.#deeper(depth);
        const items: unknown[] = [];
        this.#each("]", () => void items.push(this.header(depth + 1)));
        return items;
      }
      case "{": {
        this.#deeper(depth);
        const map: { [key: string]: unknown } = {};
        this.#each("}", () => {
          const key = this.header(depth + 1);
          if (typeof key !== "string") throw this.#syntax("expected a key");
          this.need(":");
          if (key === "__proto__") throw new JsonRefused("frame.header", 'a map holds the key "__proto__"');
          if (Object.hasOwn(map, key)) throw new JsonRefused("frame.header", "a map holds a key twice");
          map[key] = this.header(depth + 1);
        });
        return map;
      }
      default:
        return this.#scalar();
    }
  }

  /** Reads a body. Only what is no JSON throws; what breaks `frame.body` is reported in the result. */
  body(): BodyField {
    this.#malformed = undefined;
    const body = withWriter((writer) => {
      this.#value(writer, 0);
      return this.#malformed === undefined ? writer.copy() : null;
    });
    return body === null ? malformedBody(this.#malformed ?? "") : { body };
  }

  #value(writer: ByteWriter, depth: number): void {
    this.#space();
    const first = this.#text[this.#at];
    if (first === '"') return this.#writeString(writer, this.#string());
    if (first === "[" || first === "{") {
      if (depth === MAX_DEPTH) {
        this.#malformed ??= `nested deeper than ${MAX_DEPTH} containers`;
        return this.#skip();
      }
      return first === "[" ? this.#array(writer, depth + 1) : this.#object(writer, depth + 1);
    }
    const value = this.#scalar();
    if (value === null) writer.nil();
    else if (typeof value === "boolean") writer.boolean(value);
    else if (Number.isSafeInteger(value)) writer.integer(value);
    else if (Number.isFinite(value)) writer.float64(value);
    else this.#malformed ??= "a number beyond float64";
  }

  #array(writer: ByteWriter, depth: number): void {
    const at = writer.open();
    let count = 0;
    this.#each("]", () => {
      this.#value(writer, depth);
      count++;
    });
    writer.close("array", at, count);
  }

  #object(writer: ByteWriter, depth: number): void {
    const at = writer.open();
    const keys = new Set<string>();
    let first = "";
    let firstText: string | null = null;
    let valueAt = 0;
    this.#each("}", () => {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#syntax("expected a key");
      const key = this.#string();
      this.need(":");
      if (key === "__proto__") this.#malformed ??= 'a map holds the key "__proto__"';
      this.#writeString(writer, key);
      this.#space();
      if (keys.size === 0) {
        first = key;
        valueAt = writer.length;
        if (key[0] === "$" && this.#text[this.#at] === '"') {
          firstText = this.#string();
          // Whether it is text shows at the end of the object; until then it is.
          this.#writeString(writer, firstText);
          keys.add(key);
          return;
        }
      } else if (keys.has(key)) {
        this.#malformed ??= "a map holds a key twice";
      }
      keys.add(key);
      this.#value(writer, depth);
    });
    if (keys.size !== 1 || first[0] !== "$") return writer.close("map", at, keys.size);
    if (first[1] === "$") {
      const value = writer.copy(valueAt);
      writer.truncate(at);
      writer.map(1);
      this.#writeString(writer, first.slice(1));
      return writer.raw(value);
    }
    writer.truncate(at);
    this.#escaped(writer, first, firstText);
  }

  /** `{"$bin": …}`, `{"$int": …}` or `{"$float": …}`. */
  #escaped(writer: ByteWriter, key: string, text: string | null): void {
    if (text !== null) {
      if (key === "$bin") {
        const bytes = fromBase64Url(text);
        if (bytes !== null) return writer.binary(bytes);
      } else if (key === "$int" && INTEGER_64.test(text)) {
        const value = BigInt(text);
        const fits = value >= -(2n ** 63n) && value < 2n ** 64n;
        if (fits && !Number.isSafeInteger(Number(value))) return writer.bigint(value);
      } else if (key === "$float") {
        if (text === "NaN") return writer.float64(NaN);
        if (text === "Infinity") return writer.float64(Infinity);
        if (text === "-Infinity") return writer.float64(-Infinity);
      }
    }
    this.#malformed ??= `an object whose only key is ${
      JSON.stringify(key.slice(0, 20))
    } must be an escape of frame.body`;
  }

  #writeString(writer: ByteWriter, text: string): void {
    if (!writer.string(text)) this.#malformed ??= "a string with a lone surrogate";
  }

  /** Calls `element` at each element, or entry, of the container that begins here. */
  #each(close: "]" | "}", element: () => void): void {
    this.#at++;
    if (this.take(close)) return;
    do element(); while (this.take(","));
    this.need(close);
  }

  /** Passes one container of any depth without recursion: what is too deep must still be JSON. */
  #skip(): void {
    // A bit for each open container: is it an object?
    let open = new Uint8Array(64);
    let level = 0;
    while (true) {
      this.#space();
      const character = this.#text[this.#at];
      if (character === "[" || character === "{") {
        this.#at++;
        const object = character === "{";
        if (!this.take(object ? "}" : "]")) {
          level++;
          if (level >> 3 >= open.length) open = grown(open);
          const bit = 1 << (level & 7);
          open[level >> 3] = object ? open[level >> 3]! | bit : open[level >> 3]! & ~bit;
          if (object) this.#skipKey();
          continue;
        }
      } else if (character === '"') {
        this.#string();
      } else {
        this.#scalar();
      }
      // A value is complete; so may be the containers that it ends.
      while (true) {
        if (level === 0) return;
        const object = (open[level >> 3]! >> (level & 7) & 1) === 1;
        if (this.take(",")) {
          if (object) this.#skipKey();
          break;
        }
        this.need(object ? "}" : "]");
        level--;
      }
    }
  }

  #skipKey(): void {
    this.#space();
    if (this.#text[this.#at] !== '"') throw this.#syntax("expected a key");
    this.#string();
    this.need(":");
  }

  #scalar(): number | boolean | null {
    const text = this.#text;
    const at = this.#at;
    const code = text.charCodeAt(at);
    if (code === 0x2d || code >= 0x30 && code <= 0x39) return this.#number();
    for (const [word, value] of WORDS) {
      if (text.startsWith(word, at)) {
        this.#at += word.length;
        return value;
      }
    }
    throw this.#syntax("expected a value");
  }

  #number(): number {
    const text = this.#text;
    const from = this.#at;
    // Most are short integers.
    let at = from;
    let value = 0;
    let code = text.charCodeAt(at);
    if (code !== 0x30) {
      while (code >= 0x30 && code <= 0x39 && at - from < 15) {
        value = value * 10 + code - 0x30;
        code = text.charCodeAt(++at);
      }
      const plain = at > from && !(code >= 0x30 && code <= 0x39) && code !== 0x2e && (code | 0x20) !== 0x65;
      if (plain) {
        this.#at = at;
        return value;
      }
    }
    NUMBER.lastIndex = from;
    const match = NUMBER.exec(text);
    if (match === null) throw this.#syntax("expected a number");
    this.#at = NUMBER.lastIndex;
    // `+ 0` makes −0 the 0 that it is.
    return Number(match[0]) + 0;
  }

  #string(): string {
    const text = this.#text;
    const from = this.#at + 1;
    let at = from;
    let escaped = false;
    while (true) {
      const code = text.charCodeAt(at);
      if (code === 0x22) break;
      if (code === 0x5c) {
        escaped = true;
        at += 2;
      } else if (code >= 0x20) {
        at++;
      } else {
        // Past the end `code` is NaN.
        throw this.#syntax("a string that does not end, or holds a control character");
      }
    }
    this.#at = at + 1;
    if (!escaped) return text.slice(from, at);
    try {
      return JSON.parse(text.slice(from - 1, at + 1)) as string;
    } catch {
      throw this.#syntax("a string with an escape that JSON does not have");
    }
  }

  #space(): void {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x09 || code === 0x0d) code = this.#text.charCodeAt(++this.#at);
  }

  #deeper(depth: number): void {
    if (depth === MAX_DEPTH) {
      throw new JsonRefused("frame.cost", `nested deeper than ${MAX_DEPTH} containers`);
    }
  }

  #syntax(problem: string): JsonRefused {
    return new JsonRefused("frame.batch", `at character ${this.#at}: ${problem}`);
  }
}

const WORDS = [["null", null], ["true", true], ["false", false]] as const;

function grown(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const more = new Uint8Array(2 * bytes.length);
  more.set(bytes);
  return more;
}
