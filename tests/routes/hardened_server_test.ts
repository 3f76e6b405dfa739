/** The hardened server on a port of this machine, with routes of the test's own. */

import assert from "node:assert/strict";
import { Hono } from "hono";
import { jsonBodiesOf } from "../../routes/admin/described.ts";
import { HardenedServer } from "../../routes/hardened_server.ts";
import { BodyFailed } from "../../routes/incoming_body.ts";
import { systemClock } from "../../src/system/clock.ts";
import { TestLog } from "../support/test_log.ts";

const MIB = 1024 * 1024;

/** What a test has of a server. */
interface Serving {
  readonly port: number;
  readonly log: TestLog;
  /** Sends text and gives what comes until the server ends the connection. */
  ask(...texts: readonly string[]): Promise<string>;
  open(text: string): Promise<Deno.TcpConn>;
}

async function serving(
  routes: Hono,
  run: (serving: Serving) => Promise<void>,
  mostConnections = 100,
): Promise<void> {
  const log = new TestLog();
  const server = new HardenedServer<never>({
    accept: () => {
      throw new TypeError("no upgrades here");
    },
    headMs: 5_000,
    clock: systemClock,
    log,
    onGarbage() {},
    mostConnections,
  });
  routes.onError((error) => {
    if (error instanceof BodyFailed) return error.getResponse();
    throw error;
  });
  const listener = await server.listen(routes, { hostname: "127.0.0.1", port: 0 });
  const { port } = listener;
  const open = async (text: string) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode(text));
    return connection;
  };
  const ask = async (...texts: readonly string[]) => {
    const connection = await open(texts[0] ?? "");
    try {
      for (const text of texts.slice(1)) await connection.write(new TextEncoder().encode(text));
      return await toItsEnd(connection);
    } finally {
      connection.close();
    }
  };
  try {
    await run({ port, log, ask, open });
  } finally {
    await listener.shutdown();
  }
  log.verify();
}

async function toItsEnd(connection: Deno.TcpConn): Promise<string> {
  const piece = new Uint8Array(64 * 1024);
  let text = "";
  for (;;) {
    const read = await connection.read(piece);
    if (read === null) return text;
    text += new TextDecoder().decode(piece.subarray(0, read));
  }
}

/** Reads until a text has come. */
async function until(connection: Deno.TcpConn, expected: string): Promise<string> {
  const piece = new Uint8Array(64 * 1024);
  let text = "";
  while (!text.includes(expected)) {
    const read = await connection.read(piece);
    assert.ok(read !== null, `it ended after ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(piece.subarray(0, read));
  }
  return text;
}

function post(path: string, headers: readonly string[], body = ""): string {
  return [`POST ${path} HTTP/1.1`, "Host: a", ...headers, "", body].join("\r\n");
}

const JSON_TYPE = "Content-Type: application/json";

function echoing(): Hono {
  return new Hono()
    .post("/echo", async ({ req }) => new Response(await req.raw.text()))
    .post("/small", jsonBodiesOf(16), async ({ req }) => new Response(await req.text()))
    .all("*", () => new Response("not here", { status: 404 }));
}

Deno.test("a body that no route asks for is not waited for: the answer comes, and the connection ends", () =>
  serving(echoing(), async ({ ask }) => {
    for (
      const head of [
        post("/nowhere", ["Content-Length: 1048576"]),
        post("/nowhere", ["Transfer-Encoding: chunked"]),
      ]
    ) {
      const answer = await ask(head);
      assert.match(answer, /^HTTP\/1\.1 404 /);
      assert.match(answer, /\r\nconnection: close\r\n/i);
      assert.ok(answer.endsWith("not here"));
    }
  }));

Deno.test("a body that came whole and was not read leaves its connection to the next request", () =>
  serving(echoing(), async ({ ask }) => {
    const next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const answers = await ask(post("/nowhere", ["Content-Length: 3"], "abc"), next);
    assert.equal(answers.match(/HTTP\/1\.1 404 /g)?.length, 2, answers);
    const refused = await ask(post("/small", [JSON_TYPE, "Content-Length: 20"], "a".repeat(20)), next);
    assert.match(refused, /^HTTP\/1\.1 413 [\s\S]*HTTP\/1\.1 404 /);
  }));

Deno.test("a route that reads gets the body in pieces as they come, whole and in chunks, up to 1 MiB", () =>
  serving(echoing(), async ({ ask }) => {
    const close = "Connection: close";
    const pieces = await ask(post("/echo", [close, "Content-Length: 6"], "abc"), "def");
    assert.ok(pieces.endsWith("\r\n\r\nabcdef"), pieces);
    const chunked = await ask(
      post("/echo", [close, "Transfer-Encoding: chunked"], "3\r\nabc\r\n"),
      "2\r\nde\r\n0\r\n\r\n",
    );
    assert.ok(chunked.endsWith("\r\n\r\nabcde"), chunked);
    const empty = await ask(post("/echo", [close, "Content-Length: 0"]));
    assert.match(empty, /^HTTP\/1\.1 200 /);
    const large = await ask(post("/echo", [close, `Content-Length: ${MIB}`]), "a".repeat(MIB));
    assert.equal(large.slice(large.indexOf("\r\n\r\n") + 4).length, MIB);
  }));

Deno.test("more than 1 MiB is 413 with problem+json, by its length before any of it is read, or once it comes", () =>
  serving(echoing(), async ({ ask, open }) => {
    const declared = await ask(post("/echo", [`Content-Length: ${MIB + 1}`]));
    const chunked = await open(post("/echo", ["Transfer-Encoding: chunked"], "ffffff\r\n"));
    await chunked.write(new Uint8Array(MIB + 1));
    for (const answer of [declared, await toItsEnd(chunked)]) {
      assert.match(answer, /^HTTP\/1\.1 413 /);
      assert.match(answer, /content-type: application\/problem\+json/);
    }
    chunked.close();
  }));

Deno.test("a route's own limit refuses by the length that is declared, and by what comes", () =>
  serving(echoing(), async ({ ask }) => {
    for (
      const request of [
        post("/small", [JSON_TYPE, "Content-Length: 17"]),
        post("/small", [JSON_TYPE, "Transfer-Encoding: chunked"], `11\r\n${"a".repeat(17)}\r\n`),
      ]
    ) {
      assert.match(await ask(request), /^HTTP\/1\.1 413 /);
    }
    assert.match(await ask(post("/small", ["Content-Length: 17"])), /^HTTP\/1\.1 415 /);
  }));

Deno.test("a client that expects 100 is told to go on when a route asks for the body, and otherwise not", () =>
  serving(echoing(), async ({ ask, open }) => {
    const expecting = ["Expect: 100-continue", "Content-Length: 3", "Connection: close"];
    assert.match(await ask(post("/nowhere", expecting)), /^HTTP\/1\.1 404 /);
    const connection = await open(post("/echo", expecting));
    assert.equal(await until(connection, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    await connection.write(new TextEncoder().encode("abc"));
    assert.match(await toItsEnd(connection), /^HTTP\/1\.1 200 [\s\S]*abc$/);
    connection.close();
  }));

Deno.test("a client that goes away in the middle of its body leaves no error line; a route that fails does", async () => {
  const asked = Promise.withResolvers<void>();
  const over = Promise.withResolvers<unknown>();
  const routes = new Hono()
    .post("/read", async ({ req }) => {
      asked.resolve();
      try {
        return new Response(await req.raw.text());
      } catch (error) {
        over.resolve(error);
        throw error;
      }
    })
    .post("/broken", () => {
      throw new Error("a defect");
    });
  await serving(routes, async ({ ask, open, log }) => {
    const connection = await open(post("/read", ["Content-Length: 10"], "abc"));
    await asked.promise;
    connection.close();
    assert.ok(await over.promise instanceof BodyFailed);
    assert.match(await ask(post("/broken", ["Connection: close"])), /^HTTP\/1\.1 500 /);
    assert.equal(log.of("request_aborted")[0]?.level, "debug");
    log.expectError("request_failed");
    assert.equal(log.of("request_failed").length, 1);
  });
});

Deno.test("above the limit the connection that is incomplete longest makes room for a new one", () =>
  serving(echoing(), async ({ open, log }) => {
    const unfinished = await open("GET / HT");
    const body = await open(post("/echo", ["Content-Length: 10", "Expect: 100-continue"]));
    await until(body, "100 Continue");
    const idle = await open("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(idle, "not here");
    const others: Deno.TcpConn[] = [];
    for (const oldest of [unfinished, body, idle]) {
      others.push(await open("GET / HT"));
      assert.equal(await toItsEnd(oldest), "");
      oldest.close();
    }
    for (const connection of others) connection.close();
    assert.equal(log.of("connection_made_room").length, 3);
    // What was being sent for the one that went is no request any more.
    assert.equal(log.of("request_aborted").length, 1);
  }, 3));

Deno.test("above 4 MiB of bodies that nobody has read the oldest of them makes room, answered or not", () =>
  serving(echoing(), async ({ open, log }) => {
    const length = "Content-Length: 100000";
    const answered = await open(post("/nowhere", [length]));
    await until(answered, "not here");
    const bodies = [answered];
    while (bodies.length < 64) {
      const body = await open(post("/echo", [length, "Expect: 100-continue"]));
      await until(body, "100 Continue");
      bodies.push(body);
    }
    assert.equal(log.of("body_made_room").length, 0);
    for (const oldest of bodies.slice(0, 2)) {
      const another = await open(post("/echo", [length, "Expect: 100-continue"]));
      await until(another, "100 Continue");
      bodies.push(another);
      assert.equal(await toItsEnd(oldest), "");
    }
    assert.equal(log.of("body_made_room").length, 2);
    for (const connection of bodies) connection.close();
  }));

Deno.test("a body that was read, or came whole with a request that is answered, takes no room any more", () =>
  serving(echoing(), async ({ open, log }) => {
    const connections: Deno.TcpConn[] = [];
    for (let count = 0; count < 80; count++) {
      const path = count % 2 === 0 ? "/echo" : "/nowhere";
      const connection = await open(post(path, ["Content-Length: 60000"], "a".repeat(60_000)));
      await until(connection, path === "/echo" ? "aaaa" : "not here");
      connections.push(connection);
    }
    assert.equal(log.of("body_made_room").length, 0);
    for (const connection of connections) connection.close();
  }));

Deno.test("a request that is being answered does not make room", async () => {
  const asked = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const routes = new Hono().get("/slow", async () => {
    asked.resolve();
    await go.promise;
    return new Response("at last");
  });
  await serving(routes, async ({ open }) => {
    const slow = await open("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    await asked.promise;
    const idle: Deno.TcpConn[] = [];
    for (let count = 0; count < 5; count++) idle.push(await open("GET / HT"));
    go.resolve();
    await until(slow, "at last");
    for (const connection of [slow, ...idle]) connection.close();
  }, 2);
});
