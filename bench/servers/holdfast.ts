/** The product as it is shipped, by its own composition root, with Deno KV's calls counted and a side port. */

import { countKv, serveStats } from "./stats.ts";

serveStats(countKv());
await import("../../main.ts");
