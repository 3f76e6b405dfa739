/** `/v1/admin/services`, `/v1/admin/node`, `/v1/admin/store`: what this node is, and what it can be told. */

import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { NodeView } from "../../src/admin/node_view.ts";
import { answers, REFUSALS, SECURITY, STORE_REFUSALS } from "./described.ts";
import * as schemas from "./schemas.ts";
import type { WithinPatience } from "./store_answers.ts";

/** What can be told to a node. */
export interface NodeControl {
  readonly draining: boolean;
  /** Begins to let go of all sessions; settles when that has begun. */
  drain(): void;
  /** Takes new sessions again. */
  undrain(): void;
  /** Ends at once what is due; settles when it is done. */
  sweep(): Promise<void>;
}

const servicesRoute = createRoute({
  method: "get",
  path: "/v1/admin/services",
  operationId: "listServices",
  summary: "List the services of this node",
  tags: ["node"],
  security: SECURITY,
  responses: { 200: answers("The services", schemas.Services), ...REFUSALS },
});

const nodeRoute = createRoute({
  method: "get",
  path: "/v1/admin/node",
  operationId: "getNode",
  summary: "Show the node that answers",
  tags: ["node"],
  security: SECURITY,
  responses: { 200: answers("The node", schemas.Node), ...REFUSALS },
});

const drainRoute = createRoute({
  method: "post",
  path: "/v1/admin/node/drain",
  operationId: "drainNode",
  summary: "Let go of all sessions of this node",
  description:
    "`/readyz` turns 503, new sessions are refused, attached ones are asked to move. Answered at once.",
  tags: ["node"],
  security: SECURITY,
  responses: { 200: answers("It drains", schemas.Draining), ...REFUSALS },
});

const undrainRoute = createRoute({
  method: "post",
  path: "/v1/admin/node/undrain",
  operationId: "undrainNode",
  summary: "Take new sessions again",
  tags: ["node"],
  security: SECURITY,
  responses: { 200: answers("It takes sessions", schemas.Draining), ...REFUSALS },
});

const storeRoute = createRoute({
  method: "get",
  path: "/v1/admin/store",
  operationId: "getStore",
  summary: "Count what the store holds",
  description: "Counting stops at 10,000 rows of a kind.",
  tags: ["store"],
  security: SECURITY,
  responses: { 200: answers("The counts", schemas.Store), ...STORE_REFUSALS },
});

const sweepRoute = createRoute({
  method: "post",
  path: "/v1/admin/store/sweep",
  operationId: "sweepStore",
  summary: "End now what is due, and remove what is over",
  tags: ["store"],
  security: SECURITY,
  responses: { 200: answers("It is done", schemas.Swept), ...STORE_REFUSALS },
});

/** Adds the routes. */
export function nodeRoutes(
  routes: OpenAPIHono,
  within: WithinPatience,
  view: NodeView,
  control: NodeControl,
): void {
  routes.openapi(servicesRoute, (context) => context.json({ services: view.services() }, 200));
  routes.openapi(nodeRoute, (context) => context.json(view.node(), 200));
  routes.openapi(drainRoute, (context) => {
    control.drain();
    return context.json({ draining: control.draining }, 200);
  });
  routes.openapi(undrainRoute, (context) => {
    control.undrain();
    return context.json({ draining: control.draining }, 200);
  });
  routes.openapi(storeRoute, async (context) => context.json(await within(view.store()), 200));
  routes.openapi(sweepRoute, async (context) => {
    const before = view.now();
    await within(control.sweep());
    return context.json({ tookMs: Math.max(0, view.now() - before) }, 200);
  });
}
