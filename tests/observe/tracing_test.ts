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
import { otelTracing } from "../../src/observe/otel_tracing.ts";
import { NO_TRACING, parseTraceParent } from "../../src/observe/tracing.ts";
import { newStart, RawPeer, TestClient } from "../support/raw_peer.ts";
import { settle } from "../support/fake_clock.ts";
import { TestNode } from "../support/test_node.ts";

interface Recorded {
  readonly name: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  ends: number;
}

/** A provider that keeps what it is told. */
function recording(): { provider: TracerProvider; spans: Recorded[] } {
  const spans: Recorded[] = [];
  const tracer: Tracer = {
    startSpan(name: string, _options?: SpanOptions, context?: Context): Span {
      const parent = context === undefined ? undefined : trace.getSpanContext(context)?.spanId;
      const recorded: Recorded = { name, parent, attributes: {}, ends: 0 };
      spans.push(recorded);
      const span: Span = {
        ...trace.wrapSpanContext(INVALID_SPAN_CONTEXT),
        setAttribute: (key, value) => (recorded.attributes[key] = value, span),
        setStatus: () => span,
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

Deno.test("without tracing every handshake shares one span that does nothing", () => {
  const context = { resume: false, traceparent: PARENT };
  assert.equal(NO_TRACING.handshake(context), NO_TRACING.handshake(context));
});
