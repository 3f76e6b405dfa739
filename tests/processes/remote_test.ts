/** Bridges between two real servers: what crosses them while lines are cut on both sides and the far server is killed. */

import assert from "node:assert/strict";
import type { HoldfastError } from "../../src/client/mod.ts";
import type { demoService } from "../../src/service/demo.ts";
import { CutSession } from "../support/cut_session.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";

type Demo = ReturnType<typeof demoService>;

const FAST = { HOLDFAST_KEEPALIVE_INTERVAL: "500ms", HOLDFAST_KEEPALIVE_TIMEOUT: "500ms" };

/** A far server, and a near one that reaches it by a line that can be cut. */
class Servers implements AsyncDisposable {
  static async start(): Promise<Servers> {
    const far = await ServerProcess.start(FAST);
    const between = await TcpFaultProxy.listen({ hostname: far.hostname, port: far.port });
    const near = await ServerProcess.start({
      ...FAST,
      HOLDFAST_DEMO: "off",
      HOLDFAST_REMOTES:
        `demo=http://127.0.0.1:${between.port},absent=http://127.0.0.1:${between.port}#nobody`,
      HOLDFAST_UPSTREAM_TIMEOUT: "2s",
    });
    return new Servers(far, near, between);
  }

  private constructor(
    readonly far: ServerProcess,
    readonly near: ServerProcess,
    readonly between: TcpFaultProxy,
  ) {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.near.dispose();
    await this.between.close();
    await this.far.dispose();
  }
}

// @rule connection.proxy
Deno.test("over a bridge whose lines are cut and whose far server is killed three times, each call has its effect once and each item comes once", async () => {
  await using servers = await Servers.start();
  await using line = await CutSession.with(servers.near);
  const demo = line.session.open<Demo>("remote:demo");
  await demo.opened;
  const count = 30_000;
  const items: number[] = [];
  const streamed = (async () => {
    for await (const item of demo.download("ticks", { count })) items.push(item);
  })();
  const totals: number[] = [];
  for (let round = 0; round < 12; round++) {
    const calls = Array.from({ length: 8 }, () => demo.call("add", { name: "bridged", by: 1 }));
    if (round % 4 === 0) await line.cut();
    if (round % 4 === 1) { for (const link of servers.between.links) link.cut("reset"); }
    if (round % 4 === 2) {
      await servers.far.kill();
      await servers.far.restart();
    }
    totals.push(...await Promise.all(calls));
  }
  await streamed;
  assert.deepEqual(totals.sort((a, b) => a - b), Array.from({ length: 96 }, (_, n) => n + 1));
  assert.equal(await demo.call("get", { name: "bridged" }), 96);
  assert.equal(items.length, count);
  assert.ok(items.every((item, at) => item === at + 1), "in order, none lost and none doubled");
  demo.close();
  await demo.closed;
});

Deno.test("a killed near server ends its bridges with remote-lost, and what the far server does not serve is rejected", async () => {
  await using servers = await Servers.start();
  await using line = await CutSession.with(servers.near);
  const absent = line.session.open("remote:absent");
  assert.equal(
    await absent.opened.then(() => "opened", ({ reason }: HoldfastError) => reason),
    "unknown-service",
  );
  const demo = line.session.open<Demo>("remote:demo");
  assert.equal(await demo.call("echo", "before"), "before");
  await servers.near.kill();
  await servers.near.restart();
  assert.equal((await demo.closed).reason, "remote-lost");
  const again = line.session.open<Demo>("remote:demo");
  assert.equal(await again.call("echo", "after"), "after");
  await servers.far.kill();
  const late = line.session.open<Demo>("remote:demo");
  assert.equal(
    await late.opened.then(() => "opened", ({ reason }: HoldfastError) => reason),
    "remote-timeout",
  );
  await servers.far.restart();
  assert.equal(await again.call("echo", "resumed"), "resumed");
});
