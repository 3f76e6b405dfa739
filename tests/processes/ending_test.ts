/** What ends by itself at a live process, and what a client is told while the store is away. */

import assert from "node:assert/strict";
import { refusal, type Refused, resumeOf, session } from "../support/handshakes.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

Deno.test("what ends by itself, at a process with short times", async (t) => {
  const server = await ServerProcess.start({
    HOLDFAST_RESUME_WINDOW: "800ms",
    HOLDFAST_HANDSHAKE_TIMEOUT: "500ms",
    HOLDFAST_PARK_AFTER: "100ms",
    HOLDFAST_TOKEN_REUSE: "end",
  });
  const watchful = await ServerProcess.start({
    HOLDFAST_KEEPALIVE_INTERVAL: "200ms",
    HOLDFAST_KEEPALIVE_TIMEOUT: "200ms",
    HOLDFAST_IDLE_TIMEOUT: "1500ms",
  });
  try {
    // @rule resume.window
    await t.step("a session without a conduit for the resume window is expired", async () => {
      const { conduit, established } = await session(server);
      await conduit.break();
      await pause(1_300);
      const refused = await refusal(server, resumeOf(established));
      assert.deepEqual([refused.reason, refused.code], ["expired", 4501]);
    });
    // @rule handshake.first
    await t.step("a conduit that never says start is closed with 4408", async () => {
      const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
      assert.equal((await conduit.closed).code, 4408);
    });
    // @rule keepalive.ping
    await t.step(
      "a conduit that leaves a ping unanswered is closed with 4409, and its session resumes",
      async () => {
        const { conduit, established } = await session(watchful);
        assert.equal((await conduit.closed).code, 4409);
        const { established: next, conduit: newer } = await session(watchful, resumeOf(established));
        assert.equal(next.resumed, true);
        await newer.break();
      },
    );
    // @rule resume.rotate
    await t.step(
      "with HOLDFAST_TOKEN_REUSE=end a replaced token ends the session, and its holder is told token-reuse",
      async () => {
        const { conduit, established } = await session(server);
        await conduit.break();
        const { conduit: holder, established: newer } = await session(server, resumeOf(established));
        holder.say(["open", 1, 1, { service: "echo" }]);
        await holder.next("accept");
        assert.equal((await refusal(server, resumeOf(established))).reason, "stale-token");
        const [, close] = await holder.next("close");
        assert.equal((close as Refused).reason, "token-reuse");
        assert.equal((await holder.closed).code, 4501);
        assert.equal(
          (await refusal(server, resumeOf(newer, { received: 1, sent: 1 }))).reason,
          "token-reuse",
        );
      },
    );
    // @rule end.idle
    await t.step(
      "a session in which nothing moves ends as idle with 4502, and later resumes are told so",
      async () => {
        const { conduit, established } = await session(watchful);
        let [name, fields] = await conduit.next("ping", "close");
        while (name === "ping") {
          conduit.say(["pong", fields]);
          [name, fields] = await conduit.next("ping", "close");
        }
        assert.equal((fields as Refused).reason, "idle");
        assert.equal((await conduit.closed).code, 4502);
        const refused = await refusal(watchful, resumeOf(established));
        assert.deepEqual([refused.reason, refused.code], ["closed", 4501]);
        assert.match(refused.detail, /^idle/);
      },
    );
  } finally {
    await server.dispose();
    await watchful.dispose();
  }
});

// @rule resume.refused
Deno.test("while the store is away handshakes are refused with unavailable, and sessions survive it", async () => {
  const store = await KvConnectServer.start({ token: "test-token" });
  const server = await ServerProcess.start({
    HOLDFAST_KV: store.url,
    DENO_KV_ACCESS_TOKEN: store.token,
    HOLDFAST_HANDSHAKE_TIMEOUT: "1s",
  });
  try {
    const { conduit, established } = await session(server);
    await conduit.break();
    store.inject({ away: true });
    const refused = await refusal(server, {});
    assert.deepEqual([refused.reason, refused.code], ["unavailable", 4400]);
    store.inject({ away: false });
    const { established: next, conduit: newer } = await session(server, resumeOf(established));
    assert.equal(next.resumed, true);
    await newer.break();
  } finally {
    await server.dispose();
    await store.close();
  }
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
