/** The page of an example in Chromium, before the example's own process. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { findChromium, launch } from "../browser/chromium.ts";
import { watchFaults } from "../browser/page_world.ts";
import { type NodeProgram, Program } from "./program.ts";

const chromium = findChromium();

/** Where pictures of the pages are left for a person to look at; none are taken unless it is set. */
const PICTURES = Deno.env.get("HOLDFAST_TEST_PICTURES");

/** An example that serves a page, and a browser; both are gone when the test is over. */
export class ExampleWorld {
  readonly node: NodeProgram;
  readonly #browser: Browser;
  readonly #faults: string[] = [];

  private constructor(node: NodeProgram, browser: Browser) {
    this.node = node;
    this.#browser = browser;
  }

  /** A test with the example `examples/NAME`, built by its own task; ignored where there is no Chromium. */
  static test(example: string, name: string, test: (world: ExampleWorld) => Promise<void>): void {
    Deno.test({
      name: chromium === undefined ? `${name} (ignored: no Chromium in /usr/bin)` : name,
      ignore: chromium === undefined,
      fn: async () => {
        await build(example);
        await using node = await Program.node(`examples/${example}/main.ts`);
        const browser = await launch(chromium!);
        try {
          const world = new ExampleWorld(node, browser);
          await test(world);
          assert.deepEqual(world.#faults, [], "the console of the page");
        } finally {
          await browser.close();
        }
      },
    });
  }

  /** A new window with the page, in a profile of its own. */
  async open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext(options);
    const page = await context.newPage();
    watchFaults(page, this.#faults);
    await page.goto(this.node.url);
    return page;
  }

  /** Starts the killed node again, while a page is reloaded that finds nobody at first. */
  async restartUnder(page: Page): Promise<void> {
    await assert.rejects(page.reload(), /ERR_CONNECTION_REFUSED/);
    await this.node.restart();
    await page.goto(this.node.url);
  }
}

/** Waits until the badge says so. */
export async function standing(page: Page, badge: string): Promise<void> {
  await page.locator("#badge", { hasText: new RegExp(`^${badge}$`) }).waitFor();
}

/** Pictures of what a page shows, wide and narrow, light and dark; the narrow page must fit. */
export async function pictures(page: Page, name: string): Promise<void> {
  const { width, height } = page.viewportSize()!;
  await page.setViewportSize({ width: 375, height: 700 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name}: the page is ${overflow} px wider than a phone`);
  if (PICTURES !== undefined) {
    for (const size of [375, 1000]) {
      await page.setViewportSize({ width: size, height: 700 });
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(PICTURES, `${name}-${size}-${colorScheme}.png`) });
      }
    }
    await page.emulateMedia({ colorScheme: null });
  }
  await page.setViewportSize({ width, height });
}

async function build(example: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", `build:${example}`],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`deno task build:${example} failed:\n${new TextDecoder().decode(stderr)}`);
}
