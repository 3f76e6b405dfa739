/** The chat: two windows and a terminal, a wire that is cut and a server that is killed. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ExampleWorld, pictures, standing } from "./example_page.ts";
import { Program } from "./program.ts";

async function enter(page: Page, name: string): Promise<void> {
  await page.locator("#name").fill(name);
  await page.keyboard.press("Enter");
  await standing(page, "Connected");
}

async function say(page: Page, text: string): Promise<void> {
  await page.locator("#text").fill(text);
  await page.keyboard.press("Enter");
}

/** The room as a page shows it, once it is there up to an entry: id and text of each. */
async function entriesUpTo(page: Page, last: number): Promise<string[]> {
  await page.locator(`#entries li[data-id="${last}"]`).waitFor();
  await page.locator("#entries li[data-state]").first().waitFor({ state: "detached" });
  return await page.locator("#entries li[data-id]").evaluateAll((items) =>
    items.map((item) => `${item.getAttribute("data-id")} ${item.lastChild!.textContent}`)
  );
}

ExampleWorld.test(
  "chat",
  "in two windows and a terminal each line is there once, in one order, whatever is cut or killed",
  async (world) => {
    const ada = await world.open();
    const bob = await world.open();
    await pictures(ada, "chat-join");
    await enter(ada, "Ada");
    await pictures(ada, "chat-empty");
    await enter(bob, "Bob");
    await say(ada, "Good morning, Bob.");
    await entriesUpTo(bob, 1);
    await say(bob, "Good morning! Does this hold?");
    await entriesUpTo(ada, 2);

    await ada.locator("#cut").click();
    await say(ada, "I was just cut off.");
    await say(bob, "I did not notice.");
    await entriesUpTo(ada, 4);
    await standing(ada, "Resumed");

    await world.node.kill();
    await standing(bob, "Detached");
    await say(ada, "Now the server is dead.");
    await say(bob, "I can write all the same.");
    await ada.locator('#entries li[data-state="sending"]').waitFor();
    await pictures(ada, "chat-killed");
    // What waits is kept by the session, so a reload does not lose it.
    await world.restartUnder(ada);
    await standing(ada, "Resumed");
    await standing(bob, "Resumed");
    await entriesUpTo(bob, 6);
    await say(bob, "And now it is back.");

    await using terminal = new Program("examples/chat/terminal.ts", ["Cleo", "lobby", world.node.url]);
    await terminal.line(/^7 Bob: And now it is back\.$/);
    await terminal.type("Hello from a terminal.");
    const [seen, other] = [await entriesUpTo(ada, 8), await entriesUpTo(bob, 8)];
    await terminal.line(/^8 Cleo: /);
    await pictures(bob, "chat");
    assert.deepEqual(seen, other);
    assert.deepEqual(terminal.stdout.map((line) => line.replace(/^(\d+) \w+: /, "$1 ")), seen);
    assert.deepEqual(seen.map((entry) => Number(entry.split(" ")[0])), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual(
      seen.map((entry) => entry.replace(/^\d+ /, "")).sort(),
      [
        "And now it is back.",
        "Good morning! Does this hold?",
        "Good morning, Bob.",
        "Hello from a terminal.",
        "I can write all the same.",
        "I did not notice.",
        "I was just cut off.",
        "Now the server is dead.",
      ],
    );
    assert.equal(await terminal.finish(), 0);

    await ada.locator("#leave").press("Enter");
    await ada.locator("#join").waitFor();
  },
);
