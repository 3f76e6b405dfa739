/** `/v1/admin/principals`: who has sessions, and who may not come in. */

import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Principals } from "../../src/admin/principals.ts";
import { answers, REFUSALS, SECURITY } from "./described.ts";
import * as schemas from "./schemas.ts";

const tags = ["principals"];

const showRoute = createRoute({
  method: "get",
  path: "/v1/admin/principals/{principal}",
  operationId: "getPrincipal",
  summary: "Show a principal",
  description: "Its sessions are listed by `/v1/admin/sessions?principal=`.",
  tags,
  security: SECURITY,
  request: { params: schemas.PrincipalParams },
  responses: { 200: answers("The principal", schemas.Principal), ...REFUSALS },
});

const blockRoute = createRoute({
  method: "put",
  path: "/v1/admin/principals/{principal}/block",
  operationId: "blockPrincipal",
  summary: "Keep a principal out",
  description:
    "On every node, from now on: its conduits are broken, its handshakes refused with `forbidden`, resumes too.",
  tags,
  security: SECURITY,
  request: { params: schemas.PrincipalParams, query: schemas.BlockQuery },
  responses: { 200: answers("It is blocked", schemas.Principal), ...REFUSALS },
});

const unblockRoute = createRoute({
  method: "delete",
  path: "/v1/admin/principals/{principal}/block",
  operationId: "unblockPrincipal",
  summary: "Let a principal in again",
  tags,
  security: SECURITY,
  request: { params: schemas.PrincipalParams },
  responses: { 200: answers("It is not blocked", schemas.Principal), ...REFUSALS },
});

/** Adds the routes. */
export function principalRoutes(routes: OpenAPIHono, principals: Principals): void {
  routes.openapi(showRoute, async (context) => {
    return context.json(await principals.show(context.req.valid("param").principal), 200);
  });
  routes.openapi(blockRoute, async (context) => {
    const { detail } = context.req.valid("query");
    return context.json(await principals.block(context.req.valid("param").principal, detail), 200);
  });
  routes.openapi(unblockRoute, async (context) => {
    return context.json(await principals.unblock(context.req.valid("param").principal), 200);
  });
}
