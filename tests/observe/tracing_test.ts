import assert from "node:assert/strict";
import {
  type Context,
  INVALID_SPAN_CONTEXT,
  type Span,
  type SpanOptions,
  trace,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import * as z from "zod";
import { otelTracing } from "../../src/observe/otel_tracing.ts";
import { NO_TRACING, parseTraceParent } from "../../src/observe/tracing.ts";
import type { Metadata, Start } from "../../src/protocol/messages.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import { method, transaction } from "../../src/service/methods.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { CallClient } from "../support/call_client.ts";
import { newStart, RawPeer, TestClient } from "../support/raw_peer.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestNode } from "../support/test_node.ts";

interface Recorded {
  readonly name: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  failed: boolean;
  ends: number;
}

/** A provider that keeps what it is told. */
function recording(): { provider: TracerProvider; spans: Recorded[] } {
  const spans: Recorded[] = [];
  const tracer: Tracer = {
    startSpan(name: string, _options?: SpanOptions, context?: Context): Span {
      const parent = context === undefined ? undefined : trace.getSpanContext(context)?.spanId;
      const recorded: Recorded = { name, parent, attributes: {}, failed: false, ends: 0 };
      spans.push(recorded);
      const span: Span = {
        ...trace.wrapSpanContext(INVALID_SPAN_CONTEXT),
        setAttribute: (key, value) => (recorded.attributes[key] = value, span),
        setStatus: () => {
          recorded.failed = true;
          return span;
        },
        end: () => void recorded.ends++,
      };
      return span;
    },
    startActiveSpan: () => assert.fail("a span that is active would leak into other sessions"),
  };
  return { provider: { getTracer: () => tracer }, spans };
}

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Deno.test("a traceparent is read as W3C Trace Context has it, and anything else is none", () => {
  assert.deepEqual(parseTraceParent(PARENT), {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    flags: 1,
  });
  assert.notEqual(parseTraceParent(`cc${PARENT.slice(2)}-what-a-later-version-adds`), null);
  const wrong = [
    "",
    `${PARENT}-more`,
    `ff${PARENT.slice(2)}`,
    PARENT.toUpperCase(),
    PARENT.slice(0, -1),
    PARENT.replace(/-[0-9a-f]{32}-/, `-${"0".repeat(32)}-`),
    PARENT.replace(/-[0-9a-f]{16}-/, `-${"0".repeat(16)}-`),
  ];
  for (const text of wrong) assert.equal(parseTraceParent(text), null, text);
});

Deno.test("each handshake is one span that ends once, established, refused or abandoned", async () => {
  const { provider, spans } = recording();
  const node = new TestNode({ tracing: otelTracing(provider) });
  const client = new TestClient();
  await client.connect(node);
  await client.cut();
  await client.connect(node);
  const refused = new RawPeer(node);
  refused.send(newStart({ version: 2, metadata: { traceparent: PARENT } }));
  await settle();
  const abandoned = new RawPeer(node);
  abandoned.send(newStart());
  abandoned.pipe.break();
  await settle();
  const mute = new RawPeer(node);
  mute.pipe.break();
  await settle();

  assert.deepEqual(spans.map(({ name, attributes }) => [name, attributes["holdfast.outcome"]]), [
    ["holdfast.handshake", "established"],
    ["holdfast.resume", "established"],
    ["holdfast.handshake", "refused"],
  ]);
  assert.equal(spans[1]!.attributes["holdfast.session"], client.session);
  assert.equal(spans[2]!.attributes["holdfast.reason"], "unsupported-version");
  assert.equal(spans[2]!.parent, "b7ad6b7169203331");
  for (const { ends } of spans) assert.equal(ends, 1);
  node.log.verify();
});

/** A client whose `start` says something about itself. */
class SayingClient extends CallClient {
  metadata: Metadata | undefined;

  override start(): Start {
    return { ...super.start(), ...(this.metadata === undefined ? {} : { metadata: this.metadata }) };
  }
}

const shop = defineService({
  name: "shop",
  methods: {
    add: transaction({ input: z.int(), output: z.int() }, (by) => by),
    wait: method({ retry: "safe" }, (_, { signal }) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      })),
    fail: method({}, () => {
      throw new RpcError("not-found", "as asked for");
    }),
  },
});

Deno.test("each call is one span that ends once, with what it came to, a child of what it names, else of what its session's start did", async () => {
  const { provider, spans } = recording();
  const store = new MemorySessionStore({ clock: new FakeClock() });
  const node = new TestNode({ store, tracing: otelTracing(provider), services: [shop] });
  node.directory.start();
  const client = new SayingClient();
  client.metadata = { traceparent: PARENT };
  await client.connect(node);
  client.openTo("shop");
  const traceparent = PARENT.replace(/-[0-9a-f]{16}-/, `-${"c".repeat(16)}-`);
  assert.equal((await client.ask("add", 1, { metadata: { traceparent } }))?.ok, true);
  assert.equal((await client.ask("add", 1, { operation: "k", metadata: { traceparent: "none" } }))?.ok, true);
  assert.equal((await client.ask("fail", null))?.code, "not-found");
  assert.equal((await client.ask("nothing", null))?.code, "unknown-method");
  const cancelled = client.call("wait", null);
  await settle();
  client.say({ kind: "cancel", connection: 1, request: cancelled });
  client.call("wait", null);
  await settle();
  const [, , , , , , running] = spans;
  assert.deepEqual([running?.attributes["holdfast.method"], running?.ends], ["wait", 0]);
  client.say({ kind: "end", connection: 1 });
  await settle();

  const calls = spans.filter(({ name }) => name === "holdfast.call");
  assert.deepEqual(
    calls.map(({ attributes, parent }) => [
      attributes["holdfast.method"],
      attributes["holdfast.outcome"],
      parent,
    ]),
    [
      ["add", "ok", "c".repeat(16)],
      ["add", "ok", "b7ad6b7169203331"],
      ["fail", "not-found", "b7ad6b7169203331"],
      ["nothing", "unknown-method", "b7ad6b7169203331"],
      ["wait", "cancelled", "b7ad6b7169203331"],
      ["wait", "connection-ended", "b7ad6b7169203331"],
    ],
  );
  for (const { ends, attributes } of calls) {
    assert.deepEqual([ends, attributes["holdfast.service"], attributes["holdfast.session"]], [
      1,
      "shop",
      client.session,
    ]);
  }
  assert.deepEqual(calls.map(({ failed }) => failed), [false, false, true, true, false, false]);

  // A resume that names no trace begins new ones.
  client.metadata = undefined;
  client.openTo("shop", 3);
  await client.cut();
  await client.connect(node);
  client.call("add", 1, undefined, 3);
  await settle();
  assert.equal(spans.at(-1)!.parent, undefined);
  await node.directory.stop();
  node.log.verify();
});

Deno.test("without tracing nothing is made for a call, and every handshake shares one span that does nothing", () => {
  const context = { resume: false, traceparent: PARENT };
  assert.equal(NO_TRACING.handshake(context), NO_TRACING.handshake(context));
  assert.equal(NO_TRACING.call, undefined);
});
