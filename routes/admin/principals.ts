/** `/v1/admin/principals`: who has sessions, and who may not come in. */

import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { OPERATOR } from "../../src/access/authenticator.ts";
import type { Principals } from "../../src/admin/principals.ts";
import { problem } from "../problem.ts";
import { answers, PROBLEMS, refuse, SECURITY, STORE_REFUSALS } from "./described.ts";
import * as schemas from "./principal_schemas.ts";
import * as queries from "./queries.ts";
import type { WithinPatience } from "./store_answers.ts";

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
  responses: { 200: answers("The principal", schemas.Principal), ...STORE_REFUSALS },
});

const blockRoute = createRoute({
  method: "put",
  path: "/v1/admin/principals/{principal}/block",
  operationId: "blockPrincipal",
  summary: "Keep a principal out",
  description:
    "On every node, from now on: its conduits are broken, its handshakes refused with `forbidden`, resumes too. Answered " +
    "when the other nodes have answered, or after 8 s: `unreached` names those that did not. `holdfast:operator` is refused.",
  tags,
  security: SECURITY,
  request: { params: schemas.PrincipalParams, query: queries.BlockQuery },
  responses: { 200: answers("It is blocked", schemas.Blocked), ...STORE_REFUSALS, 409: PROBLEMS[409] },
});

const unblockRoute = createRoute({
  method: "delete",
  path: "/v1/admin/principals/{principal}/block",
  operationId: "unblockPrincipal",
  summary: "Let a principal in again",
  tags,
  security: SECURITY,
  request: { params: schemas.PrincipalParams },
  responses: { 200: answers("It is not blocked", schemas.Principal), ...STORE_REFUSALS },
});

/** Adds the routes. */
export function principalRoutes(routes: OpenAPIHono, within: WithinPatience, principals: Principals): void {
  routes.openapi(showRoute, async (context) => {
    return context.json(await within(principals.show(context.req.valid("param").principal)), 200);
  });
  routes.openapi(blockRoute, async (context) => {
    const { principal } = context.req.valid("param");
    const { detail } = context.req.valid("query");
    if (principal === OPERATOR) refuse(OPERATORS());
    const { unreached, ...blocked } = await within(principals.block(principal, detail));
    return context.json({ ...blocked, unreached: [...unreached] }, 200);
  });
  routes.openapi(unblockRoute, async (context) => {
    return context.json(await within(principals.unblock(context.req.valid("param").principal)), 200);
  });
}

const OPERATORS = () =>
  problem({
    status: 409,
    name: "operators-not-blocked",
    title: "Operators are not blocked",
    detail: `${OPERATOR} is every operator on every node: change HOLDFAST_ADMIN_TOKEN to keep one out`,
  });
