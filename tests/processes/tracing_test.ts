/** Spans of handshakes and calls, exported by the runtime to a collector. */

import assert from "node:assert/strict";
import { connect } from "../../src/client/mod.ts";
import { OtlpSink } from "../support/otlp_sink.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

Deno.test("with OTEL_DENO=true a handshake and a resume are spans, and children of what start.metadata names", async () => {
  const sink = new OtlpSink();
  const server = await ServerProcess.start(sink.environment);
  try {
    const first = await RawConduit.open(server.url, "holdfast.v1.json");
    const established = await first.establish({
      challenge: newChallenge(),
      metadata: { traceparent: `00-${TRACE}-${PARENT}-01` },
    });
    await first.break();
    const second = await RawConduit.open(server.url, "holdfast.v1.json");
    const { session, token } = established;
    const resume = { session, token, received: 0, sent: 0 };
    const traceparent = `00-${TRACE}-${"1".repeat(16)}-01`;
    await second.establish({ challenge: newChallenge(), resume, metadata: { traceparent } });
    await second.break();
    const third = await RawConduit.open(server.url, "holdfast.v1.json");
    const metadata = { traceparent: "not a traceparent" };
    third.say(["start", { version: 9, challenge: newChallenge(), metadata }]);
    await third.closed;

    const ours = await sink.until("handshakes", 3, ({ name }) => name.startsWith("holdfast."));
    const [opened, resumed, refused] = ours;
    assert.deepEqual([opened!.name, opened!.traceId, opened!.parentSpanId], [
      "holdfast.handshake",
      TRACE,
      PARENT,
    ]);
    assert.equal(opened!.attributes["holdfast.outcome"], "established");
    assert.equal(opened!.attributes["holdfast.session"], session);
    assert.deepEqual([resumed!.name, resumed!.traceId, resumed!.parentSpanId], [
      "holdfast.resume",
      TRACE,
      "1".repeat(16),
    ]);
    assert.equal(resumed!.attributes["holdfast.resumed"], true);
    assert.notEqual(refused!.traceId, TRACE);
    assert.equal(refused!.parentSpanId, "");
    assert.equal(refused!.attributes["holdfast.reason"], "unsupported-version");
    assert.equal(refused!.status, 2);
    assert.ok(!JSON.stringify(sink.spans).includes(token), "a span carries a token");
  } finally {
    await server.dispose();
    await sink.close();
  }
});

Deno.test("with OTEL_DENO=true each call is a span, and a child of what it names or of what its session's start did", async () => {
  const sink = new OtlpSink();
  const server = await ServerProcess.start({ ...sink.environment, HOLDFAST_DEMO: "on" });
  try {
    const session = connect(server.url, { metadata: { traceparent: `00-${TRACE}-${PARENT}-01` } });
    const demo = session.open("demo");
    const own = { traceparent: `00-${"2".repeat(32)}-${"3".repeat(16)}-01` };
    await demo.call("add", { name: "secret-argument", by: 1 }, { operation: "secret-key" });
    await demo.call("echo", 1, { metadata: own });
    await assert.rejects(demo.call("fail", { code: "not-found" }));
    const spans = await sink.until("calls", 3, ({ name }) => name === "holdfast.call");
    const of = (method: string) => spans.find(({ attributes }) => attributes["holdfast.method"] === method)!;
    assert.deepEqual([of("add").traceId, of("add").parentSpanId, of("add").status], [TRACE, PARENT, 0]);
    assert.deepEqual(of("add").attributes, {
      "holdfast.service": "demo",
      "holdfast.method": "add",
      "holdfast.session": session.id,
      "holdfast.outcome": "ok",
    });
    assert.deepEqual([of("echo").traceId, of("echo").parentSpanId], ["2".repeat(32), "3".repeat(16)]);
    assert.deepEqual([of("fail").status, of("fail").attributes["holdfast.outcome"]], [2, "not-found"]);
    assert.ok(!JSON.stringify(sink.spans).includes("secret"), "a span tells what a call is about");
    await session.close();
  } finally {
    await server.dispose();
    await sink.close();
  }
});
