/** The SDK and a real service: the service calls its client, opens connections to it, and gives it credit. */

import assert from "node:assert/strict";
import * as z from "zod";
import { type BodyValue, type ClientService, connect, type Dial, RpcError } from "../../src/client/mod.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { method } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestNode } from "../support/test_node.ts";

function world(services: readonly Service[], serve: readonly ClientService[] = []) {
  const clock = new FakeClock();
  const node = new TestNode({ clock, services });
  const dial: Dial = (_url, [subprotocol], handler) => {
    const { end } = node.dial(subprotocol as Subprotocol);
    end.listen(handler);
    queueMicrotask(() => handler.onOpen());
    return end;
  };
  const session = connect("http://edge.test", { clock, random: new SeededRandom(1), dial, serve });
  return { clock, node, session };
}

// @rule call.once
Deno.test("a method that asks its caller back: the server's call goes to the methods of the connection", async () => {
  const quiz = defineService({
    name: "quiz",
    methods: {
      guess: method({ output: z.string() }, async (_, { connection }) => {
        try {
          return `you said ${await connection.call("think", "of a number", { timeout: 1000 })}`;
        } catch (error) {
          return `you failed with ${error instanceof RpcError ? error.code : error}`;
        }
      }),
    },
  });
  const { clock, session } = world([quiz]);
  const able = session.open(quiz, { methods: { think: (what) => `${what}: 7` } });
  const unable = session.open(quiz);
  const slow = session.open(quiz, { methods: { think: () => new Promise(() => {}) } });
  const guesses = [able, unable, slow].map((connection) => connection.call("guess"));
  await clock.advance(1_500);
  assert.deepEqual(await Promise.all(guesses), [
    "you said of a number: 7",
    "you failed with unknown-method",
    "you failed with deadline-exceeded",
  ]);
});

// @rule call.once
Deno.test("a handler of a message that asks the client back before anything else hears the answer", async () => {
  const asking: Service = {
    name: "asking",
    onMessage: async (connection, body) => {
      const outcome = await connection.call("think", body);
      connection.send(outcome.ok ? outcome.body : encodeBody(outcome.error.code));
    },
  };
  const { session } = world([asking]);
  const connection = session.open("asking", { methods: { think: (what) => `${what}: 7` } });
  const heard: BodyValue[] = [];
  void (async () => {
    for await (const message of connection) heard.push(message);
  })();
  await connection.send("of a number");
  await connection.send("of another");
  await settle();
  assert.deepEqual(heard, ["of a number: 7", "of another: 7"]);
});

// @rule connection.open
Deno.test("a service opens a connection to its client's service, and both talk on it", async () => {
  const seen: BodyValue[] = [];
  const ui: ClientService = {
    name: "ui",
    messageCredit: 16,
    onMessage: (connection, value) => {
      seen.push(value);
      if (seen.length === 100) void connection.send(["seen", seen.length]);
    },
  };
  const told: BodyValue[] = [];
  const hub = defineService({
    name: "hub",
    onMessage: (connection, count) => {
      const handler = defineService({ name: "ui", onMessage: (_, value) => void told.push(value) });
      const opened = connection.openToClient(handler, { theme: "dark" });
      for (let n = 1; n <= Number(count); n++) opened.send(n);
    },
  });
  const { session, clock } = world([hub], [ui]);
  void session.open("hub").send(100);
  await clock.advance(500);
  assert.deepEqual(seen, Array.from({ length: 100 }, (_, n) => n + 1));
  assert.deepEqual(told, [["seen", 100]]);
});

// @rule connection.credit
Deno.test("a thousand messages flow under a service's credit, and none is lost", async () => {
  let sum = 0;
  const sink: Service = {
    name: "sink",
    messageCredit: 16,
    onMessage: async (connection, body) => {
      await settle();
      sum += body[0]!;
      if (body[0] === 127) connection.send(encodeBody(sum));
    },
  };
  const { session, clock } = world([sink]);
  const connection = session.open("sink");
  let expected = 0;
  for (let n = 0; n < 1000; n++) {
    expected += n % 100;
    void connection.send(n % 100);
  }
  void connection.send(127);
  const answer = connection[Symbol.asyncIterator]().next();
  for (let n = 0; n < 2000 && sum < expected + 127; n++) await settle();
  await clock.advance(100);
  assert.equal((await answer).value, expected + 127);
});
