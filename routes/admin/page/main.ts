/** The operator's page: shows what is watched, and asks before it changes anything. */

import type { NodeWatched, RowsWatched } from "../../../src/admin/admin_service.ts";
import type { SessionDetail, ViewedState } from "../../../src/admin/session_view.ts";
import { api, ApiError } from "./api.ts";
import { element, notice, showLine, showNode, showOne, showSessions, text } from "./view.ts";
import { type Part, type Watcher, Watching } from "./watching.ts";

/** Sessions that are listed at once. */
const PART = 50;

let watching: Watching | null = null;
let listed: RowsWatched | null = null;
let chosen: string | null = null;
let shown: SessionDetail | null = null;
let cursor: string | null = null;

const watcher: Watcher = {
  node(node: NodeWatched) {
    showNode(node);
    // How long ago something was changes by itself.
    render();
  },
  rows(rows: RowsWatched) {
    listed = rows;
    render();
  },
  session(session: SessionDetail) {
    if (session.id !== chosen) return;
    const first = shown?.id !== session.id;
    shown = session;
    render();
    if (!first) return;
    element("one").hidden = false;
    element("one").focus({ preventScroll: true });
    element("one").scrollIntoView({ block: "nearest" });
  },
  unknown() {
    closeOne();
    notice("That session is not known, or not remembered any more.");
  },
  stale() {
    cursor = null;
    watching?.part(part());
  },
  line: showLine,
  trouble: (words) => notice(words === null ? "" : `Not all is shown: ${words}.`),
  over(reason, detail) {
    watching = null;
    showLine("away");
    const told = () => notice(`This page sees nothing more (${reason}: ${detail}). Reload it to look again.`);
    api.mayLook().then((may) => may ? told() : end()).catch(failed);
  },
};

function part(): Part {
  const state = element<HTMLSelectElement>("filter-state").value;
  const principal = element<HTMLInputElement>("filter-principal").value.trim();
  return {
    limit: PART,
    ...(state === "" ? {} : { state: state as ViewedState }),
    ...(principal === "" ? {} : { principal }),
    ...(cursor === null ? {} : { cursor }),
  };
}

function render(): void {
  const now = Date.now();
  if (listed !== null) {
    showSessions(listed.rows, chosen, now, choose);
    element<HTMLButtonElement>("next").disabled = listed.next === null;
    element<HTMLButtonElement>("first").disabled = cursor === null;
  }
  if (shown !== null) showOne(shown, now);
}

function look(from: string | null): void {
  cursor = from;
  watching?.part(part());
}

function choose(id: string): void {
  chosen = id;
  notice("");
  watching?.choose(id);
  render();
}

function closeOne(): void {
  chosen = shown = null;
  element("one").hidden = true;
  watching?.choose(null);
  render();
}

function failed(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) return void end();
  if (error instanceof ApiError) return notice(error.message);
  if (error instanceof TypeError) return notice("The server does not answer.");
  throw error;
}

/** Begins to watch, if this page may; otherwise asks for a login. */
async function begin(): Promise<void> {
  if (!await api.mayLook()) return await end();
  loggedIn(true);
  watching ??= new Watching(watcher, part());
  watching.pause(document.visibilityState === "hidden");
  watching.choose(chosen);
}

async function end(): Promise<void> {
  const left = watching?.leave();
  watching = null;
  loggedIn(false);
  await left;
}

function loggedIn(yes: boolean): void {
  for (const id of ["console", "logout", "line"]) element(id).hidden = !yes;
  if (element("login").hidden !== yes) element("login").hidden = yes;
}

/** Asks; true if the operator says yes. */
function confirmed(
  title: string,
  words: string,
  yes: string,
  part?: "confirm-push" | "confirm-end",
): Promise<boolean> {
  text("confirm-title", title);
  text("confirm-text", words);
  text("confirm-yes", yes);
  for (const id of ["confirm-push", "confirm-end"]) element(id).hidden = id !== part;
  const dialog = element<HTMLDialogElement>("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Does something on a click, and says what came of it; what it changed is seen. */
function onClick(id: string, work: () => Promise<string | undefined>): void {
  element(id).addEventListener("click", () => {
    work().then((said) => said === undefined ? undefined : notice(said)).catch(failed);
  });
}

onClick("drain", async () => {
  const begin = element("node-state").dataset["state"] !== "draining";
  const words = begin
    ? "It refuses new sessions, and asks its clients to move to other nodes."
    : "It takes new sessions again.";
  if (!await confirmed(begin ? "Drain this node?" : "Take sessions again?", words, begin ? "Drain" : "Yes")) {
    return;
  }
  await api.drain(begin);
  return begin ? "The node drains." : "The node takes sessions.";
});

onClick("break", async () => {
  const session = shown!.id;
  if (!await confirmed("Break its conduit?", "The session stays; its client resumes by itself.", "Break")) {
    return;
  }
  const { broken } = await api.break(session);
  return broken ? "The conduit is broken." : "There was no conduit.";
});

onClick("end", async () => {
  const session = shown!.id;
  if (!await confirmed("End this session?", "It cannot be resumed afterwards.", "End it", "confirm-end")) {
    return;
  }
  await api.end(session, element<HTMLInputElement>("end-detail").value || "ended by an operator");
  return "The session has ended.";
});

onClick("push", async () => {
  const { id, connections } = shown!;
  const select = element<HTMLSelectElement>("push-connection");
  select.replaceChildren(
    ...connections.map(({ id, service }) => new Option(`${id}: ${service}`, String(id))),
  );
  // Made before it is asked: a repeat of the same push is told from a second one.
  const key = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
  if (
    !await confirmed(
      "Push a message",
      "It is delivered once, now or when the client is back.",
      "Push",
      "confirm-push",
    )
  ) return;
  let body: unknown;
  try {
    body = JSON.parse(element<HTMLTextAreaElement>("push-body").value);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return `That is no JSON: ${error.message}`;
  }
  const { sequence } = await api.push(id, Number(select.value), body, key);
  return `Committed as message ${sequence}.`;
});

onClick("logout", async () => {
  await end();
  await api.logout();
  return "Logged out.";
});
element("first").addEventListener("click", () => look(null));
element("next").addEventListener("click", () => look(listed?.next ?? null));
element("one-close").addEventListener("click", closeOne);

element("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = element<HTMLInputElement>("filter-id").value.trim();
  if (id === "") look(null);
  else if (/^[\w-]{22}$/.test(id)) choose(id);
  else watcher.unknown();
});
element("filter-state").addEventListener("change", () => look(null));
element("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = element<HTMLInputElement>("token");
  const token = field.value;
  field.value = "";
  api.login({ token }).then(() => notice(""), (error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    notice("That token is not taken.");
  }).then(begin).catch(failed);
});

/** Takes the one-time code out of the address: it is good once, and must not stay in the history. */
async function takeCode(): Promise<void> {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
  if (code === undefined) return;
  history.replaceState(null, "", location.pathname);
  await api.login({ code }).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    notice("That link was used before. Restart the server for another, or log in.");
  });
}

addEventListener("hashchange", () => void takeCode().then(begin).catch(failed));
document.addEventListener("visibilitychange", () => {
  watching?.pause(document.visibilityState === "hidden");
});
addEventListener("pagehide", () => {
  void watching?.leave();
  watching = null;
});
// Out of the browser's memory: what it showed is old.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) begin().catch(failed);
});

takeCode().then(begin).catch(failed);
