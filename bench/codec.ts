/** How fast the encodings are, alone: `deno run bench/codec.ts`. Each beside the MessagePack library where it does the same. */

import { Decoder, Encoder } from "@msgpack/msgpack";
import {
  checkBody,
  decodeBody,
  DEFAULT_LIMITS,
  encodeBody,
  encodeConduit,
  encodeSession,
  jsonCodec,
  msgpackCodec,
} from "../src/protocol/mod.ts";

const SAMPLE_MS = 300;
const PER_FRAME = 100;

/** Millions of operations in a second, the median of three samples. `work` does `operations` of them. */
function rate(operations: number, work: () => unknown): number {
  const sample = () => {
    const begun = performance.now();
    let rounds = 0;
    let elapsed = 0;
    do {
      for (let i = 0; i < 100; i++) work();
      rounds += 100;
      elapsed = performance.now() - begun;
    } while (elapsed < SAMPLE_MS);
    return rounds * operations / elapsed / 1000;
  };
  sample();
  return [sample(), sample(), sample()].sort((a, b) => a - b)[1]!;
}

const text = new TextDecoder().decode(new Uint8Array(100).fill(120));
const object = {
  type: "tick",
  at: 1_700_000_000_123,
  items: [1, 2, 3, { name: "abc", price: 1.5 }],
  ok: true,
};
const textBody = encodeBody(text);
const bytesBody = encodeBody(new Uint8Array(100));
const objectBody = encodeBody(object);
const messages = Array.from(
  { length: PER_FRAME },
  (_, i) => encodeSession(1000 + i, { kind: "message", connection: 1, body: textBody }),
);
const acks = Array.from({ length: PER_FRAME }, (_, i) => encodeConduit({ kind: "ack", received: 1000 + i }));
const msgpack = msgpackCodec(DEFAULT_LIMITS);
const json = jsonCodec(DEFAULT_LIMITS);
const messageFrame = msgpack.join(messages);
const ackFrame = msgpack.join(acks);
const jsonFrame = json.join(messages);
const encoder = new Encoder({ useBigInt64: true });
const decoder = new Decoder({ useBigInt64: true });
const array = [20, 1000, 1, textBody];
let seq = 0;
const next = () => seq++ & 0xffff;

const rows: [string, number, (() => unknown)][] = [
  ["decode message, 100 B, 100 in a frame", PER_FRAME, () => msgpack.decode(messageFrame)],
  ["decode message, 100 B, alone", 1, () => msgpack.decode(messages[0]!)],
  ["  the library, unchecked", 1, () => decoder.decode(messages[0]!)],
  ["decode ack, 100 in a frame", PER_FRAME, () => msgpack.decode(ackFrame)],
  [
    "encode message, 100 B",
    1,
    () => encodeSession(next(), { kind: "message", connection: 1, body: textBody }),
  ],
  ["  the library, encodeSharedRef and slice", 1, () => encoder.encodeSharedRef(array).slice()],
  ["encode ack", 1, () => encodeConduit({ kind: "ack", received: next() })],
  ["check body, string of 100", 1, () => checkBody(textBody)],
  ["check body, 100 bytes", 1, () => checkBody(bytesBody)],
  [`check body, object of ${objectBody.length}`, 1, () => checkBody(objectBody)],
  ["encode body, string of 100", 1, () => encodeBody(text)],
  ["encode body, object", 1, () => encodeBody(object)],
  ["  the library, encodeSharedRef and slice", 1, () => encoder.encodeSharedRef(object).slice()],
  ["decode body, string of 100", 1, () => decodeBody(textBody)],
  ["decode body, object", 1, () => decodeBody(objectBody)],
  ["  the library, unchecked", 1, () => decoder.decode(objectBody)],
  ["JSON decode message, 100 B, 100 in a frame", PER_FRAME, () => json.decode(jsonFrame)],
  ["JSON join message, 100 B, 100 in a frame", PER_FRAME, () => json.join(messages)],
];
for (const [name, operations, work] of rows) {
  console.log(`${name.padEnd(46)} ${rate(operations, work).toFixed(2).padStart(7)} M/s`);
}
