/** What the admin API takes and gives, once: for the checks, for the handlers' types and for `/openapi.json`. */

import { z } from "@hono/zod-openapi";
import { VIEWED_STATES } from "../../src/admin/session_view.ts";
import { REASONS } from "../../src/protocol/reasons.ts";
import { isSessionId } from "../../src/storage/keys.ts";
import { whole } from "./queries.ts";

/** A point in time. */
export const time = z.int().min(0).openapi({
  description: "Milliseconds since the Unix epoch",
  example: 1767225600000,
});
/** How many there are. */
export const count = z.int().min(0);

/** An error of any route (RFC 9457). */
export const Problem = z.object({
  type: z.string().openapi({ example: "urn:holdfast:problem:unknown-session" }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  rule: z.string().optional().openapi({ description: "The rule of docs/protocol.md that was broken" }),
}).openapi("Problem");

/** A session's id in a path. */
export const SessionParams = z.object({
  id: z.string().refine(isSessionId, "22 characters of base64url").openapi({
    param: { name: "id", in: "path" },
    description: "The session's public id",
    example: "Zk3vN0bT1yq8cR5sW2xLhA",
  }),
});

/** A session in a listing. */
export const SessionSummary = z.object({
  id: z.string(),
  principal: z.string().openapi({ description: "Empty where nobody is authenticated" }),
  state: z.enum(VIEWED_STATES).openapi({
    description: "With a conduit; without one; without one and in no node's memory; over and remembered",
  }),
  durability: z.enum(["durable", "ephemeral"]).nullable().openapi({
    description: "Null once the session ended. Ephemeral sessions are known to their own node alone",
  }),
  createdAt: time,
  node: z.string().nullable().openapi({ description: "The node that has its conduit" }),
  detachedAt: time.nullable(),
  movedAt: time.nullable().openapi({ description: "When a session message last moved in either direction" }),
  ended: z.object({ reason: z.enum(REASONS), detail: z.string(), at: time }).nullable(),
}).openapi("SessionSummary");

/** A part of a listing. */
export const SessionPage = z.object({
  sessions: z.array(SessionSummary),
  next: z.string().nullable().openapi({
    description:
      "The cursor of the next part, which may be shorter than asked for, or empty; null: this was the last",
  }),
}).openapi("SessionPage");

const HistoryEntry = z.union([
  z.object({ kind: z.literal("attached"), at: time, node: z.string() }),
  z.object({ kind: z.literal("resumed"), at: time, node: z.string(), replayed: count }),
  z.object({
    kind: z.literal("detached"),
    at: time,
    reason: z.enum([...REASONS, "broke", "node-lost"]),
  }),
]).openapi("HistoryEntry");

const ConnectionView = z.object({
  id: count,
  service: z.string(),
  phase: z.enum(["opening", "offered", "open", "ending"]).openapi({
    description:
      "Opened by the server, or by the client, and not answered; open; ended by the client while its messages are being handled",
  }),
  calls: count.openapi({ description: "Calls of the client's in flight" }),
  callsToClient: count.openapi({ description: "Calls of the service's in flight" }),
  channels: count.openapi({ description: "Uploads and downloads that are open" }),
  held: count.openapi({ description: "Messages that were taken and are not handled" }),
  waiting: count.openapi({ description: "Messages that wait for the client's credit" }),
  keptBytes: count.openapi({ description: "What the service keeps with the connection" }),
}).openapi("ConnectionView");

/** One session. */
export const SessionDetail = SessionSummary.extend({
  connections: z.array(ConnectionView),
  counters: z.object({
    received: count.openapi({ description: "Messages taken from the client and committed" }),
    sent: count.openapi({ description: "Messages for the client that are committed" }),
    acked: count.openapi({ description: "How many of them the client has" }),
    unackedBytes: count,
    unackedCost: count.openapi({ description: "What the unacked messages count for under delivery.bounded" }),
    work: count.openapi({ description: "Messages and calls that were taken and are not done" }),
    heldBytes: count.openapi({
      description: "What they, and what connections keep and have waiting, count for under delivery.bounded",
    }),
  }).nullable(),
  history: z.array(HistoryEntry).openapi({ description: "The last attachments, the oldest first" }),
}).openapi("SessionDetail");

/** What an operator sends. */
export const PushBody = z.object({
  body: z.json().openapi({
    type: ["object", "array", "string", "number", "boolean", "null"],
    additionalProperties: true,
    description: "The message, in the JSON form of docs/protocol.md, frame.body",
  }),
}).strict().openapi("PushMessage");

/** Where an operator sends it. */
export const PushParams = SessionParams.extend({
  connection: whole(Number.MAX_SAFE_INTEGER).openapi({
    param: { name: "connection", in: "path" },
    type: "integer",
    minimum: 0,
    description: "The id of an open connection of the session",
  }),
});

/** The key that makes a push happen once. */
export const PushHeaders = z.object({
  "idempotency-key": z.string().regex(/^[\x21-\x7e]{1,128}$/, "1 to 128 printable ASCII characters").openapi({
    description: "A repeat under the same key is answered and not sent again; kept for 24 hours",
  }),
});

/** What a push did. */
export const Pushed = z.object({
  session: z.string(),
  connection: count,
  sequence: count.openapi({ description: "The session message's number" }),
  committedAt: time,
  repeated: z.boolean().openapi({ description: "It was sent by an earlier request with this key" }),
}).openapi("Pushed");

/** What an ending did. */
export const Ended = z.object({ session: z.string(), endedAt: time }).openapi("Ended");

/** What breaking a conduit did. */
export const Broke = z.object({
  session: z.string(),
  broken: z.boolean().openapi({ description: "False: there was no conduit" }),
}).openapi("Broke");

const word = (most: number) =>
  z.string().min(1).max(most).refine((text) => text.isWellFormed(), "Unicode without lone surrogates");
const name = z.string().regex(/^[a-z0-9._:-]{1,64}$/);
const whose = { service: name, method: name, key: word(128) };

/** By what a caller knows an operation. */
export const OperationName = z.union([
  z.object({ principal: word(512), ...whose }).strict(),
  z.object({ session: z.string().refine(isSessionId, "22 characters of base64url"), ...whose }).strict(),
]).openapi("OperationName", {
  description: "Of a principal; or of a session, where nobody is authenticated",
});

/** An operation's id in a path. */
export const OperationParams = z.object({
  operation: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "43 characters of base64url").openapi({
    param: { name: "operation", in: "path" },
    description: "The operation's id, which its lookup gives",
  }),
});

const operationState = z.enum(["running", "finished", "indeterminate"]);

/** What is remembered of an operation. */
export const Operation = z.object({
  operation: z.string(),
  state: operationState.openapi({
    description: "A node runs it; its outcome is kept; its node was lost, and it may have had effects or not",
  }),
  fingerprint: z.string().openapi({ description: "Of its argument: a call with another one is a conflict" }),
  expiresAt: time.nullable().openapi({
    description: "When it is forgotten; null: nothing is stored of it yet",
  }),
  node: z.object({
    boot: z.string(),
    name: z.string().nullable(),
    live: z.boolean().openapi({ description: "False: it was lost, and callers are told indeterminate" }),
  }).nullable().openapi({ description: "Who runs it" }),
  outcome: z.object({
    ok: z.boolean(),
    code: z.string().nullable().openapi({ description: "Of the failure" }),
    bytes: count.openapi({ description: "The size of the answer" }),
  }).nullable(),
}).openapi("Operation");

/** What forgetting did. */
export const Forgotten = z.object({ operation: z.string(), was: operationState }).openapi("Forgotten");

/** The services of a node. */
export const Services = z.object({
  services: z.array(z.object({
    name: z.string(),
    connections: count.openapi({ description: "Open in this node's memory" }),
  })),
}).openapi("Services");

const ReasonCount = z.object({ reason: z.enum(REASONS), count }).openapi("ReasonCount");

/** A node. */
export const Node = z.object({
  node: z.string(),
  boot: z.string().openapi({ description: "The process; new at every start" }),
  region: z.string().nullable(),
  startedAt: time,
  draining: z.boolean(),
  sessions: z.object({
    attached: count,
    detached: count,
    operators: count.openapi({ description: "Of those who watch this node; in none of the other counts" }),
  }).openapi({ description: "In this node's memory" }),
  conduits: count,
  work: count.openapi({ description: "Messages and calls that were taken and are not done" }),
  operations: count.openapi({ description: "Operations that run here" }),
  upstreamSockets: count,
  counts: z.object({
    newSessions: count,
    resumed: count,
    messagesIn: count,
    messagesOut: count,
    replayed: count,
    refused: z.array(ReasonCount).openapi({ description: "Handshakes that were refused" }),
    ended: z.array(ReasonCount).openapi({ description: "Sessions that ended" }),
  }).openapi({ description: "Since the node's start" }),
  memory: z.object({ rss: count, heapUsed: count }).openapi({ description: "Bytes" }),
  settings: z.array(z.object({
    name: z.string(),
    value: z.string().nullable().openapi({ description: "Null: a secret, or not set" }),
    set: z.boolean(),
    doc: z.string(),
  })),
}).openapi("Node");

/** Whether a node drains. */
export const Draining = z.object({ draining: z.boolean() }).openapi("Draining");

const Counted = z.object({
  rows: count,
  capped: z.boolean().openapi({ description: "There are more than that" }),
});

/** The store. */
export const Store = z.object({
  bytes: count.nullable().openapi({
    description: "The size of the store's file; null where it is not a file",
  }),
  rows: z.object({
    session: Counted,
    connection: Counted,
    outbox: Counted,
    deadline: Counted,
    attached: Counted,
    operation: Counted,
    data: Counted,
  }),
  committer: z.object({
    atomics: count,
    writes: count,
    mutations: count,
    conflicts: count,
    unknown: count,
    stagedPuts: count,
  }).openapi({ description: "Since this node's start" }),
}).openapi("Store");

/** What a sweep did. */
export const Swept = z.object({ tookMs: z.number().min(0) }).openapi("Swept");

/** How a page proves that its user is the operator. */
export const LoginBody = z.union([
  z.object({ code: z.string().min(1).max(128) }).strict(),
  z.object({ token: z.string().min(1).max(4_000) }).strict(),
]).openapi("Login");
