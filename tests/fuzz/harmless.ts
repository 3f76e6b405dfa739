/** Frames that look wrong and are not: a session must survive each, at most a connection of it may end. */

import type { Frame, Subprotocol } from "../../src/protocol/codec.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { demoTraffic } from "./demo_traffic.ts";
import { bodyValue, encodeLoose, type Loose, type Position } from "./loose_message.ts";
import { oddValue } from "./mutation.ts";

/** One such frame for this point of a session. */
export function harmless(random: SeededRandom, at: Position, subprotocol: Subprotocol): Frame {
  const { seq, connection, calls, highest, received } = at;
  const next: Loose = ["message", seq, connection, bodyValue(random)];
  const frame = (...messages: Loose[]) => encodeLoose(messages, subprotocol);
  // A plain message would end a connection to `demo`, which takes none.
  if (calls.service === "demo" && random.chance(0.85)) return frame(...demoTraffic(random, at));
  switch (random.int(14)) {
    case 0:
      // Taken before: dropped whatever it says now.
      return frame(
        ["message", random.between(1, Math.max(1, seq - 1)), random.int(9), bodyValue(random)],
        next,
      );
    case 1:
      return frame(["open", random.between(1, Math.max(1, seq - 1)), 2 * random.int(9), { service: "x" }]);
    case 2:
      // Tags below 16 that this version does not have; a JSON name does not tell of which kind it is.
      return subprotocol === "holdfast.v1.json"
        ? frame(["pong", random.int(99)])
        : frame([random.between(11, 15), bodyValue(random)]);
    case 3:
      return frame([...next, bodyValue(random), "more"] as Loose);
    case 4:
      return malformedBody(random, at, subprotocol);
    case 5:
      return floats(next, subprotocol);
    case 6:
      return frame(["ack", random.int(received + 1)], ["ack", random.int(received + 1)], next);
    case 7:
      // For connections that once were open, or are not any more.
      return frame(["message", seq, random.chance(0.5) ? 1 : connection, bodyValue(random)]);
    case 8:
      if (!calls.hasRoom) return frame(next);
      return frame(
        [
          "call",
          seq,
          connection,
          calls.request + random.between(1, 2 ** 31),
          oddText(random),
          bodyValue(random),
        ],
      );
    case 9:
      if (calls.request === 0) return frame(next);
      return frame(["cancel", seq, connection, random.between(1, calls.request)]);
    case 10:
      return frame(["open", seq, highest + 2, { service: oddText(random), unknown: bodyValue(random) }]);
    case 11:
      return frame(["end", seq, connection, { reason: oddText(random), detail: oddText(random), more: [] }]);
    case 12:
      return frame(["volatile", connection, bodyValue(random)], [
        "volatile",
        connection + 2,
        bodyValue(random),
      ]);
    default:
      return frame(next, ["message", seq + 1, connection, bodyValue(random)], [
        "message",
        seq,
        connection,
        1,
      ]);
  }
}

/** A body that breaks `frame.body`, in a message that is well. */
function malformedBody(random: SeededRandom, { seq, connection }: Position, subprotocol: Subprotocol): Frame {
  const name = random.chance(0.5) ? "message" : "volatile";
  const head = name === "message" ? [seq, connection] : [connection];
  if (subprotocol === "holdfast.v1.json") {
    const body = random.pick([{ $bin: "!" }, { $int: "1.5" }, { $float: "NaN?" }, { $int: "1" }, {
      $bin: oddValue(random),
    }]);
    return encodeLoose([[name, ...head, body]], subprotocol);
  }
  const bytes = random.pick<() => Uint8Array>([
    () => random.bytes(random.int(40)),
    () => Uint8Array.of(0xc1),
    () => Uint8Array.of(0x81, 0x01, 0x01),
    () => Uint8Array.of(0xd4, 0x01, 0x00),
    () => Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
    () => new Uint8Array(random.int(5_000)).fill(0x91),
    () => Uint8Array.of(0xa2, 0xff, 0xff),
    () => Uint8Array.of(0x01, 0x01),
  ])();
  return encodeLoose([[name === "message" ? 20 : 8, ...head, bytes]], subprotocol);
}

/** The header's integers as integral floats (`frame.header`). */
function floats([name, seq, connection, body]: Loose, subprotocol: Subprotocol): Frame {
  if (subprotocol === "holdfast.v1.json") {
    return `["${name}",${seq}.0,${(connection as number) * 10}e-1,${JSON.stringify(body)}]`;
  }
  const [plain, float] = [encodeLoose([[name, 0, 0, body]], subprotocol), new DataView(new ArrayBuffer(18))];
  float.setUint8(0, 0xcb);
  float.setFloat64(1, seq as number);
  float.setUint8(9, 0xcb);
  float.setFloat64(10, connection as number);
  const bytes = plain as Uint8Array;
  // Two bytes of array and tag, one for each 0.
  return Uint8Array.from([...bytes.subarray(0, 2), ...new Uint8Array(float.buffer), ...bytes.subarray(4)]);
}

function oddText(random: SeededRandom): string {
  return random.pick([
    "",
    "echo",
    "demo",
    "none",
    "__proto__",
    "toString",
    "\0",
    "é".repeat(60),
    "a b",
    "x".repeat(64),
  ]);
}
