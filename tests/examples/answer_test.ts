/** The streaming answer: its page is reloaded and its server killed in the middle. */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { answerTo } from "../../examples/answer/answer_to.ts";
import { ExampleWorld, pictures, standing } from "./example_page.ts";

const QUESTION = "Does it hold?";

/** Waits until the page shows so many words more. */
async function wordsMore(page: Page, more: number): Promise<void> {
  const words = (text: string | null) => Number.parseInt(text ?? "") || 0;
  const before = words(await page.locator("#progress").textContent());
  await page.waitForFunction(
    (least) => Number.parseInt(document.querySelector("#progress")?.textContent ?? "") >= least,
    before + more,
  );
}

ExampleWorld.test(
  "answer",
  "an answer is complete and no word is there twice, over reloads, a cut and kill -9",
  async (world) => {
    const page = await world.open();
    await standing(page, "Connected");
    await pictures(page, "answer-empty");
    await page.keyboard.type(QUESTION);
    await page.keyboard.press("Enter");
    await wordsMore(page, 10);
    for (let reloads = 0; reloads < 3; reloads++) {
      await page.locator("#reload").click();
      await standing(page, "Resumed");
      await wordsMore(page, 5);
    }
    await page.locator("#cut").press("Enter");
    await standing(page, "Resumed");
    await wordsMore(page, 5);

    await world.node.kill();
    await standing(page, "Detached");
    await pictures(page, "answer-killed");
    await world.node.restart();
    await standing(page, "Resumed");
    await wordsMore(page, 5);

    await world.node.kill();
    await world.restartUnder(page);
    await standing(page, "Resumed");

    await page.locator("#progress", { hasText: "complete" }).waitFor();
    await pictures(page, "answer");
    const expected = answerTo(QUESTION);
    assert.equal(await page.locator("#answer").textContent(), expected.join(""));
    assert.equal(await page.locator("#progress").textContent(), `${expected.length} words, complete`);

    await page.reload();
    await standing(page, "Resumed");
    assert.equal(await page.locator("#answer").textContent(), expected.join(""), "and it stays");

    await page.locator("#question").fill("And again?");
    await page.keyboard.press("Enter");
    await page.locator("#answer", { hasText: /^You asked: “And again\?”/ }).waitFor();
  },
);
