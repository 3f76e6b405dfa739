/** Hostile frames against a live process: each ends its own conduit or session, with the right code, and nothing else. */

import assert from "node:assert/strict";
import { encodeConduit } from "../../src/protocol/encode.ts";
import { beside, binarySession, nextBinary, textSession } from "../support/beside.ts";
import {
  hostileFirstBinary,
  hostileFirstText,
  OVERSIZE_BYTES,
  OVERSIZE_CHARACTERS,
  violatingBinary,
  violatingText,
} from "../support/hostile_frames.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";

// @rule frame.batch
// @rule frame.header
// @rule frame.cost
// @rule handshake.first
// @rule end.protocol
Deno.test("a hostile first frame is refused as malformed with 4600, and the process goes on", async () => {
  await beside(async (server) => {
    const cases = [
      ...hostileFirstBinary().map((each) => ({ ...each, subprotocol: "holdfast.v1.msgpack" as const })),
      ...hostileFirstText().map((each) => ({ ...each, subprotocol: "holdfast.v1.json" as const })),
    ];
    for (const { name, frame, subprotocol } of cases) {
      const conduit = await RawConduit.open(server.url, subprotocol);
      conduit.send(frame);
      const { code } = await conduit.closed;
      assert.equal(code, 4600, `${subprotocol}: ${name}`);
      if (subprotocol === "holdfast.v1.json") {
        const [, refused] = conduit.messages.find(([name]) => name === "refused") ?? [];
        assert.equal((refused as { reason?: string } | undefined)?.reason, "malformed", name);
      } else {
        const refused = await nextBinary(conduit, "refused");
        assert.equal(refused.reason, "malformed", name);
      }
    }
  });
});

// @rule frame.batch
// @rule frame.header
// @rule frame.unknown
// @rule frame.cost
// @rule frame.ids
// @rule handshake.first
// @rule delivery.gap
// @rule delivery.ack
// @rule delivery.window
// @rule end.protocol
Deno.test("a protocol error ends its session with 4500, and detail names the rule", async () => {
  await beside(async (server) => {
    for (const { name, rule, frame } of violatingBinary()) {
      const conduit = await binarySession(server);
      conduit.send(frame);
      const close = await nextBinary(conduit, "close");
      assert.equal(close.reason, "protocol-error", name);
      assert.ok(close.detail.startsWith(`${rule}:`), `${name}: ${rule} was expected in: ${close.detail}`);
      assert.equal((await conduit.closed).code, 4500, name);
    }
    for (const { name, rule, frame } of violatingText()) {
      const conduit = await textSession(server);
      conduit.send(frame);
      const [, fields] = await conduit.next("close");
      const close = fields as { reason: string; detail: string };
      assert.equal(close.reason, "protocol-error", name);
      assert.ok(close.detail.startsWith(`${rule}:`), `${name}: ${rule} was expected in: ${close.detail}`);
      assert.equal((await conduit.closed).code, 4500, name);
    }
  });
});

// @rule end.protocol
Deno.test("a session that ended with a protocol error cannot be resumed, and its holder is told why", async () => {
  await beside(async (server) => {
    const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
    const { session, token } = await conduit.establish();
    conduit.say(["ack", 1]);
    assert.equal((await conduit.closed).code, 4500);
    const again = await RawConduit.open(server.url, "holdfast.v1.json");
    again.say(["start", {
      version: 1,
      challenge: newChallenge(),
      resume: { session, token, received: 0, sent: 0 },
    }]);
    const [, refused] = await again.next("refused");
    assert.equal((refused as { reason: string }).reason, "closed");
    assert.match((refused as { detail: string }).detail, /protocol-error.*delivery\.ack/);
    assert.equal((await again.closed).code, 4501);
  });
});

// @rule frame.body
Deno.test("a malformed body ends its connection alone, and the session goes on", async () => {
  await beside(async (server) => {
    const conduit = await textSession(server);
    const open = (seq: number, connection: number) => ["open", seq, connection, { service: "echo" }] as const;
    conduit.say(open(1, 1), open(2, 3));
    await conduit.next("accept");
    await conduit.next("accept");
    conduit.send('["message",3,1,{"$bin":"!"}]');
    const [, , connection, fields] = await conduit.next("end");
    assert.equal(connection, 1);
    assert.equal((fields as { reason: string }).reason, "malformed-body");
    conduit.say(["message", 4, 3, "still here"]);
    assert.deepEqual((await conduit.next("message")).slice(2), [3, "still here"]);
    await conduit.break();
  });
});

// @rule delivery.dedupe
// @rule frame.unknown
Deno.test("a message that comes again and an unknown conduit message are passed over in silence", async () => {
  await beside(async (server) => {
    const conduit = await textSession(server);
    conduit.say(["open", 1, 1, { service: "echo" }], ["message", 2, 1, "once"]);
    assert.deepEqual(await conduit.next("message"), ["message", 2, 1, "once"]);
    conduit.say(["message", 2, 1, "again"], ["open", 1, 1, { service: "other" }], ["message", 3, 1, "next"]);
    assert.deepEqual(await conduit.next("message"), ["message", 3, 1, "next"]);
    await conduit.break();
    const binary = await binarySession(server);
    // Tag 15, which this version does not have.
    binary.send(Uint8Array.of(0x92, 0x0f, 0x01));
    binary.send(encodeConduit({ kind: "ping", nonce: 5 }));
    assert.equal((await nextBinary(binary, "pong")).nonce, 5);
    await binary.break();
  });
});

// @rule frame.cost
Deno.test("a frame above the limit closes its conduit with 1009, before and after established", async () => {
  await beside(async (server) => {
    for (
      const [subprotocol, frame] of [
        ["holdfast.v1.msgpack", new Uint8Array(OVERSIZE_BYTES)],
        ["holdfast.v1.json", "x".repeat(OVERSIZE_CHARACTERS)],
      ] as const
    ) {
      const early = await RawConduit.open(server.url, subprotocol);
      early.send(frame);
      assert.equal((await early.closed).code, 1009, subprotocol);
      const late = subprotocol === "holdfast.v1.json"
        ? await textSession(server)
        : await binarySession(server);
      late.send(frame);
      assert.equal((await late.closed).code, 1009, subprotocol);
    }
  });
});
