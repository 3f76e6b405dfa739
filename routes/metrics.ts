/** `GET /metrics`: what this node did and holds, for Prometheus. */

import { Hono, type MiddlewareHandler } from "hono";
import { EXPOSITION_TYPE } from "../src/observe/exposition.ts";
import { onlyRead } from "./methods.ts";
import { type OriginPolicy, refuseOrigin } from "./origin.ts";
import { problem } from "./problem.ts";

/** What the route needs. */
export interface MetricsOptions {
  /** Writes the page, as of now. */
  readonly read: () => string;
  /**
   * Refuses whoever may not administer. Not asked where only this machine can reach the server; absent: elsewhere nobody
   * may read.
   */
  readonly guard?: MiddlewareHandler;
  readonly origin: OriginPolicy;
}

/**
 * The route. On a loopback address anyone on this machine may read it, though no page that rebound its name; elsewhere it
 * takes the admin credential.
 */
export function metrics({ read, guard = nobody, origin }: MetricsOptions): Hono {
  const local: MiddlewareHandler = async (context, next) => {
    const refused = refuseOrigin(
      context.req.header("origin") ?? null,
      context.req.header("host") ?? null,
      origin,
    );
    if (refused === undefined) return await next();
    return problem({ status: 403, name: "origin-refused", title: "Origin refused", detail: refused });
  };
  return new Hono().get("/metrics", origin.loopback ? local : guard, () =>
    new Response(read(), {
      headers: { "content-type": EXPOSITION_TYPE, "cache-control": "no-store" },
    })).all("/metrics", onlyRead);
}

const nobody: MiddlewareHandler = () =>
  Promise.resolve(
    problem({
      status: 403,
      name: "metrics-off",
      title: "Forbidden",
      detail: "metrics are read on a loopback address, or with the admin credential",
    }),
  );
