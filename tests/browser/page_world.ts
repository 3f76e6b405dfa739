/** The page in a real browser, before a real server process. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { ServerProcess } from "../support/server_process.ts";
import { launch } from "./chromium.ts";

/** The page's numbers, as it shows them. */
export interface Numbers {
  readonly sent: number;
  readonly echoed: number;
  readonly inFlight: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  /** Echoes of what was never sent. */
  readonly unknown: number;
  readonly resumes: number;
  readonly replayed: number;
}

/** What a browser says by itself about a server that is away; everything else on the console is a fault of the page. */
const EXPECTED_ERRORS =
  /^(WebSocket connection to '\S+' failed|Failed to load resource: net::ERR_CONNECTION_)/;

/** A server process and a browser, both gone when {@link PageWorld.run} is over. */
export class PageWorld {
  /** What pages reported on their console or threw, the expected network errors left out. */
  readonly faults: string[] = [];
  readonly server: ServerProcess;
  readonly #browser: Browser;
  readonly #store: string;

  private constructor(server: ServerProcess, browser: Browser, store: string) {
    this.server = server;
    this.#browser = browser;
    this.#store = store;
  }

  /** Builds the page, starts server and browser, and ends both after `test`, whatever happened. */
  static async run(executable: string, test: (world: PageWorld) => Promise<void>): Promise<void> {
    await build();
    const store = await Deno.makeTempDir();
    const server = await ServerProcess.start({ HOLDFAST_KV: join(store, "holdfast.sqlite3") });
    try {
      const browser = await launch(executable);
      try {
        await test(new PageWorld(server, browser, store));
      } finally {
        await browser.close();
      }
    } finally {
      await server.dispose();
      await Deno.remove(store, { recursive: true });
    }
  }

  /** A new tab with the page, in a profile of its own. */
  async open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext(options);
    context.on("page", (page) => this.#watch(page));
    const page = await context.newPage();
    await page.goto(this.server.url);
    return page;
  }

  /** Kills the server and gives the next one an empty store. */
  async restartEmpty(): Promise<void> {
    await this.server.kill();
    for await (const { name } of Deno.readDir(this.#store)) await Deno.remove(join(this.#store, name));
    await this.server.restart();
  }

  #watch(page: Page): void {
    watchFaults(page, this.faults);
  }
}

/** Writes down what a page reports on its console or throws, the expected network errors left out. */
export function watchFaults(page: Page, faults: string[]): void {
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    if (!EXPECTED_ERRORS.test(message.text())) faults.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => void faults.push(`thrown: ${error.stack ?? error.message}`));
}

/** Waits until the badge says so. */
export async function standing(page: Page, badge: string): Promise<void> {
  await page.locator("#badge", { hasText: new RegExp(`^${badge}$`) }).waitFor();
}

/** Waits until the session was resumed so often, and is attached. */
export async function resumedTimes(page: Page, resumes: number): Promise<void> {
  await page.locator("#resumes", { hasText: new RegExp(`^${resumes}$`) }).waitFor();
  await standing(page, "Resumed");
}

/** Waits until the page has sent so many messages more. */
export async function sendMore(page: Page, more: number): Promise<void> {
  const { sent } = await numbers(page);
  await page.waitForFunction((least) => {
    const text = document.querySelector("#sent")?.textContent ?? "";
    return Number(text.replaceAll(",", "")) >= least;
  }, sent + more);
}

/** Waits until everything that was sent came back. */
export async function settled(page: Page): Promise<Numbers> {
  await page.waitForFunction(() => {
    const at = (id: string) => document.querySelector(id)?.textContent;
    return at("#in-flight") === "0" && at("#sent") === at("#echoed");
  });
  return await numbers(page);
}

/** Reads the counters. */
export async function numbers(page: Page): Promise<Numbers> {
  const read = async (id: string) => {
    const text = await page.locator(`#${id}`).textContent();
    const number = Number(text?.replaceAll(",", ""));
    if (!Number.isInteger(number)) {
      throw new Error(`#${id} shows ${JSON.stringify(text)}, which is no number`);
    }
    return number;
  };
  return {
    sent: await read("sent"),
    echoed: await read("echoed"),
    inFlight: await read("in-flight"),
    lost: await read("lost"),
    doubled: await read("doubled"),
    outOfOrder: await read("out-of-order"),
    unknown: await read("unknown-count"),
    resumes: await read("resumes"),
    replayed: await read("replayed"),
  };
}

/** Builds the pages' scripts. */
export async function build(): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "build"],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`deno task build failed:\n${new TextDecoder().decode(stderr)}`);
}
