/**
 * The service `admin`: what the operator's page watches. Each method is a download that gives what there is, and then again
 * whenever that is something else.
 *
 * It may be opened where the conduit's credentials carry the right to administer, and watches only as long as they do. However
 * fast things change and however many sessions there are, a watch costs one read of one part in a fixed time, and only what is
 * another than before is sent; a client that takes nothing is read nothing for.
 */

import * as z from "zod";
import { RpcError } from "../protocol/rpc_error.ts";
import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import { defineService } from "../service/define_service.ts";
import type { DownloadCall } from "../service/method_call.ts";
import { download } from "../service/methods.ts";
import type { SessionRegistry } from "../session/session_registry.ts";
import { isSessionId } from "../storage/keys.ts";
import type { Clock } from "../system/clock.ts";
import { InvalidCursor } from "./cursor.ts";
import type { NodePulse, NodeView } from "./node_view.ts";
import type { RateHistory, Rates } from "./rates.ts";
import type { SessionList } from "./session_list.ts";
import { type SessionDetail, type SessionSummary, VIEWED_STATES } from "./session_view.ts";

/** The service's name. */
export const ADMIN_SERVICE = "admin";

/** How often a watch looks; milliseconds. */
export const LOOK_EVERY_MS = 500;
export const NODE_EVERY_MS = 1_000;
/** A look that takes long is followed by a longer pause: a filter that matches little reads many sessions for each. */
const PAUSE = 10;
/** Sessions of the part of a listing that is watched. */
export const MOST_ROWS = 100;
/** Watches of one node at once. */
const MOST_WATCHES = 256;

/** What is watched. */
export interface AdminServicePorts {
  readonly registry: SessionRegistry;
  readonly list: SessionList;
  readonly view: NodeView;
  readonly rates: Rates;
  readonly log: Log;
}

/** The node at a moment, and the last minute. */
export type NodeWatched = NodePulse & { readonly rates: RateHistory };

/** A session in the watched part of a listing: without what changes with each of its messages. */
export type SessionRow = Omit<SessionSummary, "movedAt">;

/** The watched part of a listing. */
export interface RowsWatched {
  readonly rows: readonly SessionRow[];
  /** The cursor of the next part; null: there is none. */
  readonly next: string | null;
}

const age = z.int().min(0).optional();
const part = z.object({
  principal: z.string().max(512).optional(),
  state: z.enum(VIEWED_STATES).optional(),
  node: z.string().min(1).max(128).optional(),
  service: z.string().regex(/^[a-z0-9._:-]{1,64}$/).optional(),
  minAge: age,
  maxAge: age,
  limit: z.int().min(1).max(MOST_ROWS),
  cursor: z.string().min(1).max(512).optional(),
}).strict();
const one = z.object({ session: z.string().refine(isSessionId, "22 characters of base64url") }).strict();

/** The service. @param ports Asked for when somebody watches: the registry is there after its services. */
export function adminService(clock: Clock, ports: () => AdminServicePorts) {
  const watch = new Watch(clock, ports);
  return defineService({
    name: ADMIN_SERVICE,
    onOpen({ session }) {
      if (watch.rightsOf(session) === "given") return;
      return { reason: "forbidden", detail: "these credentials do not allow administration" };
    },
    methods: {
      /** The node that answers. */
      node: download({ item: z.custom<NodeWatched>(), retry: "safe" }, (_, call) => {
        return watch.changes(call, NODE_EVERY_MS, () => watch.node());
      }),

      /** A part of the listing of sessions. */
      sessions: download(
        { input: part, item: z.custom<RowsWatched>(), retry: "safe" },
        ({ limit, cursor, ...filter }, call) =>
          watch.changes(call, LOOK_EVERY_MS, async () => {
            const { sessions, next } = await ports().list.page(filter, limit, cursor);
            return { rows: sessions.map(({ movedAt: _, ...row }) => row), next };
          }),
      ),

      /** One session. */
      session: download(
        { input: one, item: z.custom<SessionDetail>(), retry: "safe" },
        ({ session }, call) =>
          watch.changes(call, LOOK_EVERY_MS, async () => {
            const shown = await ports().list.show(session);
            if (shown === null) throw new RpcError("not-found", "no session has this id, or it is forgotten");
            return shown;
          }),
      ),
    },
  });
}

/** The service's type: `import type` it to call the service. */
export type AdminService = ReturnType<typeof adminService>;

/** Looks, and looks again. */
class Watch {
  readonly #clock: Clock;
  readonly #ports: () => AdminServicePorts;
  #watches = 0;
  /** What was seen of the node last: to look is to look at every session, and is done once for all who watch. */
  #node: { readonly at: number; readonly seen: NodeWatched } | null = null;

  constructor(clock: Clock, ports: () => AdminServicePorts) {
    this.#clock = clock;
    this.#ports = ports;
  }

  /** What the conduit of a session may; while it has none nobody is there to see anything. */
  rightsOf(session: string): "given" | "missing" | "detached" {
    const attached = this.#ports().registry.find(session)?.state.attached ?? null;
    if (attached === null) return "detached";
    return attached.access.admin === true ? "given" : "missing";
  }

  node(): NodeWatched {
    const at = this.#clock.now();
    if (this.#node !== null && Math.abs(at - this.#node.at) < NODE_EVERY_MS / 2) return this.#node.seen;
    const { view, rates } = this.#ports();
    const seen = { ...view.pulse(), rates: rates.history };
    this.#node = { at, seen };
    return seen;
  }

  /** What `read` gives now, and whenever it is something else; at most every `every` ms. */
  async *changes<T>(
    { connection: { session }, signal }: DownloadCall,
    every: number,
    read: () => T | Promise<T>,
  ): AsyncGenerator<T> {
    if (this.#watches >= MOST_WATCHES) {
      throw new RpcError("resource-exhausted", `there are ${MOST_WATCHES} watches on this node`);
    }
    this.#watches++;
    try {
      for (let last = "";;) {
        const began = this.#clock.now();
        const rights = this.rightsOf(session);
        if (rights === "missing") {
          throw new RpcError("permission-denied", "these credentials do not allow administration");
        }
        const value = rights === "given" ? await this.#read(read) : null;
        const ended = this.#clock.now();
        const next = Math.max(began + every, ended + PAUSE * (ended - began));
        const text = JSON.stringify(value);
        if (value !== null && text !== last) {
          last = text;
          yield value;
        }
        await this.#pause(next, signal);
      }
    } finally {
      this.#watches--;
    }
  }

  async #read<T>(read: () => T | Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof RpcError) throw error;
      if (error instanceof InvalidCursor) throw new RpcError("invalid-argument", error.message);
      this.#ports().log.warn("watch-failed", { error: describeError(error) });
      throw new RpcError("unavailable", "the store does not answer");
    }
  }

  /** Rejects with the signal's reason when that aborts before. */
  #pause(until: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = () => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.#clock.wakeAt(until, () => {
        signal.removeEventListener("abort", stop);
        resolve();
      });
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}
