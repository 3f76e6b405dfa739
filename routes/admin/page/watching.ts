/**
 * What the page sees, and goes on seeing: downloads of the service `admin`, over a session of the page's own, which goes on when
 * its conduit breaks and ends with the page.
 */

import {
  connect,
  type Connection,
  type ContractOf,
  type Download,
  exponentialBackoff,
  RpcError,
  type Session,
} from "../../../src/client/mod.ts";
import type { AdminService, NodeWatched, RowsWatched } from "../../../src/admin/admin_service.ts";
import type { SessionDetail, ViewedState } from "../../../src/admin/session_view.ts";
import { api } from "./api.ts";

/** Which part of the listing is watched. */
export interface Part {
  readonly limit: number;
  readonly state?: ViewedState;
  readonly principal?: string;
  readonly cursor?: string;
}

/** Whether what is shown is so now. */
export type Line = "live" | "away";

/** Who looks. */
export interface Watcher {
  node(node: NodeWatched): void;
  rows(rows: RowsWatched): void;
  session(session: SessionDetail): void;
  /** The chosen session is not known, or not any more. */
  unknown(): void;
  /** The part is none any more. */
  stale(): void;
  line(line: Line): void;
  /** Something does not answer just now, and is asked again; null: it does. */
  trouble(words: string | null): void;
  /** Nothing more comes: the login is over, for instance. */
  over(reason: string, detail: string): void;
}

/** Somebody watches: a server that was started again is found soon. */
const LONGEST_WAIT_MS = 4_000;
const AGAIN_MS = 2_000;
/** Items under way: what the page does not take is not even read. */
const CREDIT = 2;

type Watch = "node" | "sessions" | "session";

/** See the top of this file. Begins to watch at once. */
export class Watching {
  readonly #watcher: Watcher;
  readonly #session: Session;
  readonly #downloads = new Map<Watch, Download<unknown>>();
  #admin: Connection<ContractOf<AdminService>> | null = null;
  #part: Part;
  #chosen: string | null = null;
  #paused = false;
  #over = false;
  readonly #troubled = new Set<Watch>();

  constructor(watcher: Watcher, part: Part) {
    this.#watcher = watcher;
    this.#part = part;
    this.#session = connect(`${location.origin}/v1/connect?as=operator`, {
      durability: "ephemeral",
      startAnewWhenLost: true,
      reconnect: exponentialBackoff({ most: LONGEST_WAIT_MS }),
    });
    this.#session.on("connected", () => this.#opened());
    this.#session.on("resumed", () => watcher.line("live"));
    this.#session.on("detached", () => watcher.line("away"));
    this.#session.on("ended", ({ reason, detail }) => this.#ended(reason, detail));
  }

  /** Watches another part of the listing. */
  part(part: Part): void {
    this.#part = part;
    this.#watchPart();
  }

  /** Watches one session, or none. */
  choose(session: string | null): void {
    this.#chosen = session;
    this.#watchChosen();
  }

  /** While nobody looks at the page, nothing is read for it. */
  pause(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#watchAll();
  }

  /** Ends it, with the session. Settles when the server has ended that, or cannot; what is begun here survives the page. */
  async leave(): Promise<void> {
    const { id } = this.#session;
    this.#stop();
    // The session's own close waits for acks, for which a page that is left has no time.
    if (id !== null) await api.leave(id);
  }

  #opened(): void {
    this.#watcher.line("live");
    const admin = this.#session.open<AdminService>("admin");
    this.#admin = admin;
    admin.opened.catch((error: unknown) => {
      if (this.#admin === admin) this.#ended("forbidden", error instanceof Error ? error.message : "");
    });
    this.#watchAll();
  }

  #ended(reason: string, detail: string): void {
    if (this.#over) return;
    this.#stop();
    this.#watcher.over(reason, detail);
  }

  #watchAll(): void {
    if (this.#paused) return this.#dropAll();
    this.#watch("node", (admin) => admin.download("node", null, { credit: CREDIT }), this.#watcher.node);
    this.#watchPart();
    this.#watchChosen();
  }

  #watchPart(): void {
    this.#watch(
      "sessions",
      (admin) => admin.download("sessions", this.#part, { credit: CREDIT }),
      this.#watcher.rows,
    );
  }

  #watchChosen(): void {
    const session = this.#chosen;
    if (session === null) return this.#drop("session");
    this.#watch(
      "session",
      (admin) => admin.download("session", { session }, { credit: CREDIT }),
      this.#watcher.session,
    );
  }

  #watch<T>(
    watch: Watch,
    begin: (admin: Connection<ContractOf<AdminService>>) => Download<T>,
    take: (value: T) => void,
  ): void {
    this.#drop(watch);
    if (this.#admin === null || this.#paused || this.#over) return;
    const download = begin(this.#admin);
    this.#downloads.set(watch, download);
    void this.#follow(watch, download, take).catch((error: unknown) => {
      if (!(error instanceof RpcError)) throw error;
      if (this.#downloads.get(watch) === download) this.#failed(watch, error);
    });
  }

  async #follow<T>(watch: Watch, download: Download<T>, take: (value: T) => void): Promise<void> {
    for await (const value of download) {
      if (this.#downloads.get(watch) !== download) return;
      if (this.#troubled.delete(watch) && this.#troubled.size === 0) this.#watcher.trouble(null);
      take.call(this.#watcher, value);
    }
  }

  #failed(watch: Watch, { code, message }: RpcError): void {
    this.#downloads.delete(watch);
    switch (code) {
      case "not-found":
        return this.#watcher.unknown();
      case "invalid-argument":
        return this.#watcher.stale();
      case "permission-denied":
        return this.#ended(code, message);
      default:
        this.#troubled.add(watch);
        // While there is no conduit, that says it all.
        if (this.#session.phase === "attached") this.#watcher.trouble(message);
        setTimeout(() => {
          if (!this.#downloads.has(watch)) this.#again(watch);
        }, AGAIN_MS);
    }
  }

  #again(watch: Watch): void {
    if (watch === "session") this.#watchChosen();
    else if (watch === "sessions") this.#watchPart();
    else this.#watchAll();
  }

  #stop(): void {
    this.#over = true;
    this.#downloads.clear();
    void this.#session.close();
  }

  #drop(watch: Watch): void {
    const download = this.#downloads.get(watch);
    this.#downloads.delete(watch);
    download?.cancel();
  }

  #dropAll(): void {
    for (const watch of [...this.#downloads.keys()]) this.#drop(watch);
  }
}
