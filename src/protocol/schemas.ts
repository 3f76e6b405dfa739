/** What the fields of each message may be (`frame.header`). Unknown entries of a map are ignored. */

import * as z from "zod/mini";
import { withWriter } from "./byte_writer.ts";
import { AUTH_CHARACTERS, METADATA_BYTES, TOKEN_CHARACTERS } from "./limits.ts";
import type { Message, MessageKind, Metadata } from "./messages.ts";
import { utf8Length } from "./utf8.ts";

/** Longest `reason`, `service`, `method` and other name that is taken, UTF-8 bytes. */
const NAME_BYTES = 256;
/** Longest `detail` that is taken, UTF-16 units. */
const DETAIL_TAKEN = 4096;
/** Longest `operation` (`call.operation`), UTF-8 bytes. */
const OPERATION_BYTES = 128;

// Compiled checks need `eval`, which the pages' content security policy refuses, loudly.
z.config({ jitless: true });

/** The fields of a message without `kind`, `cost` and its body, which decoders treat themselves. */
export type FieldsOf<K extends MessageKind> = Omit<
  Extract<Message, { readonly kind: K }>,
  "kind" | "cost" | "body" | "malformed"
>;

const count = z.int().check(z.minimum(0));
const name = z.string().check(
  z.refine((text) => utf8Length(text) <= NAME_BYTES, `at most ${NAME_BYTES} bytes`),
);
const reason = name;
const detail = z.string().check(z.maxLength(DETAIL_TAKEN));
const token = z.string().check(z.maxLength(TOKEN_CHARACTERS));
const auth = z.string().check(z.maxLength(AUTH_CHARACTERS));
const durability = z.enum(["durable", "ephemeral"]);
const metadata = z.record(z.string(), z.string()).check(
  z.refine((map) => metadataBytes(map) <= METADATA_BYTES, `at most ${METADATA_BYTES} bytes encoded`),
);
const messageCredit = z.int().check(z.minimum(16));
const numbered = { seq: count, connection: count };

/** One schema for each message. */
export const SCHEMAS: { readonly [K in MessageKind]: z.ZodMiniType<FieldsOf<K>> } = {
  start: z.object({
    version: count,
    challenge: token,
    resume: z.exactOptional(z.object({ session: token, token, received: count, sent: count })),
    auth: z.exactOptional(auth),
    metadata: z.exactOptional(metadata),
    settings: z.exactOptional(z.object({
      durability: z.exactOptional(durability),
      windowMessages: z.exactOptional(count),
      windowBytes: z.exactOptional(count),
    })),
  }),
  established: z.object({
    challenge: token,
    session: token,
    token,
    resumed: z.boolean(),
    received: count,
    sent: count,
    durability,
    resumeWindow: count,
    keepalive: z.object({ interval: count, timeout: count }),
    limits: z.object({
      frameBytes: count,
      bodyBytes: count,
      windowMessages: count,
      windowBytes: count,
      connections: count,
      concurrentCalls: count,
    }),
    node: name,
    region: z.exactOptional(name),
  }),
  refused: z.object({
    challenge: z.exactOptional(token),
    reason,
    detail,
    retryAfter: z.exactOptional(count),
  }),
  ack: z.object({ received: count }),
  ping: z.object({ nonce: count }),
  pong: z.object({ nonce: count }),
  goaway: z.object({ reason, after: count }),
  close: z.object({ reason, detail }),
  volatile: z.object({ connection: count }),
  authorise: z.object({ auth }),
  authorised: z.object({ expires: z.exactOptional(count) }),
  open: z.object({
    ...numbered,
    service: name,
    metadata: z.exactOptional(metadata),
    messageCredit: z.exactOptional(messageCredit),
  }),
  accept: z.object({
    ...numbered,
    metadata: z.exactOptional(metadata),
    messageCredit: z.exactOptional(messageCredit),
    schema: z.exactOptional(name),
  }),
  reject: z.object({ ...numbered, reason, detail }),
  end: z.object({ ...numbered, reason: z.exactOptional(reason), detail: z.exactOptional(detail) }),
  message: z.object(numbered),
  call: z.object({
    ...numbered,
    request: count,
    method: name,
    options: z.exactOptional(z.object({
      operation: z.exactOptional(
        z.string().check(
          z.minLength(1),
          z.refine((key) => utf8Length(key) <= OPERATION_BYTES, `at most ${OPERATION_BYTES} bytes`),
        ),
      ),
      timeout: z.exactOptional(count),
      upload: z.exactOptional(count),
      download: z.exactOptional(count),
      credit: z.exactOptional(count),
      metadata: z.exactOptional(metadata),
    })),
  }),
  response: z.object({ ...numbered, request: count, ok: z.boolean(), metadata: z.exactOptional(metadata) }),
  cancel: z.object({ ...numbered, request: count }),
  item: z.object({ ...numbered, channel: count }),
  finish: z.object({ ...numbered, channel: count }),
  reset: z.object({ ...numbered, channel: count, reason }),
  credit: z.object({ ...numbered, channel: count, additional: count }),
};

/** The MessagePack length of a metadata map. */
function metadataBytes(map: Metadata): number {
  return withWriter((writer) => {
    const entries = Object.entries(map);
    writer.map(entries.length);
    for (const [key, value] of entries) {
      writer.string(key);
      writer.string(value);
    }
    return writer.length;
  });
}

/** What is wrong with a value, for a person. */
export function describeIssue(issue: z.core.$ZodIssue): string {
  const where = issue.path.map(String).join(".").slice(0, 100);
  return `${where === "" ? "its fields" : where}: ${problemOf(issue)}`;
}

function problemOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${issue.expected}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    case "too_small":
      return `at least ${issue.minimum}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    default:
      return issue.message;
  }
}
