/** The operator's page in Chromium, before a real server with real clients. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { connect, type Connection, type Session } from "../../src/client/mod.ts";
import { findChromium, launch } from "./chromium.ts";
import { assertLegible } from "./legible.ts";
import { adminLink } from "../support/admin_link.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";
import { build, watchFaults } from "./page_world.ts";

const chromium = findChromium();

/** Says yes to the question that is open. */
async function confirm(page: Page): Promise<void> {
  await page.locator("#confirm-yes").click();
  await page.locator("#confirm").waitFor({ state: "hidden" });
}

/** Waits until the sparkline of a rate has so many points at least. */
async function points(page: Page, rate: string, least: number): Promise<void> {
  await page.waitForFunction(([id, least]) => {
    const drawn = document.querySelector(`#${id} polyline`)?.getAttribute("points") ?? "";
    return drawn.split(" ").length >= Number(least);
  }, [`rate-${rate}`, least]);
}

/** The next message of a connection. */
async function next(connection: Connection): Promise<unknown> {
  for await (const message of connection) return message;
  throw new Error("the connection has ended");
}

const row = (page: Page, session: Session) => page.locator(`#rows tr[data-id="${session.id}"]`);

const ignored = chromium === undefined ? " (ignored: no Chromium in /usr/bin)" : "";

Deno.test({
  name:
    `an operator finds a session, watches it break and resume, pushes, ends it, and drains the node${ignored}`,
  ignore: chromium === undefined,
  fn: async () => {
    await build();
    const server = await ServerProcess.start({ HOLDFAST_DRAIN_WINDOW: "1s" });
    const browser = await launch(chromium!);
    try {
      const link = await adminLink(server);
      const session = connect(server.url);
      const connection = session.open("echo");
      const others = [1, 2, 3].map(() => connect(server.url));
      await connection.opened;
      await Promise.all(others.map((other) => other.open("echo").opened));

      const context = await browser.newContext();
      const page = await context.newPage();
      const faults: string[] = [];
      watchFaults(page, faults);
      const sockets: string[] = [];
      page.on("websocket", (socket) => void sockets.push(socket.url()));
      const asked: string[] = [];
      page.on("request", (request) => {
        if (request.resourceType() === "fetch") {
          asked.push(`${request.method()} ${new URL(request.url()).pathname}`);
        }
      });
      await page.goto(link);
      await page.locator("#console").waitFor();
      assert.equal(new URL(page.url()).hash, "", "the code leaves the address");
      const [cookie] = await context.cookies();
      assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, "Strict"]);
      assert.ok(!link.includes(cookie!.value));
      await page.locator("#line", { hasText: "Live" }).waitFor();
      await page.locator("#rows tr").nth(3).waitFor();
      assert.equal(await page.locator("#rows tr").count(), 4, "its own session is not listed");
      assert.equal(await page.locator("#attached").textContent(), "4");
      await points(page, "messages", 2);
      await assertLegible(page, "admin-sessions");

      // What others do is seen without being asked for.
      const [other] = others;
      other!.goOffline();
      await row(page, other!).locator(".state", { hasText: "detached" }).waitFor();
      await page.locator("#detached", { hasText: "1" }).waitFor();
      other!.goOnline();
      await row(page, other!).locator(".state", { hasText: "attached" }).waitFor();
      await row(page, other!).locator("button").focus();
      const more = [1, 2, 3].map(() => connect(server.url));
      for (const one of more) {
        await one.open("echo").opened;
        await row(page, one).waitFor();
        await one.close();
        await row(page, one).locator(".state", { hasText: "ended" }).waitFor();
      }
      const focused = await page.evaluate(() => document.activeElement?.textContent);
      assert.equal(focused, other!.id, "the focus stays where it was while rows come");

      await page.locator("#filter-id").fill(session.id!);
      await page.keyboard.press("Enter");
      await page.locator("#one-id", { hasText: session.id! }).waitFor();
      await page.locator("#one-state", { hasText: "attached" }).waitFor();
      await page.locator("#connections", { hasText: "echo, open" }).waitFor();
      session.goOffline();
      await page.locator("#one-state", { hasText: "detached" }).waitFor();
      await page.locator("#timeline", { hasText: "broke" }).waitFor();
      session.goOnline();
      await page.locator("#one-state", { hasText: "attached" }).waitFor();
      await page.locator("#timeline", { hasText: /resumed on \S+, replayed 0/ }).waitFor();
      assert.deepEqual(new Set(asked), new Set(["POST /v1/admin/login", "GET /v1/admin/services"]));
      assert.deepEqual(sockets, [`${server.url.replace("http", "ws")}/v1/connect?as=operator`]);

      // What waits for a client that is away is what its resume is owed.
      session.goOffline();
      await page.locator("#one-state", { hasText: "detached" }).waitFor();
      await page.locator("#push").click();
      await page.locator("#push-body").fill('"while you were away"');
      await confirm(page);
      await page.locator("#notice", { hasText: /^Committed as message \d+\.$/ }).waitFor();
      await page.locator("#one-facts", { hasText: /Not yet acked\s*1 \(/ }).waitFor();
      session.goOnline();
      await page.locator("#timeline", { hasText: /resumed on \S+, replayed 1/ }).waitFor();
      assert.equal(await next(connection), "while you were away");

      const stranger = await RawConduit.open(server.url, "holdfast.v1.json");
      stranger.say(["start", { version: 99, challenge: newChallenge() }]);
      assert.equal((await stranger.closed).code, 4600);
      await page.locator("#refused li", { hasText: /^unsupported-version: 1$/ }).waitFor();

      await page.locator("#break").press("Enter");
      await confirm(page);
      await page.locator("#timeline", { hasText: "detached: unavailable" }).waitFor();
      await page.locator("#timeline li", { hasText: /resumed on/ }).nth(1).waitFor();
      await page.locator("#one-state", { hasText: "attached" }).waitFor();

      await page.locator("#push").click();
      await page.locator("#push-body").fill('{"from": "the operator"}');
      await assertLegible(page, "admin-push");
      await confirm(page);
      await page.locator("#notice", { hasText: /^Committed as message \d+\.$/ }).waitFor();
      assert.deepEqual(await next(connection), { from: "the operator" });
      await assertLegible(page, "admin-session");

      await page.locator("#end").click();
      await assertLegible(page, "admin-end");
      await page.keyboard.press("Escape");
      await page.locator("#one-state", { hasText: "attached" }).waitFor();
      const ended = new Promise<string>((resolve) => session.on("ended", ({ reason }) => resolve(reason)));
      await page.locator("#end").click();
      await confirm(page);
      await page.locator("#one-state", { hasText: "ended" }).waitFor();
      await page.locator("#timeline", { hasText: "ended: ended, ended by an operator" }).waitFor();
      assert.equal(await ended, "ended");

      await page.locator("#drain").click();
      await confirm(page);
      await page.locator("#node-state", { hasText: "draining" }).waitFor();
      const ready = await fetch(new URL("/readyz", server.url));
      assert.equal((await ready.json()).type, "urn:holdfast:problem:draining");
      // The drain is over, and the page goes on.
      await page.locator("#attached", { hasText: /^0$/ }).waitFor();
      await page.locator("#line", { hasText: "Live" }).waitFor();
      await assertLegible(page, "admin-draining");
      await page.locator("#drain").click();
      await confirm(page);
      await page.locator("#node-state", { hasText: "serving" }).waitFor();
      await page.locator("#attached", { hasText: /^3$/ }).waitFor();
      assert.equal(sockets.length, 1, "it watched all of that over one conduit");

      await page.goto(link);
      await page.locator("#notice", { hasText: "That link was used before" }).waitFor();
      await page.locator("#console").waitFor();
      await page.locator("#line", { hasText: "Live" }).waitFor();
      await page.locator("#logout").click();
      await page.locator("#login").waitFor();
      await assertLegible(page, "admin-login");
      assert.deepEqual(faults.filter((fault) => !/status of (401|404)/.test(fault)), []);
      for (const other of others) await other.close();
    } finally {
      await browser.close();
      await server.dispose();
    }
  },
});

Deno.test({
  name:
    `a page's session ends with the page, its view with the login, and a server that is away is waited for${ignored}`,
  ignore: chromium === undefined,
  fn: async () => {
    await build();
    const token = "an-admin-token-for-this-test";
    const server = await ServerProcess.start({ HOLDFAST_ADMIN_TOKEN: token });
    const browser = await launch(chromium!);
    const operators = async () => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(new URL("/v1/admin/node", server.url), { headers });
      return (await answer.json()).sessions.operators;
    };
    try {
      const context = await browser.newContext();
      const login = async (page: Page) => {
        await page.locator("#token").fill(token);
        await page.keyboard.press("Enter");
        await page.locator("#line", { hasText: "Live" }).waitFor();
      };
      const page = await context.newPage();
      const faults: string[] = [];
      watchFaults(page, faults);
      await page.goto(new URL("/admin", server.url).href);
      await login(page);
      const second = await context.newPage();
      await second.goto(page.url());
      await second.locator("#line", { hasText: "Live" }).waitFor();
      assert.equal(await operators(), 2);
      await second.reload();
      await second.locator("#line", { hasText: "Live" }).waitFor();
      assert.equal(await operators(), 2, "the session of the page before has ended");
      await second.goto("about:blank");
      for (let tries = 0; await operators() !== 1; tries++) {
        assert.ok(tries < 100, "the session of a page that was left goes on");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }

      // While nobody looks at the page nothing is read for it.
      const cancelled = async () => {
        const metrics = await (await fetch(new URL("/metrics", server.url))).text();
        const counts = metrics.matchAll(
          /^holdfast_calls_total\{service="admin".*outcome="cancelled"\} (\d+)$/gm,
        );
        return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
      };
      const seen = (state: string) =>
        page.evaluate((value) => {
          Object.defineProperty(document, "visibilityState", { value, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }, state);
      assert.equal(await cancelled(), 0);
      await seen("hidden");
      for (let tries = 0; await cancelled() !== 2; tries++) {
        assert.ok(tries < 100, "a page that is hidden goes on watching");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const application = connect(server.url);
      await application.open("echo").opened;
      await seen("visible");
      await row(page, application).waitFor();
      await application.close();

      await second.goto(page.url());
      await second.locator("#line", { hasText: "Live" }).waitFor();
      await second.locator("#logout").click();
      await second.locator("#login").waitFor();
      await page.locator("#login").waitFor();
      await login(page);

      await server.kill();
      await page.locator("#line", { hasText: "Reconnecting" }).waitFor();
      await assertLegible(page, "admin-away");
      await server.restart();
      // Logins are in the process's memory.
      await page.locator("#login").waitFor();
      await login(page);
      assert.equal(await operators(), 1);
      assert.deepEqual(faults.filter((fault) => !/status of 401/.test(fault)), []);
    } finally {
      await browser.close();
      await server.dispose();
    }
  },
});

Deno.test({
  name: `a session that moved to another node is seen to have, also from the node that it left${ignored}`,
  ignore: chromium === undefined,
  fn: async () => {
    await build();
    const store = await KvConnectServer.start({ token: "test-token" });
    const shared = {
      HOLDFAST_KV: store.url,
      DENO_KV_ACCESS_TOKEN: store.token,
      // Until then the node that it left shows what it remembers.
      HOLDFAST_PARK_AFTER: "500ms",
    };
    const left = await ServerProcess.start({ ...shared, FLY_MACHINE_ID: "left" });
    const right = await ServerProcess.start({ ...shared, FLY_MACHINE_ID: "right" });
    const proxy = await TcpFaultProxy.listen(left, right);
    const browser = await launch(chromium!);
    try {
      // One dial after the other goes to the other node.
      const session = connect(`http://127.0.0.1:${proxy.port}`);
      await session.open("echo").opened;
      const page = await browser.newPage();
      const faults: string[] = [];
      watchFaults(page, faults);
      await page.goto(await adminLink(left));
      await row(page, session).locator("button").click();
      await page.locator("#timeline", { hasText: "attached on left" }).waitFor();
      session.goOffline();
      await page.locator("#timeline", { hasText: "broke" }).waitFor();
      session.goOnline();
      await page.locator("#timeline", { hasText: "resumed on right, replayed 0" }).waitFor();
      await row(page, session).locator("td", { hasText: /^right$/ }).waitFor();
      await page.locator("#one-facts", { hasText: /Node\s*right/ }).waitFor();
      await assertLegible(page, "admin-moved");
      assert.deepEqual(faults, []);
      await session.close();
    } finally {
      await browser.close();
      await proxy.close();
      await left.dispose();
      await right.dispose();
      await store.close();
    }
  },
});
