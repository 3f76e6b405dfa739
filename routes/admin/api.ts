/** The admin API, composed: guarded, described, and its description. */

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { docs } from "../docs.ts";
import { methodNotAllowed, onlyRead } from "../methods.ts";
import { problem } from "../problem.ts";
import {
  BODY_REFUSALS,
  describedRoutes,
  jsonBodiesOf,
  REFUSALS,
  refuse,
  SECURITY,
  takes,
} from "./described.ts";
import { ADMIN_COOKIE, type Guard } from "./guard.ts";
import { type NodeControl, nodeRoutes } from "./node.ts";
import { operationRoutes } from "./operations.ts";
import { principalRoutes } from "./principals.ts";
import * as schemas from "./schemas.ts";
import { sessionRoutes, type SessionRoutesOptions } from "./sessions.ts";
import { patience } from "./store_answers.ts";
import type { Operations } from "../../src/admin/operations.ts";
import type { Principals } from "../../src/admin/principals.ts";
import type { NodeView } from "../../src/admin/node_view.ts";
import type { Log } from "../../src/observe/log.ts";
import type { Clock } from "../../src/system/clock.ts";

/** What the admin API acts on. */
export interface AdminOptions extends SessionRoutesOptions {
  readonly guard: Guard;
  readonly view: NodeView;
  readonly principals: Principals;
  readonly operations: Operations;
  readonly node: NodeControl;
  readonly clock: Clock;
  readonly log: Log;
}

/** The largest body of a login, which strangers may send. Bytes. */
const LOGIN_BYTES = 4 * 1024;

const loginRoute = createRoute({
  method: "post",
  path: "/v1/admin/login",
  middleware: jsonBodiesOf(LOGIN_BYTES),
  operationId: "logIn",
  summary: "Exchange a one-time code or a token for a cookie",
  description: "For pages of this server: the request must name its Origin.",
  tags: ["login"],
  security: [],
  request: { body: takes(schemas.LoginBody) },
  responses: {
    204: {
      description: "Logged in",
      headers: z.object({ "set-cookie": z.string() }),
    },
    ...REFUSALS,
    ...BODY_REFUSALS,
  },
});

const logoutRoute = createRoute({
  method: "post",
  path: "/v1/admin/logout",
  operationId: "logOut",
  summary: "Forget the cookie",
  tags: ["login"],
  security: SECURITY,
  responses: { 204: { description: "Logged out" }, ...REFUSALS },
});

const ADMIN = "/v1/admin/*";

/** The routes of the admin API, and its description, which anybody may read: `/openapi.json` and `/docs`. */
export function adminApi(
  { guard, view, node, principals, operations, clock, log, ...sessions }: AdminOptions,
): OpenAPIHono {
  const routes = describedRoutes(log);
  const within = patience({ clock, log });
  routes.openapi(loginRoute, async (context) => {
    const given = context.req.valid("json");
    const granted = await guard.login(context, given);
    if (granted instanceof Response) refuse(granted);
    return context.body(null, 204, { "set-cookie": granted, "cache-control": "no-store" });
  });
  routes.use(ADMIN, guard.require);
  routes.openapi(logoutRoute, (context) => context.body(null, 204, { "set-cookie": guard.logout(context) }));
  sessionRoutes(routes, within, sessions);
  principalRoutes(routes, within, principals);
  operationRoutes(routes, within, operations);
  nodeRoutes(routes, within, view, node);
  routes.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "The value of HOLDFAST_ADMIN_TOKEN, or a token that grants administration",
  });
  routes.openAPIRegistry.registerComponent("securitySchemes", "cookie", {
    type: "apiKey",
    in: "cookie",
    name: ADMIN_COOKIE,
    description: "What POST /v1/admin/login sets",
  });
  const document = description(routes);
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    const has = Object.keys(methods).map((method) => method.toUpperCase());
    routes.all(path.replaceAll(/\{(\w+)\}/g, ":$1"), () => methodNotAllowed(has));
  }
  routes.all(ADMIN, () =>
    problem({
      status: 404,
      name: "not-found",
      title: "Not found",
      detail: "the admin API has no such route; /openapi.json lists them",
    }));
  routes.get("/openapi.json", (context) => context.json(document)).all("/openapi.json", onlyRead);
  routes.route("/", docs(document));
  return routes;
}

/** The OpenAPI 3.1 document of these routes. */
function description(routes: OpenAPIHono): ReturnType<OpenAPIHono["getOpenAPI31Document"]> {
  return routes.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Holdfast admin API",
      version: "1",
      description: "What an operator can see and do. Errors are problem+json (RFC 9457).",
      license: { name: "MIT", url: "https://opensource.org/license/mit" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "login", description: "For the admin page" },
      {
        name: "sessions",
        description: "All sessions that this node's store knows, and its own ephemeral ones",
      },
      { name: "principals", description: "Who has sessions" },
      { name: "operations", description: "Calls that were made with an operation key" },
      { name: "node", description: "The node that answers" },
      { name: "store", description: "What is kept" },
    ],
  });
}
