/** The chat's page: one visit, which a reload goes on with. */

import { connect, exponentialBackoff } from "../../../src/client/mod.ts";
import { showStanding } from "../../standing.ts";
import { ROOMS } from "../rooms.ts";
import type { Entry } from "../service.ts";
import { enter, type Place } from "../visit.ts";

const PLACE = "chat.place";
const SESSION = "chat.session";

const at = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const entries = at("entries");

function askForPlace(): void {
  at("join").hidden = false;
  at("place").replaceChildren(...ROOMS.map((room) => new Option(room)));
  at("name").focus();
  at<HTMLFormElement>("join").onsubmit = (event) => {
    event.preventDefault();
    const name = at<HTMLInputElement>("name").value.trim();
    if (name === "") return;
    const place = { name, room: at<HTMLSelectElement>("place").value };
    sessionStorage.setItem(PLACE, JSON.stringify(place));
    at("join").hidden = true;
    visit(place as Place);
  };
}

function visit(place: Place): void {
  const session = connect(location.origin, {
    storage: sessionStorage,
    storageKey: SESSION,
    // Somebody watches: a server that was started again is found sooner than by default.
    reconnect: exponentialBackoff({ most: 4_000 }),
  });
  showStanding(session, () => {
    at<HTMLInputElement>("text").disabled = true;
    at("leave").textContent = "Start anew";
  });
  for (const id of ["standing", "visit", "entries", "speak"]) at(id).hidden = false;
  at("room").textContent = place.room;
  at("whoami").textContent = `as ${place.name}`;
  at("text").focus();
  entries.replaceChildren(Object.assign(document.createElement("li"), {
    className: "empty",
    textContent: "Nobody has said anything yet.",
  }));

  const { say, over, leave } = enter(session, place, (entry) => show(entry, entry.name === place.name));
  over.catch((error: Error) => at("explanation").textContent = error.message);

  at<HTMLFormElement>("speak").onsubmit = async (event) => {
    event.preventDefault();
    const input = at<HTMLInputElement>("text");
    const text = input.value.trim();
    input.value = "";
    if (text === "") return;
    const waiting = bubble(place.name, text, "sending…", true);
    waiting.dataset["state"] = "sending";
    entries.append(waiting);
    scroll();
    try {
      await say(text);
      // It is shown with its place among the others.
      waiting.remove();
    } catch (error) {
      waiting.dataset["state"] = "failed";
      waiting.querySelector("span")!.textContent = `not sent: ${
        error instanceof Error ? error.message : error
      }`;
    }
  };
  at("cut").onclick = () => session.breakConduit();
  at("leave").onclick = async () => {
    leave();
    sessionStorage.removeItem(PLACE);
    await session.close();
    sessionStorage.removeItem(SESSION);
    location.reload();
  };
}

function show(entry: Entry, own: boolean): void {
  entries.querySelector(".empty")?.remove();
  const time = new Date(entry.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const shown = bubble(entry.name, entry.text, time, own);
  shown.dataset["id"] = String(entry.id);
  const waiting = entries.querySelector("[data-state]");
  if (waiting === null) entries.append(shown);
  else waiting.before(shown);
  scroll();
}

function bubble(name: string, text: string, note: string, own: boolean): HTMLLIElement {
  const head = document.createElement("span");
  head.textContent = own ? note : `${name} · ${note}`;
  const item = document.createElement("li");
  item.append(head, text);
  item.classList.toggle("own", own);
  return item;
}

function scroll(): void {
  entries.scrollTop = entries.scrollHeight;
}

// A smaller window still shows what was said last.
new ResizeObserver(scroll).observe(entries);
const stored = sessionStorage.getItem(PLACE);
if (stored === null) askForPlace();
else visit(JSON.parse(stored));
