/** The description of a service: what clients in other languages are told. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as z from "zod";
import { canonicalJson, type Json } from "../../src/service/canonical_json.ts";
import { defineService } from "../../src/service/define_service.ts";
import { download, duplex, method, transaction, upload } from "../../src/service/methods.ts";

/** How one schema is described, as an argument and as a result. */
function described(schema: z.ZodType): { readonly input: unknown; readonly output: unknown } {
  const service = defineService({
    name: "tested",
    methods: { m: method({ input: schema, output: schema }, () => assert.fail("never called")) },
  });
  const { m } = service.description.document["methods"] as { m: { input: unknown; output: unknown } };
  return { input: m.input, output: m.output };
}

const NULL = { type: "null" };
const INTEGER = { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };

Deno.test("each kind of method is described with what its caller gives and gets", () => {
  const { document } = defineService({
    name: "tested",
    receives: z.string(),
    sends: z.boolean(),
    onMessage: () => {},
    methods: {
      add: transaction({ input: z.object({ by: z.int() }), output: z.int() }, ({ by }) => by),
      ask: method({ output: z.string(), retry: "safe" }, () => ""),
      ticks: download({ input: z.int(), item: z.int() }, () => []),
      sum: upload({ item: z.number(), output: z.number() }, () => 0),
      pipe: duplex({ upload: z.string(), download: z.int() }, () => []),
    },
  }).description;
  assert.deepEqual(document, {
    name: "tested",
    schemas: "https://json-schema.org/draft/2020-12/schema",
    methods: {
      add: {
        kind: "transaction",
        retry: "safe",
        input: { type: "object", properties: { by: INTEGER }, required: ["by"] },
        output: INTEGER,
      },
      ask: { kind: "method", retry: "safe", input: NULL, output: { type: "string" } },
      ticks: { kind: "download", retry: "never", input: INTEGER, download: INTEGER },
      sum: {
        kind: "upload",
        retry: "never",
        input: NULL,
        upload: { type: "number" },
        output: { type: "number" },
      },
      pipe: { kind: "duplex", retry: "never", input: NULL, upload: { type: "string" }, download: INTEGER },
    },
    messages: { kind: "plain", receives: { type: "string" }, sends: { type: "boolean" } },
  });
});

Deno.test("messages that are transactions are told apart, and a service that takes none says so", () => {
  const { document } =
    defineService({ name: "a", messages: transaction({ input: z.int() }, () => {}) }).description;
  assert.deepEqual(document["messages"], { kind: "transaction", receives: INTEGER, sends: {} });
  assert.deepEqual(defineService({ name: "a" }).description.document["messages"], { sends: {} });
});

Deno.test("an argument is described as it is sent, a result as it arrives", () => {
  const { input, output } = described(z.object({ n: z.int().default(1) }));
  assert.deepEqual((input as { required?: unknown }).required, undefined);
  assert.deepEqual((output as { required?: unknown }).required, ["n"]);
});

Deno.test("values without a form of their own in JSON are described as their escapes", () => {
  const bin = {
    type: "object",
    properties: { $bin: { type: "string", contentEncoding: "base64url" } },
    required: ["$bin"],
    additionalProperties: false,
  };
  assert.deepEqual(described(z.instanceof(Uint8Array)), { input: bin, output: bin });
  const { input, output } = described(z.bigint());
  assert.deepEqual(Object.keys((input as { properties: object }).properties), ["$int"]);
  assert.deepEqual(output, { anyOf: [{ type: "integer" }, input] });
  const { input: nan } = described(z.nan());
  assert.deepEqual((nan as { properties: object }).properties, { $float: { const: "NaN" } });
  assert.deepEqual(described(z.void()), { input: NULL, output: NULL });
});

Deno.test("what JSON Schema cannot say is left open, with a note, and crashes nothing", () => {
  const note = (schema: z.ZodType, io: "input" | "output") => {
    const { $comment, ...rest } = described(schema)[io] as { $comment?: string };
    assert.equal(typeof $comment, "string");
    assert.deepEqual(rest, {});
    return $comment;
  };
  assert.match(note(z.custom<string>((value) => value === "x"), "input")!, /Custom/);
  assert.match(note(z.string().transform((text) => text.length), "output")!, /Transform/);
  assert.deepEqual(described(z.string().transform((text) => text.length)).input, { type: "string" });
  for (const schema of [z.date(), z.map(z.string(), z.int()), z.set(z.int()), z.symbol()]) {
    note(schema, "input");
  }
  const broken = z.string();
  broken._zod.processJSONSchema = () => {
    throw new Error("broken");
  };
  assert.equal(note(broken, "input"), "broken");
  // Only the part that cannot be said is open.
  const { input } = described(z.object({ when: z.date(), name: z.string() }));
  const { properties } = input as { properties: { name: unknown } };
  assert.deepEqual(properties.name, { type: "string" });
});

Deno.test("a schema that holds itself is described", () => {
  const Tree = z.object({
    value: z.int(),
    get children() {
      return z.array(Tree);
    },
  });
  assert.match(JSON.stringify(described(Tree).input), /"\$ref":"#/);
});

Deno.test("the hash is the SHA-256 of the canonical document, and depends on nothing but what is described", () => {
  const a = method({ input: z.object({ x: z.int(), y: z.string() }) }, () => {});
  const b = method({}, () => {});
  const one = defineService({ name: "tested", methods: { a, b } }).description;
  const other = defineService({
    name: "tested",
    methods: { b, a: method({ input: a.gates.input.schema }, () => {}) },
  });
  assert.equal(one.hash, other.description.hash);
  const text = canonicalJson(one.document as Json);
  assert.equal(one.hash, createHash("sha256").update(text).digest("base64url"));
  assert.match(one.hash, /^[A-Za-z0-9_-]{43}$/);
  const changed = defineService({ name: "tested", methods: { a, b: method({ retry: "safe" }, () => {}) } });
  assert.notEqual(one.hash, changed.description.hash);
});

Deno.test("canonical JSON sorts keys by their UTF-16 units at every level and keeps the order of arrays", () => {
  assert.equal(
    canonicalJson({
      b: [{ z: 1, a: null }, "\u00e9"],
      "10": 1.5,
      "9": true,
      "\ud83d\ude00": 0,
      "\uff5e": -0,
    }),
    '{"10":1.5,"9":true,"b":[{"a":null,"z":1},"é"],"😀":0,"～":0}',
  );
});
