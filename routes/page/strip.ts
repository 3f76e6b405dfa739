/** The timeline's picture: a rail that shows when the session was attached, and bars of echoes above it. */

import { type History, spans } from "./history_state.ts";
import type { View } from "./view_memory.ts";

/** How much of the past is drawn. Seconds. */
export const STRIP_SECONDS = 60;

const RAIL = { top: 80, height: 12 };
const BARS = { top: 18, bottom: 78 };
/** Pixels beside a mark, and per character of its label. */
const LABEL = { gap: 6, character: 8 };
const SVG = "http://www.w3.org/2000/svg";

/** Draws the last minute up to `now` (milliseconds since the Unix epoch). */
export function drawStrip(strip: SVGSVGElement, view: View, now: number): void {
  const from = now - STRIP_SECONDS * 1_000;
  const x = (at: number) => `${((at - from) / (STRIP_SECONDS * 10)).toFixed(3)}%`;
  const width = (milliseconds: number) => `${(milliseconds / (STRIP_SECONDS * 10)).toFixed(3)}%`;
  const parts: SVGElement[] = [
    shape("rect", { class: "strip-base", x: "0", width: "100%", y: RAIL.top, height: RAIL.height }),
  ];
  const times = spans(view.history, from, now);
  for (const span of times) {
    const place = { x: x(span.from), width: width(span.to - span.from) };
    if (!span.attached) {
      parts.push(shape("rect", { class: "strip-apart", ...place, y: 0, height: RAIL.top }));
    }
    const look = span.attached ? "strip-attached" : "strip-gap";
    parts.push(shape("rect", { class: look, ...place, y: RAIL.top, height: RAIL.height }));
  }
  const bars = view.echoes.filter(({ second }) => second * 1_000 >= from);
  // A replay comes back all at once: its bar stops at the top, or the others would be too small to see.
  const tallest = Math.max(10, 2 * view.rate);
  for (const { second, count } of bars) {
    const height = (BARS.bottom - BARS.top) * Math.min(1, count / tallest);
    const place = { x: x(second * 1_000), width: width(850), y: BARS.bottom - height, height };
    parts.push(shape("rect", { class: "strip-bar", ...place }));
  }
  parts.push(...resumeMarks(view.history, from, strip.clientWidth));
  strip.replaceChildren(...parts);
  strip.setAttribute("aria-label", describe(times));
}

function resumeMarks(history: History, from: number, pixels: number): SVGElement[] {
  const marks: SVGElement[] = [];
  let free = pixels;
  // The newest first: where labels would overlap, the older one goes without.
  for (const entry of history.entries.toReversed()) {
    if (entry.kind !== "resumed" || entry.at < from) continue;
    const x = (entry.at - from) / (STRIP_SECONDS * 1_000) * pixels;
    marks.push(shape("rect", { class: "strip-resume", x, width: 2, y: 4, height: 88 }));
    const text = `↻ ${entry.replayed}`;
    const room = LABEL.gap + text.length * LABEL.character;
    const before = x + room > pixels;
    const [left, right] = before ? [x - room, x] : [x, x + room];
    if (right > free || left < 0) continue;
    free = left;
    const place = before ? { x: x - LABEL.gap, "text-anchor": "end" } : { x: x + LABEL.gap };
    const label = shape("text", { class: "strip-label", ...place, y: 14 });
    label.textContent = text;
    marks.push(label);
  }
  return marks;
}

function describe(times: ReturnType<typeof spans>): string {
  const gaps = times.filter((span) => !span.attached);
  const apart = gaps.reduce((sum, span) => sum + span.to - span.from, 0);
  return gaps.length === 0
    ? "The last minute: attached all the time"
    : `The last minute: ${gaps.length} times without a connection, ${(apart / 1_000).toFixed(1)} s in all`;
}

function shape(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, `${value}`);
  return element;
}
