/** What the admin API takes and gives of principals (`schemas.ts`). */

import { z } from "@hono/zod-openapi";
import { count, time } from "./schemas.ts";

/** A principal in a path. */
export const PrincipalParams = z.object({
  principal: z.string().min(1).max(512).openapi({
    param: { name: "principal", in: "path" },
    description: "The `sub` of its tokens",
  }),
});

/** A principal. */
export const Principal = z.object({
  principal: z.string(),
  sessions: count.openapi({
    description: "Those that have not ended; of ephemeral ones, those of the node that answers",
  }),
  sessionLimit: count.openapi({ description: "Unless its credentials say otherwise" }),
  blocked: z.object({ detail: z.string(), at: time }).nullable(),
}).openapi("Principal");

/** A principal that was blocked, and how far that went. */
export const Blocked = Principal.extend({
  broken: count.openapi({ description: "Sessions that lost their conduit, on the nodes that answered" }),
  unreached: z.array(z.object({
    node: z.string(),
    boot: z.string().openapi({ description: "The process" }),
  })).openapi({
    description: "Nodes that gave no answer in time: conduits may be open there. Ask again until it is empty",
  }),
}).openapi("Blocked");
