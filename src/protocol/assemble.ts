/** Makes a message of the fields that a decoder read, whichever the encoding. */

import { costOf } from "./encode.ts";
import type { Layout } from "./layout.ts";
import { PROTOCOL_VERSION } from "./limits.ts";
import type { ConduitMessage, EncodedBody, Message, SessionMessage, SessionPayload } from "./messages.ts";
import { type Violation, violation } from "./rules.ts";
import { describeIssue, SCHEMAS } from "./schemas.ts";

/** A body as a decoder found it. */
export interface BodyField {
  readonly body: EncodedBody;
  /** What breaks `frame.body`; `body` is then empty. */
  readonly malformed?: string;
}

/** A body that breaks `frame.body`. */
export function malformedBody(problem: string): BodyField {
  return { body: new Uint8Array(0), malformed: problem };
}

/**
 * Checks the fields of one message and gives the message, or what is wrong with them.
 *
 * @param fields What follows the tag; more than the layout names is ignored. The body's place holds nothing.
 * @param body The body, for a layout that has one.
 * @param cost The message's MessagePack length; null for one that came in another encoding.
 */
export function assemble(
  layout: Layout,
  fields: readonly unknown[],
  body: BodyField | null,
  cost: number | null,
): Message | Violation {
  const { kind, fields: names, required } = layout;
  if (fields.length < required) {
    return violation("frame.header", `${kind} has ${fields.length} fields; ${required} are needed`);
  }
  const record: { [field: string]: unknown } = {};
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const value = fields[i];
    if (i === layout.body || i >= required && value == null) continue;
    if (name !== "*") {
      record[name] = value;
    } else if (isMap(value)) {
      Object.assign(record, value, record);
    } else {
      return violation("frame.header", `${kind}: a map is needed as field ${i + 1}`);
    }
  }
  const parsed = SCHEMAS[kind].safeParse(record);
  if (!parsed.success) {
    return startOfOtherVersion(kind, record) ??
      violation("frame.header", `${kind}: ${describeIssue(parsed.error.issues[0]!)}`);
  }
  // The schemas' types say that each kind gets its own fields; the union of all kinds is too wide to see it.
  const message: object = { kind, ...parsed.data, ...body };
  if (names[0] !== "seq") return message as ConduitMessage;
  const { seq, ...payload } = message as SessionPayload & { readonly seq: number };
  return { ...message, cost: cost ?? costOf(seq, payload as SessionPayload) } as SessionMessage;
}

/**
 * A `start` whose version is not ours may have other fields: it is passed on with what can be known of it, so that the
 * refusal says `unsupported-version` (`handshake.version`).
 */
function startOfOtherVersion(kind: string, record: { readonly [field: string]: unknown }): Message | null {
  const { version, challenge } = record;
  if (kind !== "start" || !Number.isSafeInteger(version) || version === PROTOCOL_VERSION) return null;
  return {
    kind: "start",
    version: version as number,
    challenge: typeof challenge === "string" && challenge.length <= 64 ? challenge : "",
  };
}

function isMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
}
