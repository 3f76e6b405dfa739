/** A service's description for clients in other languages: its methods, and what they take and give, as JSON Schema. */

import * as z from "zod";
import { hashOfBytes } from "../system/hash.ts";
import { canonicalJson, type Json } from "./canonical_json.ts";
import type { Schema } from "./gate.ts";
import type { MethodGates } from "./serve_call.ts";
import type { Method, ServiceDescription } from "./service.ts";

/** What is described of a service. */
export interface Describable {
  readonly name: string;
  readonly methods: ReadonlyMap<string, Method & { readonly gates: MethodGates }>;
  readonly messages: {
    /** Null: it takes none. */
    readonly receives: Schema | null;
    readonly sends: Schema;
    readonly kind: "plain" | "transaction";
  };
}

const ENCODER = new TextEncoder();

/** A described value of JSON, as an object. */
type JsonMap = { readonly [key: string]: Json };

/**
 * Describes a service.
 *
 * Schemas describe values in the JSON encoding (`docs/protocol.md`, Bodies), as the client gives and gets them. Each of them
 * stands alone: a `$ref` within one starts at that schema. What JSON Schema cannot say is `{}` with a `$comment`, so that a
 * description never forbids what the service takes.
 *
 * @returns The document, and the base64url of SHA-256 over its canonical text ({@link canonicalJson}).
 */
export function describeService({ name, methods, messages }: Describable): ServiceDescription {
  const document: JsonMap = {
    name,
    schemas: "https://json-schema.org/draft/2020-12/schema",
    methods: Object.fromEntries(
      [...methods].map(([method, described]) => [method, describeMethod(described)]),
    ),
    messages: {
      ...(messages.receives === null
        ? {}
        : { kind: messages.kind, receives: jsonSchema(messages.receives, "input") }),
      sends: jsonSchema(messages.sends, "output"),
    },
  };
  return { document, hash: hashOfBytes(ENCODER.encode(canonicalJson(document))) };
}

function describeMethod({ kind, retry, gates }: Method & { readonly gates: MethodGates }): JsonMap {
  return {
    kind,
    retry,
    input: jsonSchema(gates.input.schema, "input"),
    ...(gates.upload === null ? {} : { upload: jsonSchema(gates.upload.schema, "input") }),
    ...(gates.download === null
      ? { output: jsonSchema(gates.output.schema, "output") }
      : { download: jsonSchema(gates.download.schema, "output") }),
  };
}

/** A schema as JSON Schema, as plain JSON. Never throws. */
function jsonSchema(schema: Schema, io: "input" | "output"): JsonMap {
  try {
    const { $schema: _, "~standard": __, ...described } = z.toJSONSchema(schema, {
      io,
      unrepresentable: ({ zodSchema, message }) => encodedForm(zodSchema, io) ?? { $comment: message },
    });
    return JSON.parse(JSON.stringify(described)) as JsonMap;
  } catch (error) {
    return { $comment: error instanceof Error ? error.message : "not described" };
  }
}

/** The form that a value without one of its own in JSON has in a body. */
function encodedForm(schema: Schema, io: "input" | "output"): { [key: string]: unknown } | undefined {
  switch (schema._zod.def.type) {
    case "bigint":
      // Only what is beyond ±(2^53 − 1) arrives as a bigint.
      return io === "input" ? BIG_INTEGER : { anyOf: [{ type: "integer" }, BIG_INTEGER] };
    case "nan":
      return escape("$float", { const: "NaN" });
    case "undefined":
    case "void":
      return { type: "null" };
    case "custom":
      return schema._zod.bag["Class"] === Uint8Array
        ? escape("$bin", { type: "string", contentEncoding: "base64url" })
        : undefined;
    default:
      return undefined;
  }
}

function escape(key: string, value: { [key: string]: unknown }): { [key: string]: unknown } {
  return { type: "object", properties: { [key]: value }, required: [key], additionalProperties: false };
}

const BIG_INTEGER = escape("$int", { type: "string", pattern: "^-?[1-9][0-9]{15,19}$" });
