/** Whether a page can be read: on a screen and on a phone, in light and in dark. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Page } from "playwright-core";

const PICTURES = Deno.env.get("HOLDFAST_TEST_PICTURES");
const WIDTHS = [1280, 375] as const;
const SCHEMES = ["light", "dark"] as const;

/**
 * Fails unless all that the page shows now can be read at both widths in both schemes; the page is left wide and light.
 *
 * @param name Of the state, for whoever reads a failure; with `HOLDFAST_TEST_PICTURES` a picture of each goes there.
 */
export async function assertLegible(page: Page, name: string): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of SCHEMES) {
      // A colour that is on its way to another one is neither.
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      assert.deepEqual(await page.evaluate(faults), [], `${name}, ${width} px, ${colorScheme}`);
      if (PICTURES === undefined) continue;
      const path = join(PICTURES, `${name}-${width}-${colorScheme}.png`);
      // A dialog is before what is in view.
      await page.screenshot({ path, fullPage: await page.locator("dialog[open]").count() === 0 });
    }
  }
  await page.emulateMedia({ colorScheme: SCHEMES[0], reducedMotion: null });
  await page.setViewportSize({ width: WIDTHS[0], height: 800 });
}

/** Runs in the page: what is wider than it, cut at its edge, too small, or too faint (WCAG, AA). */
function faults(): string[] {
  const LEAST_FONT_PX = 12;
  const LEAST_CONTRAST = 4.5;
  type Colour = readonly [red: number, green: number, blue: number, alpha: number];
  const colourOf = (text: string): Colour => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  const over = (above: Colour, below: Colour, alpha: number): Colour => {
    const mixed = (index: 0 | 1 | 2) => above[index] * alpha + below[index] * (1 - alpha);
    return [mixed(0), mixed(1), mixed(2), 1];
  };
  const luminance = ([red, green, blue]: Colour): number => {
    const linear = (part: number) => part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const ancestors = (element: Element): Element[] => {
    const found: Element[] = [];
    for (let at: Element | null = element; at !== null; at = at.parentElement) found.push(at);
    return found;
  };

  const found: string[] = [];
  const wider = document.documentElement.scrollWidth - innerWidth;
  if (wider > 0) found.push(`the page is ${wider} px too wide`);
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE)
      .map(({ textContent }) => textContent?.trim() ?? "").join(" ").trim();
    if (own === "" || !element.checkVisibility()) continue;
    const styles = ancestors(element).map((each) => getComputedStyle(each));
    // Kept for those who listen to the page.
    if (styles.some(({ clipPath }) => clipPath !== "none")) continue;
    const what = `<${element.localName}> ${own.slice(0, 40)}`;
    const { left, right } = element.getBoundingClientRect();
    if (left < -0.5 || right > innerWidth + 0.5) found.push(`${what}: cut at the edge of the page`);
    const { color, fontSize } = styles[0]!;
    if (parseFloat(fontSize) < LEAST_FONT_PX) found.push(`${what}: ${fontSize}`);
    // What cannot be pressed may be faint.
    if (element.matches(":disabled")) continue;
    const ground = styles.map(({ backgroundColor }) => colourOf(backgroundColor)).find(([, , , a]) =>
      a === 1
    );
    if (ground === undefined) continue;
    const opacity = styles.reduce((product, style) => product * Number(style.opacity), 1);
    const ink = over(colourOf(color), ground, opacity * colourOf(color)[3]);
    const [dark = 0, light = 0] = [luminance(ink), luminance(ground)].toSorted((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < LEAST_CONTRAST) found.push(`${what}: its contrast is ${contrast.toFixed(2)}`);
  }
  return found;
}
