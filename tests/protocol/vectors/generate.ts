/**
 * Writes the golden vectors: `deno run --allow-write=tests/protocol/vectors tests/protocol/vectors/generate.ts`.
 *
 * The expected outcomes of `refusals`, `accepted`, `equal_bodies`, `malformed_bodies` and `scenarios` are written by hand in
 * their sources, not computed. The encodings in `messages` and `bodies` are computed here, and checked in `tests/protocol` by
 * hand-written bytes and by another MessagePack implementation.
 */

import { encodeBody } from "../../../src/protocol/body.ts";
import { encodeConduit, encodeSession } from "../../../src/protocol/encode.ts";
import { jsonBody, jsonMessage } from "../../../src/protocol/json_writer.ts";
import {
  type ConduitMessage,
  FIRST_SESSION_TAG,
  type SessionPayload,
  TAG,
} from "../../../src/protocol/messages.ts";
import { hex, typed } from "../typed_value.ts";
import { EQUAL_BODIES } from "./source_equal_bodies.ts";
import { scenariosJson } from "./source_scenarios.ts";
import { BODIES, MESSAGES } from "./source_values.ts";
import { ACCEPTED, MALFORMED_BODIES, REFUSALS, VECTOR_LIMITS } from "./source_frames.ts";

const messages = MESSAGES.map(({ name, message }) => {
  const { seq, ...payload } = "body" in message ? { ...message, body: encodeBody(message.body) } : message;
  const encoded = TAG[message.kind] >= FIRST_SESSION_TAG
    ? encodeSession(seq ?? 0, payload as SessionPayload)
    : encodeConduit(payload as ConduitMessage);
  const shown = "body" in message ? { ...message, body: typed(message.body) } : message;
  return { name, message: shown, json: jsonMessage(encoded), msgpack: hex(encoded), cost: encoded.length };
});

const bodies = BODIES.map(({ name, value }) => ({
  name,
  value: typed(value),
  json: jsonBody(value),
  msgpack: hex(encodeBody(value)),
}));

const files = {
  "messages.json": messages,
  "bodies.json": bodies,
  "accepted.json": ACCEPTED,
  "equal_bodies.json": EQUAL_BODIES.map((one) => ({ ...one, value: typed(one.value) })),
  "malformed_bodies.json": MALFORMED_BODIES,
  "refusals.json": { limits: VECTOR_LIMITS, refusals: REFUSALS },
};
for (const [name, content] of Object.entries(files)) {
  Deno.writeTextFileSync(new URL(name, import.meta.url), `${JSON.stringify(content, null, 2)}\n`);
}
Deno.writeTextFileSync(new URL("scenarios.json", import.meta.url), scenariosJson());
