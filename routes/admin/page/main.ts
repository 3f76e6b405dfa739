/** The operator's page: looks once a second while it is visible, and asks before it changes anything. */

import type { SessionDetail } from "../../../src/admin/session_view.ts";
import { api, ApiError } from "./api.ts";
import { element, notice, showNode, showOne, showSessions, text } from "./view.ts";

/** How often it looks; milliseconds. */
const LOOK_EVERY_MS = 1_000;
const PART = 50;

let chosen: string | null = null;
let shown: SessionDetail | null = null;
let cursor: string | null = null;
let next: string | null = null;
let looking: Promise<void> | null = null;

function filters(): URLSearchParams {
  const query = new URLSearchParams({ limit: String(PART) });
  const state = element<HTMLSelectElement>("filter-state").value;
  const principal = element<HTMLInputElement>("filter-principal").value.trim();
  if (state !== "") query.set("state", state);
  if (principal !== "") query.set("principal", principal);
  if (cursor !== null) query.set("cursor", cursor);
  return query;
}

async function look(): Promise<void> {
  const one = chosen;
  const [node, page, session] = await Promise.all([
    api.node(),
    api.list(filters()),
    one === null ? null : api.show(one).catch(forgotten),
  ]);
  loggedIn(true);
  const now = Date.now();
  showNode(node, now);
  next = page.next;
  element<HTMLButtonElement>("next").disabled = next === null;
  element<HTMLButtonElement>("first").disabled = cursor === null;
  if (one === chosen && session !== null) {
    shown = session;
    showOne(session, now);
    element("one").hidden = false;
  }
  showSessions(page.sessions, chosen, now, (id) => void choose(id));
}

function forgotten(error: unknown): null {
  if (!(error instanceof ApiError) || error.status !== 404) throw error;
  chosen = null;
  element("one").hidden = true;
  notice("That session is not known, or not remembered any more.");
  return null;
}

/** Looks; a look under way is waited for, and what it could not know is looked at afterwards. */
async function refresh(): Promise<void> {
  await looking;
  looking = look().catch(failed).finally(() => looking = null);
  await looking;
}

function failed(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) return loggedIn(false);
  if (error instanceof ApiError) return notice(error.message);
  if (error instanceof TypeError) return notice("The server does not answer.");
  throw error;
}

function loggedIn(yes: boolean): void {
  element("console").hidden = element("logout").hidden = !yes;
  if (element("login").hidden !== yes) element("login").hidden = yes;
}

async function choose(id: string): Promise<void> {
  chosen = id;
  notice("");
  await refresh();
  if (chosen === null) return;
  element("one").focus({ preventScroll: true });
  element("one").scrollIntoView({ block: "nearest" });
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

/** Does something on a click, says what came of it, and looks again. */
function onClick(id: string, work: () => Promise<string | undefined>): void {
  element(id).addEventListener("click", () => {
    work().then((said) => said === undefined ? undefined : notice(said)).catch(failed).then(refresh);
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
  await api.logout();
  return "Logged out.";
});
onClick("first", () => Promise.resolve(void (cursor = null)));
onClick("next", () => Promise.resolve(void (cursor = next)));
onClick("one-close", () => {
  chosen = shown = null;
  element("one").hidden = true;
  return Promise.resolve(undefined);
});

element("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  cursor = null;
  const id = element<HTMLInputElement>("filter-id").value.trim();
  void (id === "" ? refresh() : choose(id));
});
element("filter-state").addEventListener("change", () => {
  cursor = null;
  void refresh();
});
element("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = element<HTMLInputElement>("token");
  const token = field.value;
  field.value = "";
  api.login({ token }).then(() => notice(""), (error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    notice("That token is not taken.");
  }).then(refresh).catch(failed);
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

addEventListener("hashchange", () => void takeCode().then(refresh).catch(failed));

async function begin(): Promise<void> {
  await takeCode();
  await refresh();
  setInterval(() => {
    if (document.visibilityState === "visible" && looking === null && element("login").hidden) void refresh();
  }, LOOK_EVERY_MS);
}

begin().catch(failed);
