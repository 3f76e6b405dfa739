/** The page: one session, its stream, and everything a person can do to it. */

import { connect, type Session } from "../../src/client/mod.ts";
import { detached, noted, opened, over, reloaded, resumed } from "./history_state.ts";
import { Stream } from "./stream.ts";
import { TabMemory } from "./tab_memory.ts";
import { bind, render } from "./view.ts";
import type { Standing } from "./words.ts";

const OFFLINE_MS = 10_000;
const RENDER_MS = 200;

const memory = new TabMemory(sessionStorage);
let standing: Standing = { kind: "connecting", attempt: 1 };
let attempts = 0;
let session: Session;
let stream: Stream;

function start(): void {
  standing = { kind: "connecting", attempt: 1 };
  attempts = 0;
  session = connect(location.origin, { durability: "durable", storage: memory, storageKey: "page" });
  stream = new Stream(session.open("echo"), memory, (error) => fail(error));
  listen(session);
  stream.start();
}

function listen(to: Session): void {
  const { view } = memory;
  to.on("connecting", () => {
    attempts++;
    if (standing.kind !== "offline") standing = { kind: "connecting", attempt: attempts };
  });
  to.on("connected", () => {
    attempts = 0;
    opened(view.history, Date.now());
    standing = { kind: "attached", resumed: false, replayed: 0, apart: 0 };
    changed();
  });
  to.on("resumed", ({ replayed }) => {
    attempts = 0;
    const now = Date.now();
    const apart = now - (view.history.apartSince ?? now);
    resumed(view.history, now, replayed);
    standing = { kind: "attached", resumed: true, replayed, apart };
    changed();
  });
  to.on("detached", ({ code, reason, retryIn }) => {
    const now = Date.now();
    detached(view.history, now, code, reason);
    if (standing.kind !== "offline") {
      standing = { kind: "detached", reason, retryAt: retryIn === null ? null : now + retryIn };
    }
    changed();
  });
  to.on("lost", ({ reason }) => finish("lost", reason));
  to.on("taken-over", () => finish("taken-over", "superseded"));
  to.on("ended", ({ reason }) => finish("ended", reason));
  to.on("error", (error) => fail(error));
}

function finish(how: "lost" | "taken-over" | "ended", reason: string): void {
  stream.stop();
  over(memory.view.history, Date.now(), how, reason);
  standing = { kind: how, reason };
  changed();
}

function fail(error: unknown): void {
  // A connection that fails because its session is over is reported by the session already.
  if (standing.kind === "lost" || standing.kind === "taken-over" || standing.kind === "ended") return;
  noted(memory.view.history, {
    kind: "failed",
    at: Date.now(),
    error: error instanceof Error ? error.message : `${error}`,
  });
  changed();
}

function changed(): void {
  memory.saveView();
  draw();
}

function draw(): void {
  const { tally, view } = memory;
  render({ standing, session: session.id, node: session.node, tally, view, held: stream.held }, Date.now());
}

bind({
  cut() {
    noted(memory.view.history, { kind: "cut", at: Date.now() });
    session.breakConduit();
    changed();
  },
  goOffline() {
    const now = Date.now();
    noted(memory.view.history, { kind: "offline", at: now, duration: OFFLINE_MS });
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
    session.close("ended", "the page's button").catch((error) => fail(error));
    changed();
  },
  startAnew() {
    memory.restart();
    start();
    changed();
  },
  pause(paused) {
    memory.view.paused = paused;
    changed();
  },
  setRate(rate) {
    memory.view.rate = rate;
    changed();
  },
});

if (memory.holdsSession) reloaded(memory.view.history, Date.now());
start();
changed();
setInterval(draw, RENDER_MS);
addEventListener("pagehide", () => memory.saveView());
