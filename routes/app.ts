/** Every URL of the server, composed. */

import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { describeError } from "../src/observe/json_log.ts";
import type { Log } from "../src/observe/log.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { health, type HealthOptions } from "./health.ts";
import { problem } from "./problem.ts";

/** What the routes need; each part is named by the route that uses it. */
export interface AppOptions<Socket> {
  readonly connect: ConnectOptions<Socket>;
  readonly health: HealthOptions;
  /** The pages for people. */
  readonly pages: Hono;
  readonly log: Log;
}

/** The server's routes. Unknown paths and failures are problem+json too. */
export function app<Socket>({ connect: connecting, health: probing, pages, log }: AppOptions<Socket>): Hono {
  const root = new Hono();
  root.route("/", connect(connecting));
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
  root.route("/", pages);
  root.notFound(() =>
    problem({ status: 404, name: "not-found", title: "Not found", detail: "there is nothing at this path" })
  );
  root.onError((error) => {
    log.error("route_failed", { error: describeError(error) });
    return problem({
      status: 500,
      name: "internal",
      title: "Internal error",
      detail: "the request failed; the server's log says why",
    });
  });
  return root;
}
