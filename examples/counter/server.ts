/**
 * A service of one's own, and the node that serves it.
 *
 * `deno run -A examples/counter/server.ts`, and in another terminal `deno run --allow-net examples/counter/client.ts`
 */

import * as z from "zod";
import { serve } from "../../src/serve.ts";
import { defineService, download, transaction } from "../../src/service/mod.ts";

export const counter = defineService({
  name: "counter",
  methods: {
    // What it writes, its answer and the end of the call are one commit.
    add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
      const total = (await tx.get<number>(["total"]) ?? 0) + by;
      tx.set(["total"], total);
      return total;
    }),
    // Lost with its node, it runs again on the next one, and goes on behind what is out already.
    countdown: download({ input: z.int(), item: z.int(), retry: "safe" }, async function* (from, call) {
      for (let left = from - call.itemsSent; left > 0; left--) {
        yield left;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }),
  },
});

await serve({ services: [counter] });
