/** The page's elements: what they show, and what their buttons ask for. */

import { drawStrip } from "./strip.ts";
import type { View } from "./view_memory.ts";
import { inFlight, lost, type Tally } from "./tally_state.ts";
import { describe, show, type Standing } from "./words.ts";

/** What a person asked for. */
export interface Wishes {
  cut(): void;
  goOffline(): void;
  reload(): void;
  end(): void;
  startAnew(): void;
  pause(paused: boolean): void;
  setRate(rate: number): void;
}

/** All that the page shows. */
export interface Shown {
  readonly standing: Standing;
  readonly session: string | null;
  readonly tally: Tally;
  readonly view: View;
  /** The stream stands still because so many messages are in flight. */
  readonly held: boolean;
}

const numbers = new Intl.NumberFormat("en");
const times = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });

function element<T extends Element>(id: string): T {
  const found = document.querySelector<T>(`#${id}`);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found;
}

/** Binds the controls; from then on they call `wishes`. */
export function bind(wishes: Wishes): void {
  const onClick = (id: string, wish: () => void) => element(id).addEventListener("click", wish);
  onClick("cut", () => wishes.cut());
  onClick("offline", () => wishes.goOffline());
  onClick("reload", () => wishes.reload());
  onClick("end", () => wishes.end());
  onClick("anew", () => wishes.startAnew());
  const pause = element<HTMLButtonElement>("pause");
  pause.addEventListener("click", () => wishes.pause(pause.dataset["paused"] !== "true"));
  const rate = element<HTMLInputElement>("rate");
  rate.addEventListener("input", () => wishes.setRate(rate.valueAsNumber));
}

/** Shows everything once more. @param now Milliseconds since the Unix epoch. */
export function render(shown: Shown, now: number): void {
  renderStanding(shown, now);
  renderNumbers(shown);
  renderHappenings(shown.view);
  drawStrip(element<SVGSVGElement>("strip"), shown.view, now);
}

function renderStanding({ standing, session, view }: Shown, now: number): void {
  const { tone, badge, sentence, over } = show(standing, now);
  element<HTMLElement>("standing").dataset["standing"] = tone;
  write("badge", badge);
  write("explanation", sentence);
  write("session-id", session ?? "–");
  write("node", view.node ?? "–");
  write("resumes", numbers.format(view.history.resumes));
  write("replayed", numbers.format(view.history.replayed));
  element<HTMLElement>("anew").hidden = !over;
  const attached = standing.kind === "attached";
  element<HTMLButtonElement>("cut").disabled = !attached;
  element<HTMLButtonElement>("offline").disabled = over || standing.kind === "offline" ||
    standing.kind === "ending";
  element<HTMLButtonElement>("end").disabled = over || standing.kind === "ending";
  element<HTMLButtonElement>("pause").disabled = over;
}

function renderNumbers({ tally, view, held, standing }: Shown): void {
  write("sent", numbers.format(tally.sent));
  write("echoed", numbers.format(tally.echoed));
  write("in-flight", numbers.format(inFlight(tally)));
  proof("lost", lost(tally));
  proof("doubled", tally.doubled);
  proof("out-of-order", tally.outOfOrder);
  element<HTMLElement>("unknown").hidden = tally.unknown === 0;
  write("unknown-count", numbers.format(tally.unknown));
  const pause = element<HTMLElement>("pause");
  pause.dataset["paused"] = `${view.paused}`;
  write("pause", view.paused ? "Resume the stream" : "Pause the stream");
  const rate = element<HTMLInputElement>("rate");
  if (rate.valueAsNumber !== view.rate) rate.valueAsNumber = view.rate;
  write("rate-shown", `${view.rate}`);
  write(
    "stream-hint",
    held && !view.paused && standing.kind !== "ended" ? "enough is in flight; the stream waits" : "",
  );
}

function proof(id: string, count: number): void {
  write(id, numbers.format(count));
  element(id).parentElement?.classList.toggle("broken", count > 0);
}

function renderHappenings({ history }: View): void {
  const list = element<HTMLOListElement>("happenings");
  const newest = history.entries.at(-1);
  const mark = `${newest?.at ?? 0}/${newest?.kind ?? ""}/${history.entries.length}`;
  // Rebuilt only when it changed: somebody may be scrolling or reading it.
  if (list.dataset["mark"] === mark) return;
  list.dataset["mark"] = mark;
  list.replaceChildren(
    ...history.entries.toReversed().map((entry) => {
      const time = document.createElement("time");
      time.dateTime = new Date(entry.at).toISOString();
      time.textContent = times.format(entry.at);
      const text = document.createElement("span");
      text.textContent = describe(entry);
      const item = document.createElement("li");
      item.dataset["kind"] = entry.kind;
      item.append(time, text);
      return item;
    }),
  );
}

/** Only a change is written, so that a screen reader is not told the same again. */
function write(id: string, text: string): void {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}
