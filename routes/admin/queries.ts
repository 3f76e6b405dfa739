/** The queries that the admin API takes. */

import { z } from "@hono/zod-openapi";
import { VIEWED_STATES } from "../../src/admin/session_view.ts";

/** A whole number in a URL. */
export const whole = (most: number) =>
  z.string().regex(/^[0-9]{1,15}$/, "a whole number").transform(Number).pipe(z.int().max(most));

/** A query of these parameters and no others: with a misspelt filter unsaid, a listing would show everybody. */
function query<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return undefined;
      const [name = ""] = issue.keys;
      return `${JSON.stringify(name.slice(0, 64))} is no parameter; allowed ${
        Object.keys(shape).length === 1 ? "is" : "are"
      } ${allowed}`;
    },
  });
}

/** What a listing may ask. */
export const ListQuery = query({
  limit: whole(1_000).pipe(z.int().min(1)).optional().openapi({
    type: "integer",
    minimum: 1,
    maximum: 1_000,
    default: 100,
    description: "At most so many sessions",
  }),
  cursor: z.string().min(1).max(512).optional().openapi({ description: "The `next` of the part before" }),
  principal: z.string().max(512).optional().openapi({
    description:
      "Whose sessions; empty: anonymous ones. Operators' own, of `holdfast:operator`, are listed only so",
  }),
  state: z.enum(VIEWED_STATES).optional(),
  node: z.string().min(1).max(128).optional().openapi({
    description: "The name of the node that has the conduit, or the id of its process",
  }),
  service: z.string().regex(/^[a-z0-9._:-]{1,64}$/).optional().openapi({
    description: "A service that one of its connections is for",
  }),
  minAge: whole(Number.MAX_SAFE_INTEGER).optional().openapi({
    type: "integer",
    minimum: 0,
    description: "Created at least so many milliseconds ago",
  }),
  maxAge: whole(Number.MAX_SAFE_INTEGER).optional().openapi({
    type: "integer",
    minimum: 0,
    description: "Created at most so many milliseconds ago",
  }),
});

/** Why an operator ends a session. */
export const EndQuery = query({
  detail: z.string().min(1).max(256).default("ended by an operator").openapi({
    description: "What the client is told beside the reason `ended`",
  }),
});

/** Why an operator blocks a principal. */
export const BlockQuery = query({
  detail: z.string().min(1).max(256).default("blocked by an operator").openapi({
    description: "What the client is told beside the reason `forbidden`",
  }),
});
