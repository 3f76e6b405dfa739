/** The page: one session, its stream, and everything a person can do to it. */

import { connect, exponentialBackoff, type Session } from "../../src/client/mod.ts";
import { detached, noted, opened, over, reloaded, resumed } from "./history_state.ts";
import { Stream } from "./stream.ts";
import { bind, render } from "./view.ts";
import { KEPT_AS, loadView, newView, saveView, type View } from "./view_memory.ts";
import type { Standing } from "./words.ts";

const OFFLINE_MS = 10_000;
const RENDER_MS = 200;
/** Somebody watches: a server that was started again is found sooner than by the SDK's default. */
const LONGEST_WAIT_MS = 4_000;
const SESSION_ITEM = `${KEPT_AS}.session`;

let view: View = loadView(sessionStorage) ?? newView();
let standing: Standing = { kind: "connecting", attempt: 1 };
let session: Session;
let stream: Stream;

function start(): void {
  standing = { kind: "connecting", attempt: 1 };
  session = connect(location.origin, {
    durability: "durable",
    storage: sessionStorage,
    storageKey: SESSION_ITEM,
    reconnect: exponentialBackoff({ most: LONGEST_WAIT_MS }),
  });
  const connection = session.open("echo");
  stream = new Stream(connection, () => view, fail);
  listen(session);
  // The first attempt follows the reading of the storage: from then on it is known whether there was a session.
  const stopListening = session.on("connecting", () => {
    stopListening();
    // A view without its session belongs to one that is over.
    if (connection.restored) reloaded(view.history, Date.now());
    else view = newView(view);
    void stream.run();
    changed();
  });
}

function listen(to: Session): void {
  const on: Session["on"] = (event, listener) =>
    to.on(event, (details) => to === session && listener(details));
  on("connecting", ({ attempt }) => {
    if (standing.kind !== "ending") standing = { kind: "connecting", attempt };
    draw();
  });
  on("connected", ({ node }) => {
    view.node = node;
    opened(view.history, Date.now());
    if (standing.kind !== "ending") standing = { kind: "attached", resumed: false, replayed: 0, apart: 0 };
    changed();
  });
  on("resumed", ({ node, replayed }) => {
    const now = Date.now();
    const apart = now - (view.history.apartSince ?? now);
    view.node = node;
    resumed(view.history, now, replayed);
    if (standing.kind !== "ending") standing = { kind: "attached", resumed: true, replayed, apart };
    changed();
  });
  on("detached", ({ code, reason, retryIn }) => {
    const now = Date.now();
    const why = reason === "" ? "the connection broke" : reason;
    detached(view.history, now, code, why);
    if (standing.kind !== "offline" && standing.kind !== "ending") {
      standing = { kind: "detached", reason: why, retryAt: retryIn === null ? null : now + retryIn };
    }
    changed();
  });
  on("lost", ({ reason }) => finish("lost", reason));
  on("taken-over", () => finish("taken-over", "superseded"));
  on("ended", ({ reason }) => finish("ended", reason));
  on("error", ({ error }) => fail(error));
}

function finish(how: "lost" | "taken-over" | "ended", reason: string): void {
  stream.stop();
  over(view.history, Date.now(), how, reason);
  standing = { kind: how, reason };
  changed();
}

function fail(error: unknown): void {
  // A connection that fails because its session is over is reported by the session already.
  if (standing.kind === "lost" || standing.kind === "taken-over" || standing.kind === "ended") return;
  noted(view.history, {
    kind: "failed",
    at: Date.now(),
    error: error instanceof Error ? error.message : `${error}`,
  });
  changed();
}

function changed(): void {
  saveView(sessionStorage, view);
  draw();
}

function draw(): void {
  render({ standing, session: session.id, tally: stream.tally, view, held: stream.held }, Date.now());
}

bind({
  cut() {
    noted(view.history, { kind: "cut", at: Date.now() });
    session.breakConduit();
    changed();
  },
  goOffline() {
    const now = Date.now();
    noted(view.history, { kind: "offline", at: now, duration: OFFLINE_MS });
    standing = { kind: "offline", until: now + OFFLINE_MS };
    const away = session;
    away.goOffline();
    setTimeout(() => {
      if (away !== session || standing.kind !== "offline") return;
      standing = { kind: "connecting", attempt: 1 };
      away.goOnline();
    }, OFFLINE_MS);
    changed();
  },
  reload() {
    location.reload();
  },
  end() {
    stream.stop();
    standing = { kind: "ending" };
    void session.close("ended", "the page's button");
    changed();
  },
  startAnew() {
    // A session that was taken over is still kept here, and belongs to somebody else.
    sessionStorage.removeItem(SESSION_ITEM);
    start();
    draw();
  },
  pause(paused) {
    view.paused = paused;
    changed();
  },
  setRate(rate) {
    view.rate = rate;
    changed();
  },
});

start();
draw();
setInterval(draw, RENDER_MS);
addEventListener("pagehide", () => saveView(sessionStorage, view));
