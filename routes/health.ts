/** `GET /healthz`: the process answers. `GET /readyz`: it should be sent new conduits. */

import { Hono } from "hono";
import { describeError } from "../src/observe/json_log.ts";
import type { Log } from "../src/observe/log.ts";
import type { SessionStore } from "../src/storage/session_store.ts";
import type { Clock } from "../src/system/clock.ts";
import { onlyRead } from "./methods.ts";
import { problem } from "./problem.ts";

/** How long the store may take to answer before the node counts as not ready. Milliseconds. */
export const STORE_ANSWER_MS = 2_000;

/** What the routes look at. */
export interface HealthOptions {
  readonly store: Pick<SessionStore, "get">;
  readonly draining: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** The two routes; neither is ever cached. */
export function health(options: HealthOptions): Hono {
  const probe = storeProbe(options);
  const ok = () => Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
  return new Hono()
    .get("/healthz", ok)
    .get("/readyz", async () => {
      if (options.draining()) return notReady("draining", "this node is draining; others take new sessions");
      const fault = await probe();
      return fault === undefined ? ok() : notReady("store-unavailable", fault);
    })
    .all("/healthz", onlyRead)
    .all("/readyz", onlyRead);
}

function notReady(name: string, detail: string): Response {
  return problem({ status: 503, name, title: "Not ready", detail, headers: { "retry-after": "1" } });
}

/** Asks the store whether it answers; requests that come while it is being asked share its answer. */
function storeProbe({ store, clock, log }: HealthOptions): () => Promise<string | undefined> {
  let asked: Promise<string | undefined> | undefined;
  const ask = async () => {
    const late = Promise.withResolvers<string>();
    const cancel = clock.wakeAt(clock.now() + STORE_ANSWER_MS, () => {
      log.warn("store_not_ready", { error: "no answer in time" });
      late.resolve(`the store did not answer within ${STORE_ANSWER_MS} ms`);
    });
    const answered = store.get([["ready"]]).then(() => undefined, (error) => {
      log.warn("store_not_ready", { error: describeError(error) });
      return "the store refused to answer";
    });
    try {
      return await Promise.race([answered, late.promise]);
    } finally {
      cancel();
    }
  };
  return () => asked ??= ask().finally(() => asked = undefined);
}
