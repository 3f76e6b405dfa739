/** Every refusal that this version can give, asked for at a live process: the reason, the close code, and no damage. */

import assert from "node:assert/strict";
import { assertAlive, refusal, resumed, resumeOf, session } from "../support/handshakes.ts";
import { newChallenge, RawConduit, type RawEstablished } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

Deno.test("refusals of a live process", async (t) => {
  const server = await ServerProcess.start();
  try {
    // @rule handshake.version
    await t.step("another version is unsupported-version, and detail names those spoken", async () => {
      for (const version of [0, 2, 2 ** 40]) {
        const refused = await refusal(server, { version });
        assert.deepEqual([refused.reason, refused.code], ["unsupported-version", 4600]);
        assert.match(refused.detail, /\b1\b/);
      }
    });

    // @rule handshake.order
    await t.step("the version is judged before the token", async () => {
      const refused = await refusal(server, {
        version: 2,
        resume: { session: "x", token: "y", received: 0, sent: 0 },
      });
      assert.equal(refused.reason, "unsupported-version");
    });

    // @rule handshake.challenge
    await t.step("a challenge that is too short, too long or not printable is malformed", async () => {
      for (const challenge of ["short", "x".repeat(65), `${"x".repeat(30)}\n`, "é".repeat(30)]) {
        const refused = await refusal(server, { challenge });
        assert.deepEqual([refused.reason, refused.code], ["malformed", 4600], challenge);
      }
    });

    // @rule frame.cost
    await t.step("a window in which two bodies do not fit is malformed", async () => {
      const refused = await refusal(server, { settings: { windowBytes: 1000 } });
      assert.deepEqual([refused.reason, refused.code], ["malformed", 4600]);
    });

    // @rule resume.refused
    await t.step("no such session, or a token that is none of its, is unknown-session", async () => {
      const { conduit, established } = await session(server);
      for (
        const resume of [
          { session: "AAAAAAAAAAAAAAAAAAAAAA", token: established.token, received: 0, sent: 0 },
          { session: established.session, token: "A".repeat(43), received: 0, sent: 0 },
          { session: "", token: "", received: 0, sent: 0 },
        ]
      ) {
        const refused = await refusal(server, { resume });
        assert.deepEqual([refused.reason, refused.code], ["unknown-session", 4501]);
        assert.ok(!refused.detail.includes(established.token));
      }
      await assertAlive(conduit);
    });

    // @rule resume.rotate
    await t.step("a token that was replaced is stale-token, and the session is untouched", async () => {
      const { conduit, established } = await session(server);
      await conduit.break();
      const newer = await resumed(server, established);
      const refused = await refusal(server, resumeOf(established));
      assert.deepEqual([refused.reason, refused.code], ["stale-token", 4501]);
      assert.ok(server.log.some((line) => line.level === "warn" && line["session"] === established.session));
      const again = await session(server, resumeOf(newer, { received: 1, sent: 1 }));
      assert.equal(again.established.session, established.session);
      await again.conduit.break();
    });

    // @rule resume.rotate
    await t.step("the older token is good as long as the newer one is not proven", async () => {
      const { conduit, established } = await session(server);
      await conduit.break();
      for (let attempt = 0; attempt < 6; attempt++) {
        const unproven = await RawConduit.open(server.url, "holdfast.v1.json");
        unproven.say(["start", { version: 1, challenge: newChallenge(), ...resumeOf(established) }]);
        assert.equal((await unproven.next("established", "refused"))[0], "established", `attempt ${attempt}`);
        await unproven.break();
      }
    });

    // @rule handshake.settings
    await t.step(
      "a resume with other settings is settings-changed, one with the same is not",
      async () => {
        const settings = { durability: "ephemeral", windowMessages: 100 };
        const { conduit, established } = await session(server, { settings });
        for (
          const changed of [{ durability: "durable" }, { windowMessages: 101 }, { windowBytes: 2 ** 22 }]
        ) {
          const refused = await refusal(server, { ...resumeOf(established), settings: changed });
          assert.deepEqual(
            [refused.reason, refused.code],
            ["settings-changed", 4501],
            JSON.stringify(changed),
          );
        }
        await assertAlive(conduit);
        const same = await session(server, { ...resumeOf(established), settings });
        assert.equal(same.established.resumed, true);
        await same.conduit.break();
      },
    );

    // @rule resume.diverged
    // @rule resume.refused
    await t.step("counters that contradict the server's are diverged, and detach nobody", async () => {
      const { conduit, established } = await session(server);
      conduit.say(["open", 1, 1, { service: "echo" }], ["message", 2, 1, "one"]);
      await conduit.next("message");
      conduit.say(["ack", 2]);
      for (const counters of [{ received: 3, sent: 2 }, { received: 0, sent: 2 }, { received: 2, sent: 1 }]) {
        const refused = await refusal(server, resumeOf(established, counters));
        assert.deepEqual([refused.reason, refused.code], ["diverged", 4501], JSON.stringify(counters));
      }
      await assertAlive(conduit);
      // The token is judged first.
      const resume = { session: established.session, token: "B".repeat(43), received: 9, sent: 9 };
      assert.equal((await refusal(server, { resume })).reason, "unknown-session");
    });

    // @rule handshake.challenge
    await t.step(
      "a repeated start gets the same session until a token is proven, then challenge-used",
      async () => {
        const challenge = newChallenge();
        const first = await RawConduit.open(server.url, "holdfast.v1.json");
        first.say(["start", { version: 1, challenge }]);
        const [, offered] = await first.next("established");
        await first.break();
        const { conduit, established } = await session(server, { challenge });
        assert.equal(established.session, (offered as RawEstablished).session);
        assert.notEqual(established.token, (offered as RawEstablished).token);
        const refused = await refusal(server, { challenge });
        assert.deepEqual([refused.reason, refused.code, refused.challenge], [
          "challenge-used",
          4501,
          challenge,
        ]);
        await assertAlive(conduit);
      },
    );

    // @rule end.close
    await t.step(
      "a session that was closed is told as closed to the holder of its token alone",
      async () => {
        const { conduit, established } = await session(server);
        conduit.say(["close", { reason: "done", detail: "all said" }]);
        assert.equal((await conduit.closed).code, 1000);
        const refused = await refusal(server, resumeOf(established));
        assert.deepEqual([refused.reason, refused.code], ["closed", 4501]);
        assert.match(refused.detail, /done/);
        const resume = { session: established.session, token: "C".repeat(43), received: 0, sent: 0 };
        assert.equal((await refusal(server, { resume })).reason, "unknown-session");
      },
    );

    // @rule resume.takeover
    await t.step("the newest resume wins: the older conduit is closed with 4510", async () => {
      const { conduit, established } = await session(server);
      const newer = await session(server, resumeOf(established));
      assert.equal((await conduit.closed).code, 4510);
      await assertAlive(newer.conduit);
    });

    // @rule resume.secret
    await t.step("no token is in the log", async () => {
      const { conduit, established } = await session(server);
      await conduit.break();
      await refusal(server, resumeOf(established, { received: 5, sent: 5 }));
      assert.ok(!server.stderr.join("\n").includes(established.token));
    });
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    await server.dispose();
  }
});
