/** `/v1/admin/sessions`: lists and shows sessions, ends them, breaks their conduits, sends on their connections. */

import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { InvalidCursor } from "../../src/admin/cursor.ts";
import type { WishOutcome } from "../../src/admin/errand.ts";
import type { SessionControl } from "../../src/admin/session_control.ts";
import type { SessionList } from "../../src/admin/session_list.ts";
import { JsonReader } from "../../src/protocol/json_reader.ts";
import { hashOf } from "../../src/system/hash.ts";
import { problem } from "../problem.ts";
import {
  answers,
  BODY_REFUSALS,
  invalid,
  jsonBodies,
  PROBLEMS,
  refuse,
  SECURITY,
  STORE_REFUSALS,
  takes,
  tooLarge,
} from "./described.ts";
import * as queries from "./queries.ts";
import * as schemas from "./schemas.ts";
import type { WithinPatience } from "./store_answers.ts";

/** What the routes act on. */
export interface SessionRoutesOptions {
  readonly list: SessionList;
  readonly control: SessionControl;
  /** The largest body of a message; bytes. */
  readonly bodyBytes: number;
}

/** Sessions of a part when nothing else is asked. */
const DEFAULT_LIMIT = 100;

const tags = ["sessions"];

const listRoute = createRoute({
  method: "get",
  path: "/v1/admin/sessions",
  operationId: "listSessions",
  summary: "List sessions",
  description:
    "First the ephemeral sessions of the node that answers, then all that are in the store. A filter that matches " +
    "little gives short or empty parts: follow `next` until it is null.",
  tags,
  security: SECURITY,
  request: { query: queries.ListQuery },
  responses: { 200: answers("A part of the listing", schemas.SessionPage), ...STORE_REFUSALS },
});

const showRoute = createRoute({
  method: "get",
  path: "/v1/admin/sessions/{id}",
  operationId: "getSession",
  summary: "Show one session",
  tags,
  security: SECURITY,
  request: { params: schemas.SessionParams },
  responses: { 200: answers("The session", schemas.SessionDetail), ...STORE_REFUSALS, 404: PROBLEMS[404] },
});

const endRoute = createRoute({
  method: "delete",
  path: "/v1/admin/sessions/{id}",
  operationId: "endSession",
  summary: "End a session",
  description: "The client is told `ended`, now or when it comes back. Answered when it is committed.",
  tags,
  security: SECURITY,
  request: {
    params: schemas.SessionParams,
    query: queries.EndQuery,
  },
  responses: {
    200: answers("It has ended", schemas.Ended),
    ...STORE_REFUSALS,
    404: PROBLEMS[404],
    409: PROBLEMS[409],
  },
});

const breakRoute = createRoute({
  method: "post",
  path: "/v1/admin/sessions/{id}/break",
  operationId: "breakConduit",
  summary: "Break a session's conduit",
  description: "The session stays; its client resumes.",
  tags,
  security: SECURITY,
  request: { params: schemas.SessionParams },
  responses: {
    200: answers("It has no conduit now", schemas.Broke),
    ...STORE_REFUSALS,
    404: PROBLEMS[404],
    409: PROBLEMS[409],
  },
});

const pushRoute = createRoute({
  method: "post",
  path: "/v1/admin/sessions/{id}/connections/{connection}/messages",
  middleware: jsonBodies,
  operationId: "pushMessage",
  summary: "Send a message on a connection of a session",
  description:
    "Delivered exactly once and in order, as everything on a connection, also to a session that is detached, parked or " +
    "attached to another node. Answered when it is committed with the session.",
  tags,
  security: SECURITY,
  request: {
    params: schemas.PushParams,
    headers: schemas.PushHeaders,
    body: takes(schemas.PushBody),
  },
  responses: {
    200: answers("It is committed", schemas.Pushed),
    ...STORE_REFUSALS,
    404: PROBLEMS[404],
    409: PROBLEMS[409],
    ...BODY_REFUSALS,
  },
});

/** Adds the routes. */
export function sessionRoutes(
  routes: OpenAPIHono,
  within: WithinPatience,
  { list, control, bodyBytes }: SessionRoutesOptions,
): void {
  routes.openapi(listRoute, async (context) => {
    const { limit, cursor, ...filter } = context.req.valid("query");
    try {
      const { sessions, next } = await within(list.page(filter, limit ?? DEFAULT_LIMIT, cursor));
      return context.json({ sessions: [...sessions], next }, 200);
    } catch (error) {
      if (!(error instanceof InvalidCursor)) throw error;
      refuse(problem({
        status: 400,
        name: "invalid-cursor",
        title: "Invalid cursor",
        detail: `${error.message}; begin without one`,
      }));
    }
  });
  routes.openapi(showRoute, async (context) => {
    const { id } = context.req.valid("param");
    const session = await within(list.show(id));
    if (session === null) refuse(refused({ kind: "refused", why: "unknown-session" }));
    const { connections, history, ...rest } = session;
    return context.json({ ...rest, connections: [...connections], history: [...history] }, 200);
  });
  routes.openapi(endRoute, async (context) => {
    const { id: session } = context.req.valid("param");
    const { detail } = context.req.valid("query");
    const outcome = await within(control.fulfil({ wish: "end", session, detail }));
    if (outcome.kind !== "ended") refuse(refused(outcome));
    return context.json({ session, endedAt: outcome.at }, 200);
  });
  routes.openapi(breakRoute, async (context) => {
    const { id: session } = context.req.valid("param");
    const outcome = await within(control.fulfil({ wish: "break", session }));
    if (outcome.kind !== "broke") refuse(refused(outcome));
    return context.json({ session, broken: outcome.broken }, 200);
  });
  routes.openapi(pushRoute, async (context) => {
    const { id: session, connection } = context.req.valid("param");
    const key = hashOf(context.req.valid("header")["idempotency-key"]);
    const field = new JsonReader(JSON.stringify(context.req.valid("json").body)).body();
    if (field.malformed !== undefined) refuse(invalid(`json.body: ${field.malformed}`));
    const { body } = field;
    if (body.length > bodyBytes) refuse(tooLarge(bodyBytes));
    const outcome = await within(control.fulfil({ wish: "push", session, connection, body, key }));
    if (outcome.kind !== "pushed") refuse(refused(outcome));
    const { sequence, at: committedAt, repeated } = outcome;
    return context.json({ session, connection, sequence, committedAt, repeated }, 200);
  });
}

const WHY = {
  "unknown-session": [404, "Unknown session", "no session has this id, or it is not remembered any more"],
  "unknown-connection": [404, "Unknown connection", "the session has no connection of this id"],
  "ended": [409, "Session ended", "the session has ended"],
  "connection-not-open": [409, "Connection not open", "the connection is not accepted yet"],
  "session-full": [409, "Session full", "too much waits for this client already (delivery.bounded)"],
  "key-reused": [409, "Idempotency key reused", "this key was used for another message or connection"],
} as const;

function refused(outcome: WishOutcome): Response {
  if (outcome.kind === "refused") {
    const [status, title, detail] = WHY[outcome.why];
    return problem({ status, name: outcome.why === "ended" ? "session-ended" : outcome.why, title, detail });
  }
  return problem({
    status: 503,
    name: "unanswered",
    title: "No answer",
    detail: "the session's node gave no answer in time: it may be done, or not; asking again is safe",
    headers: { "retry-after": "1" },
  });
}
