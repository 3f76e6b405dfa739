/** Both encodings judge mutated messages alike, and what either takes comes out of it again as it went in. */

import assert from "node:assert/strict";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { Frame } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { isSessionMessage, type Message } from "../../src/protocol/messages.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ConnectionCalls } from "./connection_calls.ts";
import { harmless } from "./harmless.ts";
import { fullStart, plausible, type Position } from "./loose_message.ts";
import { mutated } from "./mutation.ts";

const ENCODINGS = ["holdfast.v1.msgpack", "holdfast.v1.json"] as const;
const msgpack = codecFor("holdfast.v1.msgpack", DEFAULT_LIMITS);
const json = codecFor("holdfast.v1.json", DEFAULT_LIMITS);
const codecs = { "holdfast.v1.msgpack": msgpack, "holdfast.v1.json": json };
const AT: Position = {
  seq: 7,
  connection: 3,
  calls: busyCalls(),
  highest: 5,
  received: 4,
  victim: "somebody",
  held: { session: "session", token: "T".repeat(43), sent: 6 },
};

/** Those of a connection to `demo` with an upload and a download under way, so that all kinds of messages are drawn. */
function busyCalls(): ConnectionCalls {
  const calls = new ConnectionCalls("demo");
  const call = {
    kind: "call",
    connection: 3,
    request: 2,
    method: "pipe",
    body: encodeBody(null),
    cost: 0,
  } as const;
  calls.said({ ...call, seq: 6, options: { upload: 1, download: 3 } });
  return calls;
}

/** A message as the process itself encodes it; null for one that holds a malformed body. */
function encoded(message: Message): Uint8Array | null {
  if ("malformed" in message && message.malformed !== undefined) return null;
  if (!isSessionMessage(message)) return encodeConduit(message);
  const { seq, cost: _, ...payload } = message;
  return encodeSession(seq, payload);
}

/** With the body's value in the place of its bytes, and without the cost that those decide. */
function valued(message: Message): unknown {
  const { cost: _, ...rest } = { cost: 0, ...message };
  return "body" in rest ? { ...rest, body: decodeBody(rest.body) } : rest;
}

function shown(frame: Frame): string {
  return typeof frame === "string" ? JSON.stringify(frame) : frame.toHex();
}

// @rule frame.batch
// @rule frame.header
// @rule frame.cost
Deno.test("whatever a mutated frame decodes to, encoding that and decoding it again gives the same, in both encodings", () => {
  const random = new SeededRandom(5_501);
  const seen = { taken: 0, refused: 0 };
  for (let run = 0; run < 15_000; run++) {
    const subprotocol = random.pick(ENCODINGS);
    const message = random.chance(0.1) ? fullStart(random, AT) : plausible(random, AT);
    const frame = mutated([message, plausible(random, AT)], subprotocol, random);
    const decoded = codecs[subprotocol].decode(frame);
    if (!decoded.ok) {
      seen.refused++;
      assert.match(decoded.violation.rule, /^frame\.(batch|header|cost|unknown)$/, shown(frame));
      continue;
    }
    seen.taken++;
    const parts = decoded.messages.map(encoded);
    if (parts.includes(null)) continue;
    const own = parts.filter((part) => part !== null);
    const expected = decoded.messages.map((each, index) => {
      return isSessionMessage(each) ? { ...each, cost: own[index]!.length } : each;
    });
    const again = msgpack.decode(msgpack.join(own));
    assert.ok(again.ok, shown(frame));
    assert.deepEqual(again.messages, expected, shown(frame));
    // JSON has one form for each value, so bodies keep theirs and not their bytes.
    const asText = json.decode(json.join(own));
    assert.ok(asText.ok, shown(frame));
    assert.deepEqual(asText.messages.map(valued), expected.map(valued), shown(frame));
  }
  assert.ok(seen.taken > 1_500 && seen.refused > 1_500, JSON.stringify(seen));
});

// @rule frame.header
// @rule frame.body
Deno.test("a frame that only looks wrong is taken, in both encodings", () => {
  const random = new SeededRandom(5_502);
  for (let run = 0; run < 20_000; run++) {
    const subprotocol = random.pick(ENCODINGS);
    const frame = harmless(random, AT, subprotocol);
    const decoded = codecs[subprotocol].decode(frame);
    assert.ok(decoded.ok, `${JSON.stringify(decoded)} of ${shown(frame)}`);
  }
});
