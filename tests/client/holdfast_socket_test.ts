import assert from "node:assert/strict";
import { HoldfastError } from "../../src/client/errors.ts";
import { HoldfastSocket } from "../../src/client/holdfast_socket.ts";
import { settle } from "../support/fake_clock.ts";
import { FakeSocketConnection, FakeSocketSession } from "../support/fake_socket_session.ts";

const URL = "ws://edge.test/chat";

/** What a socket was heard to do: one word for each event, with what came with it. */
function record(socket: HoldfastSocket): unknown[] {
  const heard: unknown[] = [];
  socket.addEventListener("open", () => heard.push(["open", socket.readyState]));
  socket.addEventListener("message", ({ data }) => heard.push(["message", data]));
  socket.addEventListener("error", () => heard.push(["error", socket.readyState]));
  socket.addEventListener("close", ({ code, reason, wasClean }) => {
    heard.push(["close", code, reason, wasClean, socket.readyState]);
  });
  return heard;
}

interface Fixture {
  readonly session: FakeSocketSession;
  readonly connection: FakeSocketConnection;
  readonly socket: HoldfastSocket;
  readonly heard: unknown[];
}

async function connecting(protocols: string | string[] = []): Promise<Fixture> {
  const session = new FakeSocketSession();
  const Socket = HoldfastSocket.over(session, "upstream:chat");
  const socket = new Socket(URL, protocols);
  const heard = record(socket);
  await settle();
  return { session, connection: session.connection, socket, heard };
}

async function open(): Promise<Fixture> {
  const fixture = await connecting();
  fixture.connection.accept();
  await settle();
  fixture.heard.length = 0;
  return fixture;
}

function throws(name: string, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof DOMException && error.name === name);
}

Deno.test("a class over a session has what libraries look for in a class of WebSockets", () => {
  const Socket: typeof WebSocket = HoldfastSocket.over(new FakeSocketSession(), "upstream:chat");
  assert.equal(typeof Socket, "function");
  for (const [index, name] of (["CONNECTING", "OPEN", "CLOSING", "CLOSED"] as const).entries()) {
    assert.ok(name in Socket && name in Socket.prototype.constructor);
    assert.equal(Socket[name], index);
  }
});

Deno.test("a socket connects, offers its subprotocols and opens with the chosen one", async () => {
  const { session, connection, socket, heard } = await connecting(["a.v1", "b.v2"]);
  assert.equal(session.connection.service, "upstream:chat");
  assert.deepEqual(connection.offer, { protocols: "a.v1,b.v2" });
  assert.equal(socket.readyState, HoldfastSocket.CONNECTING);
  assert.equal(socket.CONNECTING, 0);
  assert.deepEqual(
    [socket.url, socket.protocol, socket.extensions, socket.binaryType, socket.bufferedAmount],
    [
      "ws://edge.test/chat",
      "",
      "",
      "blob",
      0,
    ],
  );
  connection.accept({ protocol: "b.v2" });
  await settle();
  assert.equal(socket.protocol, "b.v2");
  assert.deepEqual(heard, [["open", 1]]);
});

Deno.test("without subprotocols nothing is offered", async () => {
  const { connection } = await connecting();
  assert.deepEqual(connection.offer, {});
});

Deno.test("a url or a subprotocol that no WebSocket takes is a SyntaxError, and nothing is opened", async () => {
  const session = new FakeSocketSession();
  const Socket = HoldfastSocket.over(session, "upstream:chat");
  for (const url of ["", "/chat", "chat", "ftp://edge.test/", "ws://edge.test/#a", "ws://edge.test/#"]) {
    throws("SyntaxError", () => new Socket(url));
  }
  for (const protocols of ["", "a b", ["a", "a"], ["a,b"], ["é"]]) {
    throws("SyntaxError", () => new Socket(URL, protocols));
  }
  await settle();
  assert.equal(session.connections.length, 0);
  assert.equal(new Socket("https://edge.test").url, "wss://edge.test/");
});

Deno.test("text and bytes come as strings, as blobs or as buffers, in order", async () => {
  const { connection, socket, heard } = await open();
  connection.arrive("one", new Uint8Array([1, 2]));
  await settle();
  socket.binaryType = "arraybuffer";
  connection.arrive(new Uint8Array([0, 3, 4, 0]).subarray(1, 3), "two");
  await settle();
  const blob = (heard[1] as [string, Blob])[1];
  assert.ok(blob instanceof Blob);
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), new Uint8Array([1, 2]));
  assert.deepEqual([heard[0], ...heard.slice(2)], [
    ["message", "one"],
    ["message", new Uint8Array([3, 4]).buffer],
    ["message", "two"],
  ]);
});

Deno.test("binaryType is one of two, and another value changes nothing", async () => {
  const { socket } = await open();
  socket.binaryType = "arraybuffer";
  socket.binaryType = "text" as BinaryType;
  assert.equal(socket.binaryType, "arraybuffer");
});

Deno.test("a message event tells the origin of the url", async () => {
  const { connection, socket } = await open();
  const origins: string[] = [];
  socket.onmessage = ({ origin }) => void origins.push(origin);
  connection.arrive("hi");
  await settle();
  assert.deepEqual(origins, ["ws://edge.test"]);
});

Deno.test("strings, buffers, views and blobs are sent in order, as they were when they were given", async () => {
  const { connection, socket } = await open();
  const changing = new Uint8Array([7, 7]);
  socket.send("one");
  socket.send(new Blob(["two"]));
  socket.send(changing);
  socket.send(changing.buffer);
  socket.send(new DataView(new Uint8Array([0, 1, 2, 3]).buffer, 1, 2));
  socket.send(new Blob([new Uint8Array([9])]));
  socket.send("last");
  changing.fill(0);
  await socketIsIdle(socket);
  assert.deepEqual(connection.sent, [
    "one",
    new TextEncoder().encode("two"),
    new Uint8Array([7, 7]),
    new Uint8Array([7, 7]),
    new Uint8Array([1, 2]),
    new Uint8Array([9]),
    "last",
  ]);
});

Deno.test("what is no kind of message is sent as a string, and a lone surrogate as U+FFFD", async () => {
  const { connection, socket } = await open();
  for (const data of [1, null, { a: 1 }, "a\ud800b"]) socket.send(data as string);
  assert.deepEqual(connection.sent, ["1", "null", "[object Object]", "a\ufffdb"]);
});

Deno.test("bufferedAmount is what was given and is not yet kept by the session", async () => {
  const { connection, socket } = await open();
  connection.full = true;
  socket.send("žluť");
  assert.equal(socket.bufferedAmount, 6);
  socket.send(new Uint8Array(10));
  socket.send(new Blob([new Uint8Array(100)]));
  assert.equal(socket.bufferedAmount, 116);
  connection.release();
  await socketIsIdle(socket);
  assert.equal(socket.bufferedAmount, 0);
});

Deno.test("before it is open nothing can be sent, and after its end what is sent is only counted", async () => {
  const { connection, socket, heard } = await connecting();
  throws("InvalidStateError", () => socket.send("too early"));
  connection.accept();
  await settle();
  socket.close();
  socket.send("123");
  await settle();
  socket.send("45");
  assert.equal(socket.bufferedAmount, 5);
  assert.deepEqual(connection.sent, []);
  assert.equal(heard.length, 2);
});

Deno.test("a close sends its code and reason behind everything that was sent, blobs too", async () => {
  const { connection, socket, heard } = await open();
  socket.send(new Blob(["last words"]));
  socket.close(4001, "too many täbs");
  assert.equal(socket.readyState, HoldfastSocket.CLOSING);
  socket.close(4002, "again");
  connection.arrive("not heard any more");
  await new Promise((resolve) => socket.onclose = resolve);
  assert.deepEqual(connection.sent, [new TextEncoder().encode("last words")]);
  assert.deepEqual(connection.closing, { reason: "close", detail: "4001 too many täbs" });
  assert.deepEqual(heard, [["close", 4001, "too many täbs", true, 3]]);
  socket.close();
  await settle();
  assert.equal(heard.length, 1);
});

Deno.test("a close without a code has none, and one with a reason alone is normal", async () => {
  const one = await open();
  one.socket.close();
  await settle();
  assert.deepEqual(one.connection.closing, { reason: "close", detail: "1005" });
  assert.deepEqual(one.heard, [["close", 1005, "", true, 3]]);
  const two = await open();
  two.socket.close(undefined, "bye");
  await settle();
  assert.deepEqual(two.connection.closing, { reason: "close", detail: "1000 bye" });
});

Deno.test("a close is not announced before what was sent is kept", async () => {
  const { connection, socket, heard } = await open();
  connection.full = true;
  socket.send("waits");
  socket.close(1000);
  await settle();
  assert.deepEqual(heard, []);
  connection.release();
  await settle();
  assert.deepEqual(connection.sent, ["waits"]);
  assert.deepEqual(heard, [["close", 1000, "", true, 3]]);
});

Deno.test("a code or a reason that an application may not use is refused, and the socket stays as it is", async () => {
  const { socket } = await open();
  for (const code of [0, 999, 1001, 1005, 1006, 1015, 2999, 5000, -1, 70_000, NaN]) {
    throws("InvalidAccessError", () => socket.close(code));
  }
  throws("SyntaxError", () => socket.close(1000, "x".repeat(124)));
  throws("SyntaxError", () => socket.close(1000, "é".repeat(62)));
  assert.equal(socket.readyState, HoldfastSocket.OPEN);
  socket.close(3000, "x".repeat(123));
  await settle();
});

Deno.test("a socket that is closed before it is open fails with 1006", async () => {
  const early = await connecting();
  early.socket.close(1000);
  assert.equal(early.socket.readyState, HoldfastSocket.CLOSING);
  assert.deepEqual(early.heard, []);
  await settle();
  assert.equal(early.connection.closing?.reason, "cancelled");
  assert.deepEqual(early.heard, [["error", 3], ["close", 1006, "cancelled", false, 3]]);

  const session = new FakeSocketSession();
  const earlier = new HoldfastSocket(session, "upstream:chat", URL);
  const heard = record(earlier);
  earlier.close();
  await settle();
  assert.equal(session.connections.length, 0);
  assert.deepEqual(heard, [["error", 3], ["close", 1006, "cancelled", false, 3]]);
});

Deno.test("an accept that comes after the close does not open the socket", async () => {
  const { connection, socket, heard } = await connecting();
  connection.accept();
  socket.close();
  await settle();
  assert.deepEqual(heard, [["error", 3], ["close", 1006, "cancelled", false, 3]]);
});

Deno.test("the upstream's close arrives with its code and reason, behind its messages", async () => {
  for (
    const [detail, code, reason] of [["1000", 1000, ""], ["1005", 1005, ""], [
      "4000 a b",
      4000,
      "a b",
    ]] as const
  ) {
    const { connection, heard } = await open();
    connection.arrive("last words");
    connection.over("upstream-closed", detail);
    await settle();
    assert.deepEqual(heard, [["message", "last words"], ["close", code, reason, true, 3]]);
  }
});

Deno.test("what came before the upstream's close is heard although a message could not be sent any more", async () => {
  const { connection, socket, heard } = await open();
  connection.full = true;
  socket.send("never sent");
  connection.arrive("last", "words");
  connection.over("upstream-closed", "1000");
  await settle();
  assert.deepEqual(heard, [["message", "last"], ["message", "words"], ["close", 1000, "", true, 3]]);
});

Deno.test("an upstream that broke is an error and a close with 1006", async () => {
  const { connection, heard } = await open();
  connection.over("upstream-closed", "1006");
  await settle();
  assert.deepEqual(heard, [["error", 3], ["close", 1006, "", false, 3]]);
});

Deno.test("whatever else ends the connection is an error and a close with 1006 and the reason", async () => {
  for (
    const reason of [
      "upstream-lost",
      "upstream-too-big",
      "overloaded",
      "unknown-session",
      "superseded",
      "closed",
      "é".repeat(70),
    ]
  ) {
    const { connection, heard } = await open();
    connection.over(reason, "1000 no close");
    await settle();
    assert.deepEqual(heard, [["error", 3], ["close", 1006, reason.length > 64 ? "" : reason, false, 3]]);
  }
  const malformed = await open();
  malformed.connection.over("upstream-closed", "what?");
  await settle();
  assert.deepEqual(malformed.heard, [["error", 3], ["close", 1006, "upstream-closed", false, 3]]);
});

Deno.test("a service that ends the connection without a reason closes the socket with 1000", async () => {
  const { connection, heard } = await open();
  connection.over("");
  await settle();
  assert.deepEqual(heard, [["close", 1000, "", true, 3]]);
});

Deno.test("a rejected connection is an error and a close, and never was open", async () => {
  const { connection, heard, socket } = await connecting();
  connection.over("upstream-refused", "the upstream answered 503");
  await settle();
  assert.deepEqual(heard, [["error", 3], ["close", 1006, "upstream-refused", false, 3]]);
  assert.equal(socket.readyState, HoldfastSocket.CLOSED);
});

Deno.test("a session that opens no connection any more is an error and a close", async () => {
  for (
    const [failure, reason] of [
      [new HoldfastError("expired", "the session is over"), "expired"],
      [new RangeError("metadata"), "failed"],
    ] as const
  ) {
    const session = new FakeSocketSession();
    session.failure = failure;
    const heard = record(new HoldfastSocket(session, "upstream:chat", URL));
    assert.deepEqual(heard, []);
    await settle();
    assert.deepEqual(heard, [["error", 3], ["close", 1006, reason, false, 3]]);
  }
});

Deno.test("a message that the session does not take fails the socket, and the upstream is told", async () => {
  const { connection, socket, heard } = await open();
  connection.full = true;
  socket.send("x".repeat(10));
  connection.refuse("too-large");
  await settle();
  assert.equal(connection.closing?.reason, "too-large");
  assert.equal(socket.bufferedAmount, 10);
  assert.deepEqual(heard, [["error", 3], ["close", 1006, "too-large", false, 3]]);
});

Deno.test("a body that no WebSocket carries fails the socket", async () => {
  const { connection, heard } = await open();
  connection.arrive({ a: 1 }, "not heard any more");
  await settle();
  assert.equal(connection.closing?.reason, "unsupported-body");
  assert.deepEqual(heard, [["error", 3], ["close", 1006, "unsupported-body", false, 3]]);
});

Deno.test("a blob that cannot be read fails the socket", async () => {
  const { connection, socket } = await open();
  const blob = new Blob(["gone"]);
  blob.arrayBuffer = () => Promise.reject(new Error("the file is gone"));
  socket.send(blob);
  socket.send("behind it");
  const { code, reason } = await new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  assert.deepEqual([code, reason], [1006, "unreadable-blob"]);
  assert.deepEqual(connection.sent, []);
});

Deno.test("a blob that cannot be read before a close fails the socket", async () => {
  const { connection, socket } = await open();
  const blob = new Blob(["gone"]);
  blob.arrayBuffer = () => Promise.reject(new Error("the file is gone"));
  socket.send(blob);
  socket.close(1000);
  const { code, reason } = await new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  assert.deepEqual([code, reason], [1006, "unreadable-blob"]);
  assert.equal(connection.closing?.reason, "unreadable-blob");
});

Deno.test("connections from before a reload are ended, not taken over", async () => {
  const session = new FakeSocketSession();
  const ready = Promise.withResolvers<void>();
  session.ready = ready.promise;
  const old = [1, 2].map(() => new FakeSocketConnection("upstream:chat", {}, true));
  const socket = new HoldfastSocket(session, "upstream:chat", URL);
  await settle();
  session.restored = [...old];
  ready.resolve();
  await settle();
  assert.deepEqual(old.map(({ closing }) => closing?.reason), ["reloaded", "reloaded"]);
  session.connection.accept();
  await settle();
  assert.equal(socket.readyState, HoldfastSocket.OPEN);
});

Deno.test("an attribute's handler is called with the socket, at its place among the listeners, and can be replaced", async () => {
  const { connection, socket } = await open();
  const heard: string[] = [];
  assert.equal(socket.onmessage, null);
  socket.addEventListener("message", () => heard.push("first"));
  socket.onmessage = () => void heard.push("replaced");
  socket.addEventListener("message", { handleEvent: () => void heard.push("third") });
  const handler = function (this: WebSocket): void {
    heard.push(this === socket ? "second" : "another this");
  };
  socket.onmessage = handler;
  assert.equal(socket.onmessage, handler);
  connection.arrive("a");
  await settle();
  socket.onmessage = null;
  connection.arrive("b");
  await settle();
  assert.deepEqual(heard, ["first", "second", "third", "first", "third"]);
});

Deno.test("where the platform has no CloseEvent a close still tells code, reason and wasClean", async () => {
  const { connection, socket } = await open();
  const platform = globalThis.CloseEvent;
  Reflect.deleteProperty(globalThis, "CloseEvent");
  try {
    const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
    connection.over("upstream-closed", "4000 bye");
    const { type, code, reason, wasClean } = await closed;
    assert.deepEqual([type, code, reason, wasClean], ["close", 4000, "bye", true]);
  } finally {
    globalThis.CloseEvent = platform;
  }
});

/** Resolves when everything that was sent is kept: reading a blob takes turns of its own. */
async function socketIsIdle(socket: HoldfastSocket): Promise<void> {
  while (socket.bufferedAmount > 0) await new Blob(["x"]).arrayBuffer();
}
