/** Nothing secret leaves by the side doors: log, metrics, admin answers, whatever clients do. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { sign } from "hono/jwt";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

const JWT_SECRET = `jwt-secret-${randomBytes(24).toString("hex")}`;
const ADMIN_TOKEN = `admin-token-${randomBytes(24).toString("hex")}`;

const CLAIMS = { iss: "https://issuer.example", aud: "holdfast", sub: "somebody" };

/** Events that are about a conduit or a session, and so must say which. */
const ABOUT_ONE = /^(refused|established|protocol-error|session-|suspected-|authorise-|admission-|conduit_)/;

// @rule resume.secret
Deno.test("no token, challenge, credential or body appears in the log, the metrics or the admin answers", async () => {
  const server = await ServerProcess.start({
    HOLDFAST_LOG_LEVEL: "debug",
    HOLDFAST_AUTH: "jwt",
    HOLDFAST_JWT_SECRET: JWT_SECRET,
    HOLDFAST_JWT_ISSUER: "https://issuer.example",
    HOLDFAST_JWT_AUDIENCE: "holdfast",
    HOLDFAST_ADMIN_TOKEN: ADMIN_TOKEN,
    HOLDFAST_PARK_AFTER: "200ms",
  });
  const secrets: [what: string, secret: string][] = [["JWT secret", JWT_SECRET], [
    "admin token",
    ADMIN_TOKEN,
  ]];
  const secret = (what: string, text: string) => {
    secrets.push([what, text]);
    return text;
  };
  const random = (what: string) => secret(what, randomBytes(32).toString("base64url"));
  const jwt = async (claims: Record<string, unknown>) =>
    secret("JWT", await sign({ ...CLAIMS, ...claims }, JWT_SECRET, "HS256"));
  const open = () => RawConduit.open(server.url, "holdfast.v1.json");
  const answers: string[] = [];
  try {
    const now = Math.floor(Date.now() / 1000);
    const auth = await jwt({ exp: now + 600 });
    const first = await open();
    const one = await first.establish({ challenge: random("challenge"), auth });
    secret("resume token", one.token);
    first.say(["open", 1, 1, { service: "echo", metadata: { key: random("metadata") } }]);
    first.say(["message", 2, 1, random("body")]);
    await first.next("message");
    first.say(["authorise", { auth: await jwt({ exp: now + 900 }) }]);
    await first.next("authorised");
    await first.break();

    // Resumed, then resumed with the retired token, with none that ever was, as somebody else, with what is expired.
    const second = await open();
    const resume = { session: one.session, token: one.token, received: 0, sent: 2 };
    const two = await second.establish({ challenge: random("challenge"), auth, resume });
    secret("resume token", two.token);
    second.say(["ping", 1]);
    await second.next("pong");
    const refusals = [
      { auth, resume },
      { auth, resume: { ...resume, token: random("unknown token") } },
      { auth: await jwt({ sub: "somebody else", exp: now + 600 }), resume: { ...resume, token: two.token } },
      { auth: await jwt({ exp: now - 600 }) },
      { auth: random("garbage credential") },
      { auth, settings: { durability: random("setting") } },
      { auth, version: 99 },
    ];
    for (const start of refusals) {
      const conduit = await open();
      conduit.say(["start", { version: 1, challenge: random("challenge"), ...start }]);
      const [, refused] = await conduit.next("refused");
      answers.push(JSON.stringify({ ...refused as { challenge?: string }, challenge: undefined }));
      await conduit.closed;
    }

    // Frames that break rules, with secrets where a careless message would quote them.
    const broken = [
      JSON.stringify(["start", { version: 1, challenge: random("short").slice(0, 8), auth }]),
      JSON.stringify(["start", { version: 1, challenge: newChallenge(), auth: [auth] }]),
      `["start", {"version": 1, "auth": "${auth}", `,
      auth,
    ];
    for (const frame of broken) {
      const conduit = await open();
      conduit.send(frame);
      await conduit.closed;
    }
    second.say(["message", 9, 1, random("body out of order")]);
    await second.closed;

    const third = await open();
    const three = await third.establish({ challenge: random("challenge"), auth });
    secret("resume token", three.token);
    third.say(["authorise", { auth: random("garbage credential") }]);
    await third.closed;

    for (const bearer of [ADMIN_TOKEN, random("wrong admin token")]) {
      for (const path of ["sessions", `sessions/${three.session}`, "node", "store", random("path")]) {
        const response = await fetch(`${server.url}/v1/admin/${path}`, {
          headers: { authorization: `Bearer ${bearer}` },
        });
        answers.push(await response.text());
      }
    }
    const metrics = await fetch(`${server.url}/metrics`);
    answers.push(await metrics.text());
    assert.match(answers.at(-1)!, /^holdfast_token_theft_suspected_total 1$/m);
    await server.stop();
    const events = new Set(server.log.map(({ event }) => event));
    for (const event of ["suspected-token-theft", "protocol-error", "refused", "session-ended"]) {
      assert.ok(events.has(event), `the run was to show ${event}: ${[...events]}`);
    }
    for (const line of server.log) {
      assert.notEqual(line.level, "error", JSON.stringify(line));
      if (!ABOUT_ONE.test(line.event)) continue;
      assert.ok("session" in line || "conduit" in line, JSON.stringify(line));
    }
    const said = [...server.stdout, ...server.stderr, ...answers].join("\n");
    for (const [what, text] of secrets) assert.ok(!said.includes(text), `a ${what} appears: ${text}`);
  } finally {
    await server.dispose();
  }
});
