/** Spans of handshakes, exported by the runtime to a collector. */

import assert from "node:assert/strict";
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
