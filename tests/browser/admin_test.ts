/** The operator's page in Chromium, before a real server with real clients. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { connect } from "../../src/client/mod.ts";
import { findChromium, launch } from "./chromium.ts";
import { ServerProcess } from "../support/server_process.ts";
import { build, watchFaults } from "./page_world.ts";

const chromium = findChromium();
const PICTURES = Deno.env.get("HOLDFAST_TEST_PICTURES");

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  for (const [width, scheme] of [[1280, "light"], [375, "dark"]] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 800 });
    await page.screenshot({ path: join(PICTURES, `${name}-${width}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

/** Says yes to the question that is open. */
async function confirm(page: Page): Promise<void> {
  await page.locator("#confirm-yes").click();
  await page.locator("#confirm").waitFor({ state: "hidden" });
}

/** The link that the server prints; it comes right after the line that it listens. */
async function adminLink(server: ServerProcess): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const line = server.stdout.find((line) => line.startsWith("holdfast admin at "));
    if (line !== undefined) return line.split(" ").at(-1)!;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the server printed no link to its admin page");
}

async function narrow(page: Page): Promise<void> {
  await page.setViewportSize({ width: 375, height: 800 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than a phone`);
  await page.setViewportSize({ width: 1280, height: 800 });
}

Deno.test({
  name: "an operator finds a session, watches it break and resume, pushes, ends it, and drains the node" +
    (chromium === undefined ? " (ignored: no Chromium in /usr/bin)" : ""),
  ignore: chromium === undefined,
  fn: async () => {
    await build();
    const server = await ServerProcess.start();
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
      await page.goto(link);
      await page.locator("#console").waitFor();
      assert.equal(new URL(page.url()).hash, "", "the code leaves the address");
      const [cookie] = await context.cookies();
      assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, "Strict"]);
      assert.ok(!link.includes(cookie!.value));
      assert.equal(await page.locator("#rows tr").count(), 4);
      await picture(page, "admin-sessions");

      await page.locator("#filter-id").fill(session.id!);
      await page.keyboard.press("Enter");
      await page.locator("#one-id", { hasText: session.id! }).waitFor();
      await page.locator("#one-state", { hasText: "attached" }).waitFor();
      await page.locator("#connections", { hasText: "echo, open" }).waitFor();

      await page.locator("#break").press("Enter");
      await confirm(page);
      await page.locator("#timeline", { hasText: "detached: unavailable" }).waitFor();
      await page.locator("#timeline", { hasText: /resumed on \S+, replayed 0/ }).waitFor();
      await page.locator("#one-state", { hasText: "attached" }).waitFor();

      await page.locator("#push").click();
      await page.locator("#push-body").fill('{"from": "the operator"}');
      await picture(page, "admin-push");
      await confirm(page);
      await page.locator("#notice", { hasText: /^Committed as message \d+\.$/ }).waitFor();
      for await (const message of connection) {
        assert.deepEqual(message, { from: "the operator" });
        break;
      }
      await narrow(page);
      await picture(page, "admin-session");

      await page.locator("#end").click();
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
      await picture(page, "admin-draining");
      await page.locator("#drain").click();
      await confirm(page);
      await page.locator("#node-state", { hasText: "serving" }).waitFor();

      await page.goto(link);
      await page.locator("#notice", { hasText: "That link was used before" }).waitFor();
      await page.locator("#console").waitFor();
      await page.locator("#logout").click();
      await page.locator("#login").waitFor();
      await narrow(page);
      await picture(page, "admin-login");
      assert.deepEqual(faults.filter((fault) => !/status of (401|404)/.test(fault)), []);
      for (const other of others) await other.close();
    } finally {
      await browser.close();
      await server.dispose();
    }
  },
});
