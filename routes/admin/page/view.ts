/** Shows what is watched. Texts from sessions are only ever set as text. */

import type { NodeWatched, SessionRow } from "../../../src/admin/admin_service.ts";
import type { ConnectionView, SessionDetail } from "../../../src/admin/session_view.ts";
import type { HistoryEntry } from "../../../src/session/history.ts";
import type { Line } from "./watching.ts";

/** An element of the page; it is there, or the page is not this one. */
export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Sets a text, if it is another: what did not change is not read out again. */
export function text(id: string, value: string): void {
  const found = element(id);
  if (found.textContent !== value) found.textContent = value;
}

function make(tag: string, content: string | readonly Node[]): HTMLElement {
  const made = document.createElement(tag);
  if (typeof content === "string") made.textContent = content;
  else made.append(...content);
  return made;
}

/** Shows a message, or none. */
export function notice(message: string): void {
  text("notice", message);
  element("notice").hidden = message === "";
}

function state(id: string, value: string): void {
  text(id, value);
  element(id).dataset["state"] = value;
}

/** Says whether what is shown is so now. */
export function showLine(line: Line): void {
  text("line", line === "live" ? "Live" : "Reconnecting");
  element("line").dataset["state"] = line;
  element("console").dataset["line"] = line;
}

/** Seconds that a sparkline shows. */
const SPARK = 60;

/** Shows the node. */
export function showNode(node: NodeWatched): void {
  const { draining, sessions, counts, memory, rates } = node;
  state("node-state", draining ? "draining" : "serving");
  text("node-name", node.node + (node.region === null ? "" : ` (${node.region})`));
  text("drain", draining ? "Take sessions again" : "Drain");
  text("attached", number(sessions.attached));
  text("detached", number(sessions.detached));
  text("resumed", number(counts.resumed));
  text("work", number(node.work));
  text("upstreams", number(node.upstreamSockets));
  text("memory", `${Math.round(memory.rss / 2 ** 20)} MiB`);
  reasons("refused", counts.refused);
  reasons("ended", counts.ended);
  for (const name of ["messages", "calls", "handshakes"] as const) spark(name, rates[name]);
}

function number(value: number): string {
  return value.toLocaleString("en");
}

/** Draws the last minute. */
function spark(name: string, samples: readonly number[]): void {
  const most = Math.max(1, ...samples);
  const from = SPARK - samples.length;
  const points = samples.map((rate, index) => `${from + index},${(19 - 18 * rate / most).toFixed(1)}`);
  element(`rate-${name}`).querySelector("polyline")?.setAttribute("points", points.join(" "));
  text(`${name}-now`, number(samples.at(-1) ?? 0));
  text(`${name}-most`, number(Math.max(0, ...samples)));
}

function reasons(id: string, counts: NodeWatched["counts"]["refused"]): void {
  const lines = counts.toSorted((a, b) => b.count - a.count).map(({ reason, count }) =>
    `${reason}: ${number(count)}`
  );
  replace(element(id), lines.length === 0 ? ["none"] : lines);
}

/** Replaces a list's items, if they are others. */
function replace(list: HTMLElement, lines: readonly string[]): void {
  if ([...list.children].map((item) => item.textContent).join("\n") === lines.join("\n")) return;
  list.replaceChildren(...lines.map((line) => make("li", line)));
}

/** How long ago `at` was. */
function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`;
}

/** Shows a part of the listing. Rows that stay keep their button, and with it the focus. */
export function showSessions(
  sessions: readonly SessionRow[],
  chosen: string | null,
  now: number,
  choose: (id: string) => void,
): void {
  const body = element("rows");
  const known = new Map([...body.children].map((row) => [(row as HTMLElement).dataset["id"], row]));
  const rows = sessions.map((session) => {
    const row = (known.get(session.id) ?? newRow(session.id, choose)) as HTMLElement;
    const badge = row.querySelector<HTMLElement>(".state")!;
    const cells = [session.principal || "anonymous", session.node ?? "–", ago(session.createdAt, now)];
    badge.textContent = badge.dataset["state"] = session.state;
    cells.forEach((cell, index) => {
      const shown = row.children[index + 2]!;
      if (shown.textContent !== cell) shown.textContent = cell;
    });
    if (session.id === chosen) row.dataset["chosen"] = "";
    else delete row.dataset["chosen"];
    return row;
  });
  // One that is moved loses the focus: only what is new is put in, and only what is gone is taken out.
  const kept = new Set(rows);
  for (const child of [...body.children]) if (!kept.has(child as HTMLElement)) child.remove();
  rows.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  element("none").hidden = sessions.length > 0;
}

function newRow(id: string, choose: (id: string) => void): HTMLElement {
  const button = make("button", id) as HTMLButtonElement;
  button.type = "button";
  button.addEventListener("click", () => choose(id));
  const badge = make("span", "");
  badge.className = "state";
  const cells = [make("td", [button]), make("td", [badge]), make("td", ""), make("td", ""), make("td", "")];
  const row = make("tr", cells);
  row.dataset["id"] = id;
  return row;
}

/** Shows one session. */
export function showOne(session: SessionDetail, now: number): void {
  const { counters, connections, ended } = session;
  text("one-id", session.id);
  state("one-state", session.state);
  const facts: [string, string][] = [
    ["Principal", session.principal || "anonymous"],
    ["Durability", session.durability ?? "–"],
    ["Node", session.node ?? "–"],
    ["Created", ago(session.createdAt, now)],
    ["Taken from the client", String(counters?.received ?? "–")],
    ["Sent to the client", String(counters?.sent ?? "–")],
    [
      "Not yet acked",
      counters === null ? "–" : `${counters.sent - counters.acked} (${counters.unackedBytes} bytes)`,
    ],
    ["Not done yet", counters === null ? "–" : `${counters.work} (${counters.heldBytes} bytes held)`],
    ["Last message", session.movedAt === null ? "–" : ago(session.movedAt, now)],
  ];
  element("one-facts").replaceChildren(
    ...facts.map(([name, value]) => make("div", [make("dt", name), make("dd", value)])),
  );
  const open = connections.map(described);
  replace(element("connections"), open.length === 0 ? ["none"] : open);
  const entries = session.history.map((entry) => ({ at: entry.at, words: told(entry) }));
  if (ended !== null) entries.push({ at: ended.at, words: `ended: ${ended.reason}, ${ended.detail}` });
  const timeline = element("timeline");
  const items = entries.reverse().map(({ at, words }) => {
    const time = make("time", new Date(at).toLocaleTimeString());
    time.setAttribute("datetime", new Date(at).toISOString());
    return make("li", [time, make("span", words)]);
  });
  if (timeline.textContent !== items.map((item) => item.textContent).join("")) {
    timeline.replaceChildren(...items);
  }
  for (const id of ["push", "break", "end"]) {
    const off = session.state === "ended" || id === "break" && session.state !== "attached" ||
      id === "push" && connections.length === 0;
    element<HTMLButtonElement>(id).disabled = off;
  }
}

/** A connection in words: what is nothing is left out. */
function described(connection: ConnectionView): string {
  const { id, service, phase, calls, callsToClient, held, waiting, keptBytes } = connection;
  const parts = [
    phase,
    ...(calls > 0 ? [`${calls} calls in flight`] : []),
    ...(callsToClient > 0 ? [`${callsToClient} calls to the client`] : []),
    ...(held > 0 ? [`${held} messages not handled`] : []),
    ...(waiting > 0 ? [`${waiting} wait for credit`] : []),
    ...(keptBytes > 0 ? [`${keptBytes} bytes kept`] : []),
  ];
  return `${id}: ${service}, ${parts.join(", ")}`;
}

function told(entry: HistoryEntry): string {
  switch (entry.kind) {
    case "attached":
      return `attached on ${entry.node}`;
    case "resumed":
      return `resumed on ${entry.node}, replayed ${entry.replayed}`;
    case "detached":
      return entry.reason === "broke" ? "broke" : `detached: ${entry.reason}`;
    default:
      return entry satisfies never;
  }
}
