/** `holdfast.v1.json`: text frames of messages, one on each line. */

import { assemble, type BodyField } from "./assemble.ts";
import type { Decoded, DecodeLimits, Frame, FrameCodec } from "./codec.ts";
import { JsonReader, JsonRefused } from "./json_reader.ts";
import { jsonMessage } from "./json_writer.ts";
import { type Layout, layoutOfName, layoutOfTag } from "./layout.ts";
import { FIRST_SESSION_TAG, type Message } from "./messages.ts";
import { type Violation, violation } from "./rules.ts";

/** The codec of `holdfast.v1.json`. */
export function jsonCodec(limits: DecodeLimits): FrameCodec {
  return new JsonCodec(limits);
}

class JsonCodec implements FrameCodec {
  readonly subprotocol = "holdfast.v1.json";
  readonly #bodyBytes: number;

  constructor(limits: DecodeLimits) {
    this.#bodyBytes = limits.bodyBytes;
  }

  decode(frame: Frame): Decoded {
    if (typeof frame !== "string") {
      return { ok: false, violation: violation("frame.batch", "a binary frame; this conduit speaks JSON") };
    }
    const reader = new JsonReader(frame);
    const messages: Message[] = [];
    try {
      while (!reader.atEnd()) {
        if (reader.take("\n")) continue;
        const message = this.#message(reader);
        if (message !== null) {
          if ("rule" in message) return { ok: false, violation: message };
          messages.push(message);
        }
        if (!reader.atEnd()) reader.need("\n");
      }
    } catch (error) {
      if (error instanceof JsonRefused) return { ok: false, violation: error.violation };
      throw error;
    }
    return { ok: true, messages };
  }

  join(encoded: readonly Uint8Array[]): string {
    return encoded.map(jsonMessage).join("\n");
  }

  #message(reader: JsonReader): Message | Violation | null {
    reader.need("[");
    if (reader.take("]")) return violation("frame.header", "a message begins with its name");
    const first = reader.header(1);
    const layout = layoutOf(first);
    const fields: unknown[] = [];
    let body: BodyField | null = null;
    while (reader.take(",")) {
      if (layout !== undefined && fields.length === layout.body) {
        body = reader.body();
        fields.push(undefined);
      } else {
        fields.push(reader.header(1));
      }
    }
    reader.need("]");
    if (layout === undefined) return unknown(first);
    if (body !== null && body.body.length > this.#bodyBytes) {
      const length = body.body.length;
      return violation("frame.cost", `a body of ${length} bytes; at most ${this.#bodyBytes} are taken`);
    }
    return assemble(layout, fields, body, null);
  }
}

function layoutOf(first: unknown): Layout | undefined {
  if (typeof first === "string") return layoutOfName(first);
  return typeof first === "number" ? layoutOfTag(first) : undefined;
}

/** A message that this version does not have. Only a tag says whether it may be ignored; a name does not. */
function unknown(first: unknown): Violation | null {
  if (typeof first === "number" && Number.isSafeInteger(first) && first >= 0) {
    return first < FIRST_SESSION_TAG
      ? null
      : violation("frame.unknown", `no session message has the tag ${first}`);
  }
  if (typeof first !== "string") {
    return violation("frame.header", "a message begins with its name or its tag");
  }
  return violation("frame.unknown", `no message has the name ${JSON.stringify(first.slice(0, 40))}`);
}
