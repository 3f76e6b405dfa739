/** The services `remote:NAME`: connections that are bridged to another server's, through real sessions on both sides. */

import assert from "node:assert/strict";
import * as z from "zod";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { method, transaction } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { CallClient } from "../support/call_client.ts";
import { settle } from "../support/fake_clock.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { REMOTE_TIMEOUT_MS, RemoteFixture } from "../support/remote_fixture.ts";

/** The words of the endings that a client heard. */
function endings(client: CallClient): string[] {
  return client.came.flatMap((m) => m.kind === "end" || m.kind === "reject" ? [`${m.kind} ${m.reason}`] : []);
}

async function end(client: CallClient, connection = 1): Promise<void> {
  client.say({ kind: "end", connection });
  await settle();
}

// @rule connection.proxy
Deno.test("messages cross a bridge in both directions, in order and with their values", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:echo");
  const values = [1, "two", { three: [3, null, true] }, new Uint8Array([4]), 2n ** 60n];
  for (const value of values) client.echo(value);
  await settle();
  assert.deepEqual(client.kinds, ["accept", ...values.map(() => "message")]);
  assert.deepEqual(client.echoes, values);
  await end(client);
  assert.deepEqual(client.faults, []);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("calls, uploads, downloads and both at once cross a bridge, and so do their failures", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:demo");
  assert.deepEqual((await client.ask("echo", "x"))?.value, "x");
  assert.deepEqual((await client.ask("add", { name: "n", by: 3 }))?.value, 3);
  assert.deepEqual((await client.ask("nothing", 1))?.code, "unknown-method");
  assert.deepEqual((await client.ask("fail", { code: "not-found" }))?.code, "not-found");

  const upload = client.channel();
  const sum = client.call("sum", null, { upload });
  for (const n of [1, 2, 3]) {
    client.say({ kind: "item", connection: 1, channel: upload, body: encodeBody(n) });
  }
  client.say({ kind: "finish", connection: 1, channel: upload });
  await settle();
  assert.equal(client.answer(sum)?.value, 6);

  const download = client.channel();
  const ticks = client.call("ticks", { count: 5 }, { download, credit: 10 });
  await settle();
  assert.deepEqual(client.items(download), [1, 2, 3, 4, 5]);
  assert.equal(client.answer(ticks)?.ok, true);

  const [up, down] = [client.channel(), client.channel()];
  const pipe = client.call("pipe", null, { upload: up, download: down });
  for (const n of [5, 6]) client.say({ kind: "item", connection: 1, channel: up, body: encodeBody(n) });
  await settle();
  assert.deepEqual(client.items(down), [10, 12]);
  client.say({ kind: "cancel", connection: 1, request: pipe });
  await settle();
  assert.equal(client.answer(pipe)?.code, "cancelled");
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("a far service sends no more items than the client has granted, however long that takes", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:demo");
  const download = client.channel();
  client.call("ticks", { count: 1_000 }, { download, credit: 3 });
  await settle();
  assert.equal(client.items(download).length, 3);
  client.say({ kind: "credit", connection: 1, channel: download, additional: 400 });
  await settle();
  assert.equal(client.items(download).length, 403);
  assert.deepEqual(client.items(download), Array.from({ length: 403 }, (_, i) => i + 1));
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("an upload that its far handler does not take is not granted more than its first credit", async () => {
  const waits = Promise.withResolvers<void>();
  const slow: Service = {
    name: "slow",
    methods: new Map([["take", { kind: "upload", retry: "never" }]]),
    async onCall(call) {
      await waits.promise;
      let taken = 0;
      while (await call.nextItem() !== null) taken++;
      call.respond(encodeBody(taken));
    },
  };
  const fixture = new RemoteFixture({ services: [slow] });
  const client = await CallClient.open(fixture.near, "remote:slow");
  const upload = client.channel();
  const call = client.call("take", null, { upload });
  const send = (items: number) => {
    for (let i = 0; i < items; i++) {
      client.say({ kind: "item", connection: 1, channel: upload, body: encodeBody(i) });
    }
  };
  send(16);
  await settle();
  assert.ok(!client.kinds.includes("credit"));
  waits.resolve();
  await settle();
  const granted = client.came.flatMap((m) => m.kind === "credit" ? [m.additional] : []);
  assert.deepEqual(granted, [8, 8]);
  send(16);
  client.say({ kind: "finish", connection: 1, channel: upload });
  await settle();
  assert.equal(client.answer(call)?.value, 32);
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("the far service's credit for messages is what the client gets, and what the client said before its accept counts", async () => {
  const seen: number[] = [];
  const waits = Promise.withResolvers<void>();
  const counted: Service = {
    name: "counted",
    messageCredit: 20,
    onMessage: async (_, body) => {
      seen.push(body.length);
      await waits.promise;
    },
  };
  const fixture = new RemoteFixture({ services: [counted] });
  const client = new CallClient();
  await client.connect(fixture.near);
  client.openTo("remote:counted");
  for (let i = 0; i < 16; i++) client.echo(i);
  await settle();
  const [accept] = client.came;
  assert.ok(accept?.kind === "accept");
  assert.equal(accept.messageCredit, 20);
  for (let i = 16; i < 20; i++) client.echo(i);
  await settle();
  assert.equal(seen.length, 1);
  assert.ok(!client.kinds.includes("credit"));
  waits.resolve();
  await settle();
  assert.equal(seen.length, 20);
  const granted = client.came.flatMap((m) => m.kind === "credit" ? [m.additional] : []);
  assert.equal(granted.reduce((sum, n) => sum + n, 0), 20);
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("a far service calls the client over the bridge", async () => {
  const asking: Service = {
    name: "asking",
    onMessage: async (connection, body) => {
      const outcome = await connection.call("question", body);
      connection.send(outcome.ok ? outcome.body : encodeBody(outcome.error.code));
    },
  };
  const fixture = new RemoteFixture({ services: [asking] });
  const client = await CallClient.open(fixture.near, "remote:asking");
  for (const ok of [true, false]) {
    client.echo("why");
    await settle();
    const call = client.came.findLast((m) => m.kind === "call");
    assert.ok(call?.kind === "call");
    assert.equal(call.method, "question");
    const body = encodeBody(ok ? "because" : { code: "not-found", message: "" });
    client.say({ kind: "response", connection: 1, request: call.request, ok, body });
    await settle();
  }
  assert.deepEqual(client.echoes, ["because", "not-found"]);
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("either end ends both, with its reason, after what came before it", async () => {
  const ended: string[] = [];
  const leaving: Service = {
    name: "leaving",
    onMessage: (connection, body) => {
      connection.send(body);
      if (body.length > 3) connection.end("enough", "it was too long");
    },
    onEnd: (_, { reason, detail }) => void ended.push(`${reason} ${detail}`.trim()),
  };
  const fixture = new RemoteFixture({ services: [leaving] });
  const client = await CallClient.open(fixture.near, "remote:leaving");
  client.echo("a");
  client.echo("long enough");
  client.echo("dropped");
  await settle();
  assert.deepEqual(client.echoes, ["a", "long enough"]);
  assert.deepEqual(client.came.at(-1), {
    ...{ kind: "end", connection: 1, reason: "enough", detail: "it was too long" },
    ...{ seq: client.received, cost: client.came.at(-1)?.cost },
  });
  client.openTo("remote:leaving", 3);
  await settle();
  client.echo("b", 3);
  client.say({ kind: "end", connection: 3, reason: "bored" });
  await settle();
  assert.deepEqual(ended, ["enough it was too long", "bored"]);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("what the far server rejects is rejected here, and what it does not answer in time too", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:absent");
  assert.deepEqual(endings(client), ["reject unknown-service"]);
  client.openTo("remote:unheard", 3);
  await settle();
  assert.deepEqual(endings(client).slice(1), ["reject unknown-service"]);

  fixture.away = true;
  await fixture.cut();
  client.openTo("remote:echo", 5);
  client.echo("early", 5);
  await fixture.clock.advance(REMOTE_TIMEOUT_MS - 1);
  assert.equal(endings(client).length, 2);
  await fixture.clock.advance(1);
  assert.deepEqual(endings(client).slice(2), ["reject remote-timeout"]);
  assert.deepEqual(fixture.refusals, ["remote-timeout"]);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("neither side notices that a conduit of the other broke, or that a durable far node was lost", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:demo");
  let total = 0;
  for (let round = 0; round < 12; round++) {
    const calls = [1, 2, 3].map(() => client.call("add", { name: "n", by: 1 }));
    if (round % 3 === 0) await fixture.cut();
    if (round % 3 === 1) await client.cut();
    if (round === 5) await fixture.restartFar();
    if (!client.ready) await client.connect(fixture.near);
    await fixture.reconnect();
    total += 3;
    assert.deepEqual(calls.map((call) => client.answer(call)?.value), [total - 2, total - 1, total]);
  }
  assert.deepEqual(client.faults, []);
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule connection.proxy
Deno.test("a bridge whose node is lost, or whose far session is, ends with remote-lost and is not opened again", async () => {
  const fixture = new RemoteFixture({ far: { resumeWindow: 5_000 } });
  const client = await CallClient.open(fixture.near, "remote:echo");
  fixture.away = true;
  await fixture.cut();
  await fixture.clock.advance(6_000);
  await fixture.far.sweeper.sweep();
  fixture.away = false;
  await fixture.reconnect();
  assert.deepEqual(endings(client), ["end remote-lost"]);

  client.openTo("remote:echo", 3);
  await settle();
  client.echo("x", 3);
  await settle();
  assert.deepEqual(client.echoes, ["x"]);
  await fixture.near.crash();
  await client.connect(fixture.anotherNear());
  await settle();
  assert.deepEqual(endings(client), ["end remote-lost", "end remote-lost"]);
});

Deno.test("the same operation key of two clients is two operations at the far server", async () => {
  const paid = defineService({
    name: "paid",
    methods: {
      pay: transaction({ input: z.int(), output: z.int() }, async (amount, tx) => {
        const sum = (await tx.get<number>(["sum"]) ?? 0) + amount;
        tx.set(["sum"], sum);
        return sum;
      }),
      plain: method({ input: z.int(), output: z.int() }, (n) => n),
    },
  });
  const fixture = new RemoteFixture({ services: [paid] });
  const [one, other] = [
    await CallClient.open(fixture.near, "remote:paid"),
    await CallClient.open(fixture.near, "remote:paid"),
  ];
  const options = { operation: "key" };
  assert.equal((await one.ask("pay", 5, options))?.value, 5);
  assert.equal((await one.ask("pay", 5, options))?.value, 5);
  assert.equal((await other.ask("pay", 5, options))?.value, 10);
  assert.equal((await other.ask("pay", 6, options))?.code, "conflict");
  for (const client of [one, other]) await end(client);
  await fixture.checkNothingLeft();
});

Deno.test("the far server is told who this node is, and where it refuses that, an operator reads so", async () => {
  const authenticator = new TestAuthenticator().grant("a good one", "gateway");
  const good = new RemoteFixture({ far: { authenticator }, auth: "a good one" });
  const client = await CallClient.open(good.near, "remote:demo");
  assert.deepEqual((await client.ask("whoami", null))?.ok, true);
  assert.deepEqual(authenticator.presented, ["a good one"]);
  await end(client);
  await good.checkNothingLeft();

  const bad = new RemoteFixture({ far: { authenticator }, auth: "a bad one" });
  const late = await CallClient.open(bad.near, "remote:demo");
  await bad.clock.advance(REMOTE_TIMEOUT_MS);
  assert.deepEqual(endings(late), ["reject remote-timeout"]);
  const lines = bad.log.of("remote_link_failed");
  assert.ok(lines.length > 0);
  assert.match(String(lines[0]!.fields["error"]), /refuses this node's credentials: unauthorized/);
  assert.ok(!JSON.stringify(bad.log.lines).includes("a bad one"));
  bad.remotes.stop();
});

// @rule call.timeout
Deno.test("a call whose time is over is answered here, also while the far server is away, and cancelled there", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:demo");
  fixture.away = true;
  await fixture.cut();
  const call = client.call("slow", { ms: 60_000 }, { timeout: 3_000 });
  await fixture.clock.advance(3_000);
  assert.equal(client.answer(call)?.code, "deadline-exceeded");
  fixture.away = false;
  await fixture.reconnect();
  assert.equal((await client.ask("echo", "on"))?.value, "on");
  await end(client);
  await fixture.checkNothingLeft();
});

// @rule delivery.bounded
Deno.test("what piles up in a bridge is bounded: its connection ends with overloaded, and others go on", async () => {
  const fixture = new RemoteFixture();
  const client = await CallClient.open(fixture.near, "remote:echo");
  client.openTo("remote:echo", 3);
  await settle();
  fixture.away = true;
  await fixture.cut();
  const large = "x".repeat(400_000);
  for (let i = 0; i < 24; i++) {
    client.echo(large);
    await settle();
  }
  assert.deepEqual(endings(client), ["end overloaded"]);
  assert.ok(fixture.remotes.heldBytes < 1_000);
  fixture.away = false;
  await fixture.reconnect();
  client.echo("still here", 3);
  await settle();
  assert.deepEqual(client.echoes, ["still here"]);
  await end(client, 3);
  await fixture.checkNothingLeft();
});

// @rule frame.body
Deno.test("a body that the far server does not take fails its call, or ends the connection", async () => {
  const fixture = new RemoteFixture({ far: { limits: { bodyBytes: 1_000, frameBytes: 4_096 } } });
  const client = await CallClient.open(fixture.near, "remote:demo");
  const large = "x".repeat(2_000);
  assert.equal((await client.ask("echo", large))?.code, "invalid-argument");
  const upload = client.channel();
  const sum = client.call("sum", null, { upload });
  client.say({ kind: "item", connection: 1, channel: upload, body: encodeBody(large) });
  await settle();
  assert.equal(client.answer(sum)?.code, "invalid-argument");
  assert.equal((await client.ask("echo", "small"))?.value, "small");
  client.openTo("remote:echo", 3);
  await settle();
  client.echo(large, 3);
  await settle();
  assert.deepEqual(endings(client), ["end too-large"]);
  await end(client);
  await fixture.checkNothingLeft();
});
