/** Accepted work: what was acked is done, whatever becomes of the node that had it. */

import assert from "node:assert/strict";
import { defineService } from "../../src/service/define_service.ts";
import { download, method, transaction, upload } from "../../src/service/methods.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";
import * as z from "zod";

/** A world of nodes over one store, whose handlers wait until the test lets them go on. */
class World {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  /** Lets handlers go on, the oldest first. */
  waiting: (() => void)[] = [];
  readonly first: TestNode;

  constructor(options: TestNodeOptions = {}) {
    this.first = this.node(options);
  }

  node(options: TestNodeOptions = {}): TestNode {
    const store = this.first?.store;
    return new TestNode({
      clock: this.clock,
      services: [this.service()],
      ...(store === undefined ? {} : { store }),
      ...options,
    });
  }

  async release(): Promise<void> {
    for (const go of this.waiting.splice(0)) go();
    await settle();
  }

  hold(line: string): Promise<void> {
    this.lines.push(line);
    return new Promise((resolve) => void this.waiting.push(resolve));
  }

  service() {
    return defineService({
      name: "work",
      methods: {
        plain: method({ input: z.int(), output: z.int() }, async (n, { again, signal }) => {
          signal.addEventListener(
            "abort",
            () => void this.lines.push(`aborted ${(signal.reason as Error).name}`),
          );
          await this.hold(`plain ${n} ${again}`);
          return n;
        }),
        safe: method({ input: z.int(), output: z.int(), retry: "safe" }, async (n, { again }) => {
          await this.hold(`safe ${n} ${again}`);
          return n;
        }),
        ticks: download(
          { input: z.int(), item: z.int(), retry: "safe" },
          async function* (count, { itemsSent }) {
            for (let n = itemsSent + 1; n <= count; n++) yield await Promise.resolve(n);
          },
        ),
        once: download({ input: z.int(), item: z.int() }, async function* (count) {
          for (let n = 1; n <= count; n++) yield await Promise.resolve(n);
        }),
        sum: upload({ item: z.int(), output: z.int() }, async (_, { items }) => {
          let sum = 0;
          for await (const item of items) sum += item;
          return sum;
        }),
        add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
          const total = (await tx.get<number>(["total"]) ?? 0) + by;
          tx.set(["total"], total);
          await this.hold(`add ${by}`);
          return total;
        }),
      },
      receives: z.string(),
      sends: z.string(),
      kept: z.int(),
      onMessage: async (connection, text) => {
        connection.keep((connection.kept ?? 0) + 1);
        connection.send(`${text} ${connection.kept}`);
        await this.hold(`message ${text}`);
      },
      onResume: (connection) => void this.lines.push(`resume ${connection.kept}`),
    });
  }
}

const rows = async (node: TestNode) => [...await node.rows(["work"]), ...await node.rows(["pending"])];

Deno.test("a handler that is done at once is one commit with the ack, and nothing is stored as work", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  let stored = 0;
  const { atomic } = world.first.registry.options.store;
  world.first.registry.options.store.atomic = (write) => {
    stored += write.puts.filter(({ key }) => key[0] === "work").length;
    return atomic(write);
  };
  const channel = client.channel();
  const request = client.call("ticks", 5, { download: channel });
  await settle();
  assert.equal(client.answer(request)?.ok, true);
  assert.equal(stored, 0);
});

// @rule delivery.ack-free
Deno.test("a slow handler never holds up the ack: its call is stored as work until it is answered", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  client.call("plain", 1);
  client.echo("a");
  await settle();
  await world.clock.advance(50);
  assert.deepEqual(client.unacked, []);
  assert.equal((await rows(world.first)).length, 2);
  await world.release();
  assert.deepEqual(await rows(world.first), []);
});

// @rule call.restart
Deno.test("after the loss of the node safe methods and transactions run again, all others are indeterminate", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  const plain = client.call("plain", 1);
  const safe = client.call("safe", 2);
  const add = client.call("add", 3);
  const sum = client.call("sum", null, { upload: client.channel() });
  await settle();
  await world.first.crash();
  world.waiting = [];
  const second = world.node();
  await client.connect(second);
  await settle();
  assert.equal(client.answer(plain)?.code, "indeterminate");
  assert.equal(client.answer(sum)?.code, "indeterminate");
  assert.equal(client.answer(safe), undefined);
  assert.deepEqual(world.lines, [
    "plain 1 false",
    "safe 2 false",
    "add 3",
    "resume null",
    "safe 2 true",
    "add 3",
  ]);
  await world.release();
  assert.equal(client.answer(safe)?.value, 2);
  assert.equal(client.answer(add)?.value, 3);
  assert.deepEqual(await rows(second), []);
  assert.deepEqual(client.faults, []);
});

// @rule call.restart, channel.resume
Deno.test("a safe download that is run again goes on after the items that are out; one that is not is reset", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  const [safe, once] = [client.channel(), client.channel()];
  const first = client.call("ticks", 6, { download: safe, credit: 2 });
  const second = client.call("once", 6, { download: once, credit: 2 });
  await settle();
  await world.first.crash();
  const node = world.node();
  await client.connect(node);
  client.say({ kind: "credit", connection: 1, channel: safe, additional: 100 });
  await settle();
  assert.deepEqual(client.items(safe), [1, 2, 3, 4, 5, 6]);
  assert.equal(client.answer(first)?.ok, true);
  assert.deepEqual(client.items(once), [1, 2]);
  assert.equal(client.answer(second)?.code, "indeterminate");
  assert.deepEqual(client.came.filter(({ kind }) => kind === "reset").length, 1);
  assert.deepEqual(client.faults, []);
});

// @rule connection.order
Deno.test("what a message handler sends and keeps is committed with its end; one that was lost is handled again", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  client.echo("a");
  client.echo("b");
  await settle();
  assert.deepEqual(world.lines, ["message a"]);
  assert.deepEqual(client.echoes, []);
  await world.release();
  assert.deepEqual(client.echoes, ["a 1"]);
  assert.deepEqual(world.lines, ["message a", "message b"]);
  await world.first.crash();
  world.waiting = [];
  const second = world.node();
  await client.connect(second);
  client.echo("c");
  await settle();
  assert.deepEqual(world.lines.slice(2), ["resume 1", "message b"]);
  await world.release();
  await world.release();
  assert.deepEqual(client.echoes, ["a 1", "b 2", "c 3"]);
  assert.deepEqual(await rows(second), []);
  assert.deepEqual(client.faults, []);
});

// @rule connection.order
Deno.test("a busy message handler holds up no call, no answer and no item", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  client.echo("slow");
  const channel = client.channel();
  const request = client.call("ticks", 3, { download: channel });
  await settle();
  assert.equal(client.answer(request)?.ok, true);
  assert.deepEqual(client.echoes, []);
});

// @rule connection.credit
Deno.test("messages flow under the credit that the accept gave, granted as they are handled; one without is an error", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  const [accept] = client.came;
  assert.equal(accept?.kind === "accept" && accept.messageCredit, 64);
  for (let n = 1; n <= 64; n++) client.echo(`m${n}`);
  await settle();
  for (let n = 1; n <= 32; n++) await world.release();
  const granted = client.came.flatMap((m) => m.kind === "credit" && m.channel === 0 ? [m.additional] : []);
  assert.deepEqual(granted, [32]);
  for (let n = 65; n <= 96; n++) client.echo(`m${n}`);
  await settle();
  assert.ok(client.peer!.open);
  client.echo("one too many");
  await settle();
  assert.match(client.peer!.of("close")[0]!.detail, /^connection\.credit/);
});

// @rule connection.credit
Deno.test("credit survives the loss of the node, however often, and never runs dry", async () => {
  const world = new World();
  let node = world.first;
  const client = await CallClient.open(node, "work");
  let credit = 64;
  let sent = 0;
  for (let round = 0; round < 8; round++) {
    for (let n = 0; n < 24; n++) {
      const granted = client.came.flatMap((m) =>
        m.kind === "credit" && m.channel === 0 ? [m.additional] : []
      );
      credit = 64 + granted.reduce((sum, each) => sum + each, 0) - sent;
      assert.ok(credit > 0, `no credit after ${sent} messages`);
      client.echo(`m${sent++}`);
      await settle();
      await world.release();
    }
    await node.crash();
    node = world.node();
    await client.connect(node);
    await settle();
    await world.release();
  }
  assert.equal(new Set(client.echoes).size, client.echoes.length);
  assert.equal(client.echoes.length, sent);
  assert.deepEqual(client.faults, []);
});

Deno.test("a session with work stays in memory when its client is gone, and parks when the work is done", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  const request = client.call("plain", 1);
  await settle();
  await client.cut();
  await world.clock.advance(60_000);
  assert.equal(world.first.registry.size, 1);
  await world.release();
  await world.clock.advance(10_000);
  assert.equal(world.first.registry.size, 0);
  await client.connect(world.first);
  await settle();
  assert.equal(client.answer(request)?.value, 1);
});

Deno.test("whoever sweeps a lost node takes up its work, also if no client comes back", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  world.first.directory.start();
  const add = client.call("add", 5);
  const plain = client.call("plain", 1);
  await settle();
  await client.cut();
  await world.first.crash();
  world.waiting = [];
  const second = world.node({ sweeps: true });
  await world.clock.advance(45_000);
  assert.deepEqual(world.lines.slice(-1), ["add 5"]);
  await world.release();
  await world.clock.advance(20_000);
  assert.deepEqual(await rows(second), []);
  assert.equal(second.registry.size, 0);
  assert.equal((await second.rows(["data"])).length, 1);
  await client.connect(second);
  await settle();
  assert.equal(client.answer(add)?.value, 5);
  assert.equal(client.answer(plain)?.code, "indeterminate");
  await second.directory.stop();
  await second.sweeper.stop();
});

Deno.test("a takeover by another node aborts the handlers here with `moved`, and nothing of them counts", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  const plain = client.call("plain", 1);
  const add = client.call("add", 2);
  await settle();
  client.peer!.pipe.stall();
  client.ready = false;
  const second = world.node();
  await client.connect(second);
  await settle();
  // The old node finds out with its next commit.
  await world.first.registry.find(client.session!)?.confirmOwnership();
  await settle();
  assert.ok(world.lines.includes("aborted moved"));
  await world.release();
  await settle();
  assert.equal(client.answer(plain)?.code, "indeterminate");
  assert.equal(client.answer(add)?.value, 2);
  assert.deepEqual(client.faults, []);
});

// @rule delivery.bounded
Deno.test("more unfinished calls than a session may hold are answered resource-exhausted; the session lives", async () => {
  const world = new World({ limits: { storedBytes: 2 * 1024 * 1024, concurrentCalls: 300 } });
  const client = await CallClient.open(world.first, "work");
  const requests: number[] = [];
  for (let n = 0; n < 250; n++) {
    requests.push(client.call("plain", n, { metadata: { padding: "x".repeat(4_000) } }));
    if (n % 50 === 49) await world.clock.advance(60);
  }
  await settle();
  const refused = requests.filter((request) => client.answer(request)?.code === "resource-exhausted");
  assert.ok(refused.length > 50 && refused.length < 150, `${refused.length} were refused`);
  await world.release();
  assert.equal(
    requests.filter((request) => client.answer(request)?.ok).length,
    requests.length - refused.length,
  );
  assert.ok(client.peer!.open);
});

Deno.test("kept state that a redeployed service does not understand ends that connection and says so", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  client.echo("a");
  await settle();
  await world.release();
  await world.first.crash();
  const changed = defineService({ name: "work", methods: {}, kept: z.object({ since: z.int() }) });
  const second = world.node({ services: [changed] });
  await client.connect(second);
  await settle();
  const [end] = client.came.filter((m) => m.kind === "end");
  assert.equal(end?.kind === "end" && end.reason, "kept-state-mismatch");
  client.openTo("work", 3);
  await settle();
  assert.equal(client.came.filter((m) => m.kind === "accept" && m.connection === 3).length, 1);
});

Deno.test("a service that is gone after a redeploy ends its connections when they are used, not the session", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  client.call("safe", 1);
  await settle();
  await world.first.crash();
  world.waiting = [];
  const second = world.node({ services: [] });
  await client.connect(second);
  await settle();
  const [end] = client.came.filter((m) => m.kind === "end");
  assert.equal(end?.kind === "end" && end.reason, "unknown-service");
  assert.deepEqual(await rows(second), []);
});

// @rule connection.end
Deno.test("what was sent before the end of a connection is handled before its service hears of the end, also after a crash", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  for (const text of ["a", "b", "c"]) client.echo(text);
  client.call("plain", 1);
  client.say({ kind: "end", connection: 1 });
  await settle();
  assert.deepEqual(world.lines, ["message a", "plain 1 false", "aborted connection-ended"]);
  await world.release();
  assert.deepEqual(world.lines.slice(3), ["message b"]);
  await world.first.crash();
  world.waiting = [];
  const second = world.node();
  await client.connect(second);
  await settle();
  for (let n = 0; n < 3; n++) await world.release();
  assert.deepEqual(world.lines.slice(4), ["resume 1", "message b", "message c"]);
  assert.deepEqual(await rows(second), []);
  assert.deepEqual(await second.rows(["connection"]), []);
  // Nothing is said on a connection that the other side ended.
  assert.deepEqual(client.kinds, ["accept"]);
});

Deno.test("a draining node asks those last who have calls under way", async () => {
  const world = new World();
  const clients = await Promise.all([1, 2, 3].map(() => CallClient.open(world.first, "work")));
  clients[0]!.call("plain", 1);
  await settle();
  void world.first.registry.drain({ window: 10_000 });
  await settle();
  const asked = () => clients.map(({ peer }) => peer!.of("goaway").length);
  assert.deepEqual(asked(), [0, 1, 0]);
  await world.clock.advance(4_000);
  assert.deepEqual(asked(), [0, 1, 1]);
  await world.release();
  await world.clock.advance(4_000);
  assert.deepEqual(asked(), [1, 1, 1]);
});

Deno.test("a connection whose handler is slow holds up no other connection of the session", async () => {
  const world = new World();
  const client = await CallClient.open(world.first, "work");
  client.openTo("work", 3);
  await settle();
  for (let n = 0; n < 64; n++) client.echo(`slow ${n}`);
  client.echo("quick", 3);
  await settle();
  assert.deepEqual(world.lines, ["message slow 0", "message quick"]);
  const [slow, quick] = world.waiting;
  world.waiting = [slow!];
  quick!();
  await settle();
  assert.deepEqual(client.echoes, ["quick 1"]);
});

Deno.test("a service hears when its connections leave the node's memory with a parked session, and when they are back", async () => {
  const lines: string[] = [];
  const service = defineService({
    name: "hub",
    methods: {},
    onOpen: () => void lines.push("open"),
    onResume: () => void lines.push("resume"),
    onEnd: (_, { reason }) => void lines.push(`end ${reason}`),
  });
  const node = new TestNode({ services: [service] });
  const client = await CallClient.open(node, "hub");
  await client.cut();
  await node.clock.advance(10_000);
  assert.equal(node.registry.size, 0);
  await client.connect(node);
  client.say({ kind: "end", connection: 1, reason: "bye" });
  await settle();
  assert.deepEqual(lines, ["open", "end parked", "resume", "end bye"]);
});
