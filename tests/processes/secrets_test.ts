/** Nothing secret leaves by the side doors: log, metrics, admin answers, whatever clients and operators do. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { sign } from "hono/jwt";
import { adminLink, LINK_LINE } from "../support/admin_link.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

const JWT_SECRET = `jwt-secret-${randomBytes(24).toString("hex")}`;
const ADMIN_TOKEN = `admin-token-${randomBytes(24).toString("hex")}`;

const CLAIMS = { iss: "https://issuer.example", aud: "holdfast", sub: "somebody" };

/** Events that are about a conduit or a session, and so must say which. */
const ABOUT_ONE = /^(refused|established|protocol-error|session-|suspected-|authorise-|admission-|conduit_)/;

/** A run of one server: what must stay secret, and what was answered. */
class Run {
  readonly server: ServerProcess;
  readonly answers: string[] = [];
  readonly #secrets: [what: string, secret: string][] = [];

  constructor(server: ServerProcess) {
    this.server = server;
    this.secret("JWT secret", JWT_SECRET);
    this.secret("admin token", ADMIN_TOKEN);
  }

  secret(what: string, text: string): string {
    this.#secrets.push([what, text]);
    return text;
  }

  random(what: string): string {
    return this.secret(what, randomBytes(32).toString("base64url"));
  }

  async jwt(claims: Record<string, unknown>): Promise<string> {
    return this.secret("JWT", await sign({ ...CLAIMS, ...claims }, JWT_SECRET, "HS256"));
  }

  open(upgrade?: Parameters<typeof RawConduit.open>[2]): Promise<RawConduit> {
    return RawConduit.open(this.server.url, "holdfast.v1.json", upgrade);
  }

  /** Asks the admin API, and keeps its answer. @returns Its status, and its cookie's name and value. */
  async ask(
    path: string,
    headers: Record<string, string>,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly cookie: string }> {
    const response = await fetch(`${this.server.url}/v1/admin/${path}`, {
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    this.answers.push(await response.text());
    const [cookie = ""] = (response.headers.get("set-cookie") ?? "").split(";");
    return { status: response.status, cookie };
  }

  /** Fails if a secret was said anywhere but in the one line that is there to say it. */
  verify(): void {
    const stdout = this.server.stdout.filter((line) => !line.startsWith(LINK_LINE));
    const said = [...stdout, ...this.server.stderr, ...this.answers].join("\n");
    for (const [what, text] of this.#secrets) assert.ok(!said.includes(text), `a ${what} appears: ${text}`);
  }
}

/** What clients do: right, wrong and broken. @returns A session with an open connection 1, and its conduit. */
async function clients(run: Run): Promise<{ readonly session: string; readonly conduit: RawConduit }> {
  const now = Math.floor(Date.now() / 1000);
  const auth = await run.jwt({ exp: now + 600 });
  const first = await run.open();
  const one = await first.establish({ challenge: run.random("challenge"), auth });
  run.secret("resume token", one.token);
  first.say(["open", 1, 1, { service: "echo", metadata: { key: run.random("metadata") } }]);
  first.say(["message", 2, 1, run.random("body")]);
  await first.next("message");
  first.say(["authorise", { auth: await run.jwt({ exp: now + 900 }) }]);
  await first.next("authorised");
  await first.break();

  // Resumed, then resumed with the retired token, with none that ever was, as somebody else, with what is expired.
  const second = await run.open();
  const resume = { session: one.session, token: one.token, received: 0, sent: 2 };
  const two = await second.establish({ challenge: run.random("challenge"), auth, resume });
  run.secret("resume token", two.token);
  second.say(["ping", 1]);
  await second.next("pong");
  const stranger = await run.jwt({ sub: "somebody else", exp: now + 600 });
  const refusals = [
    { auth, resume },
    { auth, resume: { ...resume, token: run.random("unknown token") } },
    { auth: stranger, resume: { ...resume, token: two.token } },
    { auth: await run.jwt({ exp: now - 600 }) },
    { auth: run.random("garbage credential") },
    { auth, settings: { durability: run.random("setting") } },
    { auth, version: 99 },
  ];
  for (const start of refusals) {
    const conduit = await run.open();
    conduit.say(["start", { version: 1, challenge: run.random("challenge"), ...start }]);
    const [, refused] = await conduit.next("refused");
    run.answers.push(JSON.stringify({ ...refused as { challenge?: string }, challenge: undefined }));
    await conduit.closed;
  }

  // Frames that break rules, with secrets where a careless message would quote them.
  const broken = [
    JSON.stringify(["start", { version: 1, challenge: run.random("short").slice(0, 8), auth }]),
    JSON.stringify(["start", { version: 1, challenge: newChallenge(), auth: [auth] }]),
    `["start", {"version": 1, "auth": "${auth}", `,
    auth,
  ];
  for (const frame of broken) {
    const conduit = await run.open();
    conduit.send(frame);
    await conduit.closed;
  }
  second.say(["message", 9, 1, run.random("body out of order")]);
  await second.closed;

  const conduit = await run.open();
  const { session, token } = await conduit.establish({ challenge: run.random("challenge"), auth });
  run.secret("resume token", token);
  conduit.say(["open", 1, 1, { service: "echo" }]);
  await conduit.next("accept");
  return { session, conduit };
}

/** What an operator does with these credentials, and somebody without. */
async function operate(run: Run, session: string, credentials: Record<string, string>): Promise<void> {
  const wrong = { authorization: `Bearer ${run.random("wrong admin token")}` };
  for (const headers of [credentials, wrong]) {
    for (const path of ["sessions", `sessions/${session}`, "node", "store", run.random("path")]) {
      await run.ask(path, headers);
    }
  }
  const push = async (key: string, body: unknown, connection = 1) => {
    const headers = { ...credentials, "idempotency-key": key };
    return (await run.ask(`sessions/${session}/connections/${connection}/messages`, headers, body)).status;
  };
  const key = run.random("idempotency key");
  const body = { body: { told: run.random("pushed body") } };
  assert.equal(await push(key, body), 200);
  assert.equal(await push(key, body), 200);
  assert.equal(await push(key, { body: run.random("pushed body") }), 409);
  assert.equal(await push(run.random("idempotency key"), body, 7), 404);
  assert.equal(await push(run.random("idempotency key").repeat(4), body), 400);
  assert.equal(await push(run.random("idempotency key"), { bodies: run.random("pushed body") }), 400);
  assert.equal(
    await push(run.random("idempotency key"), { body: { $: run.random("pushed body") } }),
    400,
    "no such escape",
  );
}

/** Logs in, well and badly. @returns The headers of a page that is logged in. */
async function logIn(run: Run, given: { code: string } | { token: string }): Promise<Record<string, string>> {
  const { url } = run.server;
  const page = { origin: url };
  for (const wrong of [{ code: run.random("wrong code") }, { token: run.random("wrong admin token") }]) {
    assert.equal((await run.ask("login", page, wrong)).status, 401);
  }
  const { status, cookie } = await run.ask("login", page, given);
  assert.equal(status, 204);
  run.secret("admin cookie", cookie.slice(cookie.indexOf("=") + 1));
  if ("code" in given) assert.equal((await run.ask("login", page, given)).status, 401);

  // As the operator's page watches, and as one would that is logged in nowhere.
  const watching = await run.open({ query: "?as=operator", headers: { ...page, cookie } });
  await watching.establish({ challenge: run.random("challenge"), settings: { durability: "ephemeral" } });
  watching.say(["open", 1, 1, { service: "admin" }]);
  await watching.next("accept");
  await watching.break();
  const forged = `holdfast_admin=${run.random("forged cookie")}`;
  const stranger = await run.open({ query: "?as=operator", headers: { ...page, cookie: forged } });
  await assert.rejects(stranger.establish({ challenge: run.random("challenge") }), /unauthorized/);
  return { ...page, cookie };
}

for (const transport of ["native", "hardened"]) {
  for (const way of ["token", "code"]) {
    // @rule resume.secret
    Deno.test(`over ${transport} connections and for an operator with a ${way}, no token, code, cookie, key, challenge, credential or body appears in the log, the metrics or the admin answers`, async () => {
      const server = await ServerProcess.start({
        HOLDFAST_LOG_LEVEL: "debug",
        HOLDFAST_TRANSPORT: transport,
        HOLDFAST_AUTH: "jwt",
        HOLDFAST_JWT_SECRET: JWT_SECRET,
        HOLDFAST_JWT_ISSUER: "https://issuer.example",
        HOLDFAST_JWT_AUDIENCE: "holdfast",
        ...(way === "token" ? { HOLDFAST_ADMIN_TOKEN: ADMIN_TOKEN } : {}),
        HOLDFAST_PARK_AFTER: "200ms",
      });
      try {
        const run = new Run(server);
        const { session, conduit } = await clients(run);
        const given = way === "token"
          ? { token: ADMIN_TOKEN }
          : { code: run.secret("one-time code", (await adminLink(server)).split("#code=")[1]!) };
        await operate(run, session, await logIn(run, given));
        if (way === "token") await operate(run, session, { authorization: `Bearer ${ADMIN_TOKEN}` });
        await conduit.next("message");
        conduit.say(["authorise", { auth: run.random("garbage credential") }]);
        await conduit.closed;

        const metrics = await fetch(`${server.url}/metrics`);
        run.answers.push(await metrics.text());
        assert.match(run.answers.at(-1)!, /^holdfast_token_theft_suspected_total 1$/m);
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
        run.verify();
      } finally {
        await server.dispose();
      }
    });
  }
}
