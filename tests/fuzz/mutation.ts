/** What turns a plausible frame into one that no well-behaved client sends, or into one that only looks wrong. */

import type { Frame, Subprotocol } from "../../src/protocol/codec.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { encodeLoose, type Loose } from "./loose_message.ts";

/** Changes fields of some of the messages, then perhaps bytes of their encoding. */
export function mutated(messages: readonly Loose[], subprotocol: Subprotocol, random: SeededRandom): Frame {
  const draw = random.float();
  const inFields = draw < 0.65;
  const changed = inFields
    ? messages.map((each) => random.chance(0.7) ? changeMessage(each, random) : each)
    : messages;
  const frame = encodeLoose(changed, subprotocol);
  if (inFields && draw > 0.1) return frame;
  return typeof frame === "string" ? changeText(frame, random) : changeBytes(frame, random);
}

/** Numbers, texts and shapes at which decoders and counters go wrong. */
export function oddValue(random: SeededRandom): unknown {
  return random.pick<() => unknown>([
    () => 0,
    () => -1,
    () => 1.5,
    () => 2 ** 31,
    () => 2 ** 32,
    () => 2 ** 53 - 1,
    () => 2 ** 53,
    () => 2 ** 64,
    () => -(2 ** 53),
    () => 1e308,
    () => random.int(4),
    () => "",
    () => "0",
    () => "x".repeat(random.int(5_000)),
    () => "\0",
    () => "\ud800",
    () => "__proto__",
    () => null,
    () => true,
    () => [],
    () => ({}),
    () => [[[[]]]],
    () => nested(random.between(20, 60)),
    () => ({ $bin: "!" }),
    () => ({ $int: "9223372036854775808" }),
    () => ({ constructor: { prototype: {} } }),
  ])();
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { a: value };
  return value;
}

function changeMessage(message: Loose, random: SeededRandom): Loose {
  const fields: unknown[] = [...message];
  const at = random.int(fields.length);
  switch (random.int(10)) {
    case 0:
      fields[at] = oddValue(random);
      break;
    case 1: {
      const other = random.int(fields.length);
      [fields[at], fields[other]] = [fields[other], fields[at]];
      break;
    }
    case 2:
      fields.splice(at, 1);
      break;
    case 3:
      fields.splice(at, 0, random.chance(0.5) ? fields[at] : oddValue(random));
      break;
    case 4:
      fields.push(oddValue(random), oddValue(random));
      break;
    case 5:
      fields[0] = random.pick([
        11,
        12,
        15,
        28,
        100,
        -1,
        255,
        65_536,
        "nothing",
        "constructor",
        "ack",
        "message",
      ]);
      break;
    case 6:
      // A near miss of a number: its neighbour, its past, a far future.
      if (typeof fields[1] === "number") {
        fields[1] = random.pick([fields[1] - 1, fields[1] + 1, 1, fields[1] - 10, fields[1] + 2 ** 33]);
      }
      break;
    case 7:
      if (typeof fields[2] === "number") {
        fields[2] = random.pick([fields[2] + 1, fields[2] + 2, 0, fields[2] - 2, 2 ** 50 + 1]);
      }
      break;
    default: {
      const last = fields.at(-1);
      if (isRecord(last)) fields[fields.length - 1] = changeRecord(last, random);
      else fields[fields.length - 1] = oddValue(random);
    }
  }
  return fields as Loose;
}

function changeRecord(record: Readonly<Record<string, unknown>>, random: SeededRandom): unknown {
  const entries = Object.entries(record);
  const at = random.int(entries.length + 1);
  const entry = entries[at];
  const draw = random.int(4);
  if (entry === undefined) entries.push([random.pick(["unknown", "", "$bin", "version"]), oddValue(random)]);
  else if (draw === 0) entries.splice(at, 1);
  else if (draw === 1 && isRecord(entry[1])) entries[at] = [entry[0], changeRecord(entry[1], random)];
  else entries[at] = [entry[0], oddValue(random)];
  return Object.fromEntries(entries);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function changeBytes(frame: Uint8Array, random: SeededRandom): Uint8Array {
  let bytes = [...frame];
  for (let n = random.between(1, 3); n > 0 && bytes.length > 0; n--) {
    const at = random.int(bytes.length);
    switch (random.int(8)) {
      case 0:
        bytes[at] = bytes[at]! ^ (1 << random.int(8));
        break;
      case 1:
        bytes[at] = random.int(256);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        // A splice of two places of the frame.
        bytes = [...bytes.slice(0, at), ...bytes.slice(random.int(bytes.length))];
        break;
      case 4:
        bytes.splice(at, 0, ...random.bytes(random.between(1, 12)));
        break;
      case 5:
        bytes.splice(at, random.between(1, 8));
        break;
      case 6:
        // The header of something long where something else was.
        bytes.splice(at, 1, random.pick([0xc4, 0xc6, 0xc7, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf]));
        break;
      default:
        changeLength(bytes, random);
    }
  }
  return Uint8Array.from(bytes);
}

/** Says of one array, map, text or byte string that it is a little longer or shorter, or much longer. */
function changeLength(bytes: number[], random: SeededRandom): void {
  const heads = bytes.flatMap((byte, index) => byte >= 0x80 && byte < 0xc0 || byte >= 0xc4 ? [index] : []);
  if (heads.length === 0) return;
  const at = random.pick(heads);
  const head = bytes[at]!;
  if (head < 0xc0) bytes[at] = Math.max(0x80, Math.min(0xbf, head + random.pick([-1, 1, 2])));
  else if (at + 1 < bytes.length) {
    bytes[at + 1] = random.pick([0, 1, 0x7f, 0xff, (bytes[at + 1]! + 1) & 0xff]);
  }
}

function changeText(frame: string, random: SeededRandom): string {
  let text = frame;
  for (let n = random.between(1, 3); n > 0 && text.length > 0; n--) {
    const at = random.int(text.length);
    const piece = text.slice(at, at + random.between(1, 30));
    switch (random.int(5)) {
      case 0:
        text = text.slice(0, at);
        break;
      case 1:
        text = text.slice(0, at) + piece + piece + text.slice(at + piece.length);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(at + piece.length);
        break;
      case 3:
        text = text.slice(0, at) + text.slice(random.int(text.length));
        break;
      default:
        text = text.slice(0, at) +
          random.pick([
            '"',
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            "\\u",
            "\\",
            "\n",
            "\0",
            "\ud800",
            "9",
            "-",
            "e9",
            "1e999",
          ]) +
          text.slice(at + 1);
    }
  }
  return text;
}
