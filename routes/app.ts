/** Every URL of the server, composed. */

import { Hono } from "hono";
import { requestId, type RequestIdVariables } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { describeError } from "../src/observe/json_log.ts";
import type { Log } from "../src/observe/log.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { health, type HealthOptions } from "./health.ts";
import { BodyFailed } from "./incoming_body.ts";
import { metrics, type MetricsOptions } from "./metrics.ts";
import { problem } from "./problem.ts";

/** What the routes need; each part is named by the route that uses it. */
export interface AppOptions<Socket> {
  readonly connect: ConnectOptions<Socket>;
  readonly health: HealthOptions;
  /** What runs here, at `/v1/services`; absent: nobody is told. */
  readonly services?: Hono;
  /** Absent: there is no `/metrics`. */
  readonly metrics?: MetricsOptions;
  /** The admin API; absent: there is none. */
  readonly admin?: Hono;
  /** The pages for people. */
  readonly pages: Hono;
  readonly log: Log;
}

/** The server's routes. Unknown paths and failures are problem+json too. */
export function app<Socket>(options: AppOptions<Socket>): Hono<{ Variables: RequestIdVariables }> {
  const { connect: connecting, health: probing, services, metrics: measuring, admin, pages, log } = options;
  const root = new Hono<{ Variables: RequestIdVariables }>();
  root.route("/", connect(connecting));
  root.use("*", requestId({ limitLength: 64 }));
  root.use("*", async (context, next) => {
    await next();
    // The middleware cannot set it on responses that are made without the context.
    context.res.headers.set("x-request-id", context.get("requestId"));
  });
  root.use(
    "*",
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      xFrameOptions: "DENY",
      // TLS ends in front of this server, and so does the decision about the rest of the domain.
      strictTransportSecurity: false,
    }),
  );
  root.route("/", health(probing));
  if (services !== undefined) root.route("/", services);
  if (measuring !== undefined) root.route("/", metrics(measuring));
  if (admin !== undefined) root.route("/", admin);
  root.route("/", pages);
  root.notFound(() =>
    problem({ status: 404, name: "not-found", title: "Not found", detail: "there is nothing at this path" })
  );
  root.onError((error, context) => {
    if (error instanceof BodyFailed) return error.getResponse();
    log.error("route_failed", { request: context.get("requestId"), error: describeError(error) });
    return problem({
      status: 500,
      name: "internal",
      title: "Internal error",
      detail: "the request failed; the server's log says why",
    });
  });
  return root;
}
