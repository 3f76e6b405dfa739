/** Which encoding a conduit speaks (`frame.route`). */

import type { DecodeLimits, FrameCodec, Subprotocol } from "./codec.ts";
import { jsonCodec } from "./json_codec.ts";
import { msgpackCodec } from "./msgpack_codec.ts";

/** The codec of a subprotocol. */
export function codecFor(subprotocol: Subprotocol, limits: DecodeLimits): FrameCodec {
  switch (subprotocol) {
    case "holdfast.v1.msgpack":
      return msgpackCodec(limits);
    case "holdfast.v1.json":
      return jsonCodec(limits);
    default:
      return subprotocol satisfies never;
  }
}

/**
 * Chooses the first offered subprotocol that this version speaks; JSON if none is offered.
 *
 * @param offered The value of `Sec-WebSocket-Protocol`; null without one.
 * @returns null if only unknown ones are offered.
 */
export function chooseSubprotocol(offered: string | null): Subprotocol | null {
  const names = (offered ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (names.length === 0) return "holdfast.v1.json";
  return names.find(isSpoken) ?? null;
}

function isSpoken(name: string): name is Subprotocol {
  return name === "holdfast.v1.msgpack" || name === "holdfast.v1.json";
}
