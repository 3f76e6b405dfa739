/** The page at `/` in Chromium: what it promises is what it shows after everything that can be done to it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { findChromium } from "./chromium.ts";
import { type Numbers, numbers, PageWorld, resumedTimes, sendMore, settled, standing } from "./page_world.ts";

const chromium = findChromium();

/** Where pictures of the page are left for a person to look at; none are taken unless it is set. */
const PICTURES = Deno.env.get("HOLDFAST_TEST_PICTURES");

function browserTest(name: string, test: (world: PageWorld) => Promise<void>): void {
  Deno.test({
    name: chromium === undefined ? `${name} (ignored: no Chromium in /usr/bin)` : name,
    ignore: chromium === undefined,
    fn: () =>
      PageWorld.run(chromium!, async (world) => {
        await test(world);
        assert.deepEqual(world.faults, [], "the console of the page");
      }),
  });
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

function assertFlawless({ sent, echoed, lost, doubled, outOfOrder, unknown }: Numbers): void {
  assert.deepEqual(
    { echoed, lost, doubled, outOfOrder, unknown },
    { echoed: sent, lost: 0, doubled: 0, outOfOrder: 0, unknown: 0 },
  );
}

const sessionOf = (page: Page) => page.locator("#session-id").textContent();

browserTest(
  "cut, offline, reloaded, its server killed: nothing is lost, doubled or reordered",
  async (world) => {
    const page = await world.open();
    await standing(page, "Connected");
    const session = await sessionOf(page);
    assert.match(session ?? "", /^[\w-]{16,}$/);
    await sendMore(page, 20);
    await picture(page, "connected");

    let resumes = 0;
    for (let cuts = 0; cuts < 3; cuts++) {
      await page.locator("#cut").click();
      await resumedTimes(page, ++resumes);
      await sendMore(page, 5);
    }

    await page.locator("#offline").click();
    await standing(page, "Offline");
    await sendMore(page, 40);
    await picture(page, "offline");
    assert.ok((await numbers(page)).inFlight >= 40, "what is sent offline is kept");
    await resumedTimes(page, ++resumes);

    for (let reloads = 0; reloads < 3; reloads++) {
      await sendMore(page, 5);
      const before = await numbers(page);
      await page.locator("#reload").click();
      await resumedTimes(page, ++resumes);
      assert.equal(await sessionOf(page), session, "a reload resumes the same session");
      assert.ok((await numbers(page)).sent >= before.sent, "its numbers go on");
    }

    for (let kills = 0; kills < 2; kills++) {
      await world.server.kill();
      await page.locator("#badge", { hasText: /^(Detached|Connecting)$/ }).waitFor();
      await sendMore(page, 20);
      await picture(page, "server-killed");
      await world.server.restart();
      await resumedTimes(page, ++resumes);
      await sendMore(page, 5);
    }

    await page.locator("#pause").click();
    const end = await settled(page);
    await picture(page, "survived");
    assert.equal(await sessionOf(page), session);
    assert.ok(end.sent >= 150, `sent ${end.sent}`);
    assert.equal(end.resumes, resumes);
    assertFlawless(end);
  },
);

// @rule resume.stored-client
browserTest("reloads at any moment of a fast stream neither lose nor double an echo", async (world) => {
  const page = await world.open();
  await standing(page, "Connected");
  await page.locator("#rate").fill("100");
  const session = await sessionOf(page);
  let least = 0;
  for (let reloads = 0; reloads < 12; reloads++) {
    await sendMore(page, 3 + 7 * (reloads % 4));
    least += 3 + 7 * (reloads % 4);
    await page.reload({ waitUntil: "commit" });
    // Every other time it is loaded again before it could resume.
    if (reloads % 2 === 0) await standing(page, "Resumed");
  }
  await standing(page, "Resumed");
  await page.locator("#pause").click();
  const end = await settled(page);
  assertFlawless(end);
  assert.equal(await sessionOf(page), session);
  assert.ok(end.sent >= least, `the numbers went on over all reloads: ${end.sent} of ${least}`);
});

// @rule resume.takeover
browserTest(
  "a copy of the tab takes the session over, and the first tab says so and stays away",
  async (world) => {
    const page = await world.open();
    await standing(page, "Connected");
    await sendMore(page, 5);
    const session = await sessionOf(page);
    // A copy of a stream that goes on would be older than what the session has acked, and refused as diverged.
    await page.locator("#pause").click();
    await settled(page);
    const opened = page.waitForEvent("popup");
    await page.evaluate(() => void open("/"));
    const copy = await opened;
    await standing(copy, "Resumed");
    await standing(page, "Taken over");
    assert.equal(await sessionOf(copy), session);
    await picture(page, "taken-over");
    await copy.locator("#pause").click();
    await sendMore(copy, 10);
    assert.equal(await page.locator("#badge").textContent(), "Taken over");
    await copy.locator("#pause").click();
    assertFlawless(await settled(copy));

    await page.locator("#anew").click();
    await standing(page, "Connected");
    await page.locator("#pause").click();
    await sendMore(page, 5);
    assert.notEqual(await sessionOf(page), session);
    assert.equal(await copy.locator("#badge").textContent(), "Resumed");
  },
);

// @rule end.close
browserTest(
  "an ended session keeps its numbers, and a new one begins only when it is asked for",
  async (world) => {
    const page = await world.open();
    await standing(page, "Connected");
    await sendMore(page, 10);
    const session = await sessionOf(page);
    await page.locator("#end").click();
    await standing(page, "Ended");
    assert.ok((await numbers(page)).sent >= 10);
    await picture(page, "ended");
    await page.locator("#anew").click();
    await standing(page, "Connected");
    assert.notEqual(await sessionOf(page), session);
    await sendMore(page, 5);
    await page.locator("#pause").click();
    assertFlawless(await settled(page));
  },
);

browserTest("a session that the server no longer has is reported as lost, with the reason", async (world) => {
  const page = await world.open();
  await standing(page, "Connected");
  await sendMore(page, 5);
  await world.restartEmpty();
  await standing(page, "Session lost");
  assert.match(await page.locator("#explanation").textContent() ?? "", /unknown-session/);
  await picture(page, "lost");
  await page.locator("#anew").click();
  await standing(page, "Connected");
});

for (const colorScheme of ["light", "dark"] as const) {
  browserTest(
    `the page fits a narrow screen, its text is readable in ${colorScheme}, and keys reach it`,
    async (world) => {
      const page = await world.open({ colorScheme, viewport: { width: 375, height: 800 } });
      await standing(page, "Connected");
      await page.locator("#cut").click();
      await standing(page, "Resumed");
      await sendMore(page, 20);
      await picture(page, `narrow-${colorScheme}`);
      const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(widths[0]! <= widths[1]!, `the page is ${widths[0]} px wide, the screen ${widths[1]} px`);
      assert.deepEqual(await faintTexts(page), []);
      await page.locator("#cut").focus();
      await page.keyboard.press("Enter");
      await page.locator("#happenings li[data-kind=cut]").nth(1).waitFor();
      await page.setViewportSize({ width: 1200, height: 900 });
      await picture(page, `wide-${colorScheme}`);
    },
  );
}

/** Texts whose contrast with what is behind them is below 4.5:1 (WCAG 2.2, 1.4.3). */
function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
    const pixel = (color: string) => {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data];
    };
    const light = (color: number[]) => {
      const [r, g, b] = color.map((byte) => {
        const share = byte / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const behind = (element: Element | null): number[] => {
      if (element === null) return pixel("Canvas");
      const own = pixel(getComputedStyle(element).backgroundColor);
      return own[3] === 255 ? own : behind(element.parentElement);
    };
    const faint: string[] = [];
    for (
      const element of document.querySelectorAll(
        "h1, h2, p, dt, dd, button, label, output, code, time, figcaption span, li span",
      )
    ) {
      if (!(element instanceof HTMLElement) || element.offsetParent === null || element.textContent === "") {
        continue;
      }
      if (element instanceof HTMLButtonElement && element.disabled) continue;
      const lights = [light(pixel(getComputedStyle(element).color)), light(behind(element))];
      const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
      if (contrast < 4.5) faint.push(`${element.tagName}#${element.id}: ${contrast.toFixed(2)}`);
    }
    return faint;
  });
}
