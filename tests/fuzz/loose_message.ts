/** Messages as loose fields, so that any of them can be wrong, and their two encodings. */

import { encode } from "@msgpack/msgpack";
import type { Frame, Subprotocol } from "../../src/protocol/codec.ts";
import { layoutOfName } from "../../src/protocol/layout.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { ConnectionCalls } from "./connection_calls.ts";
import { demoTraffic } from "./demo_traffic.ts";

/** A name, or a number where none fits, and fields of any kind. */
export type Loose = [name: string | number, ...fields: unknown[]];

/** What a client at this point of a session would number and name next. */
export interface Position {
  /** The next sequence number. */
  readonly seq: number;
  /** A connection that is open, or will be by then. */
  readonly connection: number;
  /** Its calls, and which service it leads to. */
  readonly calls: ConnectionCalls;
  /** The highest connection that was opened. */
  readonly highest: number;
  /** The highest number that came from the server. */
  readonly received: number;
  /** The id of somebody else's session: it is public, and must grant nothing. */
  readonly victim: string;
  /** What a `start` may resume; null: nothing yet. */
  readonly held: { readonly session: string; readonly token: string; readonly sent: number } | null;
}

/** A valid `start` of a new session. */
export function newStart(random: SeededRandom): Loose {
  return ["start", { version: 1, challenge: challenge(random) }];
}

/** A message that is valid at this point, or would be at another one. */
export function plausible(random: SeededRandom, at: Position): Loose {
  const { seq, connection, highest } = at;
  if (at.calls.service === "demo" && random.chance(0.7)) return random.pick(demoTraffic(random, at));
  const id = random.chance(0.9) ? connection : random.int(12);
  switch (random.int(24)) {
    case 0:
      return fullStart(random, at);
    case 1:
      return ["ack", random.chance(0.7) ? random.int(at.received + 1) : at.received];
    case 2:
      return [random.chance(0.5) ? "ping" : "pong", random.int(1 << 20)];
    case 3:
    case 4:
      return ["volatile", id, bodyValue(random)];
    case 5:
      return ["authorise", { auth: "x" }];
    case 6:
      return ["open", seq, highest + 2, {
        service: random.pick(["echo", "demo", "demo", "none", ""]),
        metadata: { a: "b" },
      }];
    case 7:
      return ["end", seq, id, { reason: "done" }];
    case 8:
      return ["call", seq, id, random.int(9), "add", bodyValue(random), {
        timeout: 50,
        metadata: { a: "b" },
      }];
    case 9:
      return ["cancel", seq, id, random.int(9)];
    case 10:
      return ["response", seq, id, random.int(9), true, bodyValue(random)];
    case 11:
      return [random.pick(["item", "finish", "reset", "credit"]), seq, id, random.int(5), bodyValue(random)];
    case 12:
      return ["accept", seq, random.int(6), {}];
    case 13:
      return ["reject", seq, random.int(6), { reason: "r", detail: "d" }];
    case 14:
      return ["goaway", { reason: "draining", after: 5 }];
    case 15:
      return random.chance(0.1) ? ["close", { reason: "done", detail: "" }] : ["ack", at.received];
    case 16:
      return ["refused", { reason: "closed", detail: "" }];
    case 17:
      return ["established", { challenge: challenge(random), session: "s", token: "t", resumed: true }];
    default:
      return ["message", seq, id, bodyValue(random)];
  }
}

/** A `start` with everything in it; it may resume what is held. */
export function fullStart(random: SeededRandom, { held, received, victim }: Position): Loose {
  const resume = held === null || random.chance(0.3)
    ? { session: victim, token: held?.token ?? "A".repeat(43), received: random.int(9), sent: random.int(9) }
    : { session: held.session, token: held.token, received, sent: held.sent };
  return ["start", {
    version: 1,
    challenge: challenge(random),
    ...(random.chance(0.5) ? { resume } : {}),
    metadata: { name: "value" },
    settings: { durability: random.pick(["durable", "ephemeral"]), windowMessages: 64 },
  }];
}

/** Messages as one frame of a subprotocol. */
export function encodeLoose(messages: readonly Loose[], subprotocol: Subprotocol): Frame {
  if (subprotocol === "holdfast.v1.json") return messages.map((each) => JSON.stringify(each)).join("\n");
  const parts = messages.map((message) => encode(packed(message), { ignoreUndefined: true, maxDepth: 200 }));
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** With the tag for the name and, where the body's place holds a value, its encoding (`frame.body`). */
function packed([name, ...fields]: Loose): unknown[] {
  const layout = typeof name === "string" ? layoutOfName(name) : undefined;
  return [
    layout?.tag ?? name,
    ...fields.map((field, index) => {
      return index === layout?.body ? encode(field, { maxDepth: 200 }) : field;
    }),
  ];
}

function challenge(random: SeededRandom): string {
  return random.bytes(24).toBase64({ alphabet: "base64url" });
}

/** A body of any shape, none of them large. */
export function bodyValue(random: SeededRandom): unknown {
  switch (random.int(6)) {
    case 0:
      return random.int(1 << 30);
    case 1:
      return { a: [1.5, null, true, "grüße"], b: { c: "x".repeat(random.int(300)) } };
    case 2:
      return "x".repeat(random.int(2_000));
    case 3:
      return [random.int(100), random.float(), -1, 2 ** 40];
    default:
      return { n: random.int(1_000) };
  }
}
