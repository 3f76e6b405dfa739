/** `/v1/admin/operations`: what is remembered of a call that was made with an operation key, and how it is forgotten. */

import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Operations } from "../../src/admin/operations.ts";
import { methodNotAllowed } from "../methods.ts";
import { problem } from "../problem.ts";
import {
  answers,
  BODY_REFUSALS,
  jsonBodies,
  PROBLEMS,
  refuse,
  SECURITY,
  STORE_REFUSALS,
  takes,
} from "./described.ts";
import * as schemas from "./schemas.ts";
import type { WithinPatience } from "./store_answers.ts";

const tags = ["operations"];

const lookUpRoute = createRoute({
  method: "post",
  path: "/v1/admin/operations/lookup",
  middleware: jsonBodies,
  operationId: "findOperation",
  summary: "Find an operation by what its caller knows it by",
  description:
    "A body and no URL: an operation key is its caller's. Changes nothing. The answer's `operation` is the id for the other routes.",
  tags,
  security: SECURITY,
  request: { body: takes(schemas.OperationName) },
  responses: {
    200: answers("The operation", schemas.Operation),
    ...STORE_REFUSALS,
    404: PROBLEMS[404],
    ...BODY_REFUSALS,
  },
});

const showRoute = createRoute({
  method: "get",
  path: "/v1/admin/operations/{operation}",
  operationId: "getOperation",
  summary: "Show an operation",
  tags,
  security: SECURITY,
  request: { params: schemas.OperationParams },
  responses: { 200: answers("The operation", schemas.Operation), ...STORE_REFUSALS, 404: PROBLEMS[404] },
});

const forgetRoute = createRoute({
  method: "delete",
  path: "/v1/admin/operations/{operation}",
  operationId: "forgetOperation",
  summary: "Forget an operation",
  description:
    "The next call with its key runs, whatever the forgotten one did: for outcomes that are wrong, and for indeterminate ones " +
    "once somebody has found out. One that runs on a live node is refused: forgotten, it would run twice.",
  tags,
  security: SECURITY,
  request: { params: schemas.OperationParams },
  responses: {
    200: answers("It is forgotten", schemas.Forgotten),
    ...STORE_REFUSALS,
    404: PROBLEMS[404],
    409: PROBLEMS[409],
  },
});

/** Adds the routes. */
export function operationRoutes(routes: OpenAPIHono, within: WithinPatience, operations: Operations): void {
  const shown = async (id: string) => {
    const operation = await within(operations.show(id));
    if (operation === null) refuse(UNKNOWN());
    return operation;
  };
  routes.openapi(lookUpRoute, async (context) => {
    return context.json(await shown(operations.idOf(context.req.valid("json"))), 200);
  });
  // It would be taken for an operation's id.
  routes.all(lookUpRoute.path, () => methodNotAllowed(["POST"]));
  routes.openapi(showRoute, async (context) => {
    return context.json(await shown(context.req.valid("param").operation), 200);
  });
  routes.openapi(forgetRoute, async (context) => {
    const { operation } = context.req.valid("param");
    const outcome = await within(operations.forget(operation));
    switch (outcome.kind) {
      case "forgotten":
        return context.json({ operation, was: outcome.was }, 200);
      case "unknown":
        return refuse(UNKNOWN());
      case "running":
        return refuse(RUNNING());
      case "unanswered":
        return refuse(UNANSWERED());
      default:
        return outcome satisfies never;
    }
  });
}

const UNKNOWN = () =>
  problem({
    status: 404,
    name: "unknown-operation",
    title: "Unknown operation",
    detail: "no operation of this name is remembered: it was never begun, or is forgotten",
  });

const RUNNING = () =>
  problem({
    status: 409,
    name: "operation-running",
    title: "Operation running",
    detail: "it runs on a node that is there; forgotten, it would run twice",
  });

const UNANSWERED = () =>
  problem({
    status: 503,
    name: "unanswered",
    title: "No answer",
    detail: "others write this operation all the time; ask again",
    headers: { "retry-after": "1" },
  });
