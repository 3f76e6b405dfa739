/** What a node holds at this moment, read off its registry. */

import type { NodeLevels } from "../observe/node_metrics.ts";
import type { SessionRegistry } from "./session_registry.ts";

/** Looks at every session in memory once. */
export function levelsOf(registry: SessionRegistry): NodeLevels {
  let attached = 0;
  let outboxBytes = 0;
  for (const { state } of registry.sessions()) {
    if (state.attached !== null) attached++;
    outboxBytes += state.delivery.retainedBytes;
  }
  return {
    attached,
    detached: registry.size - attached,
    conduits: registry.conduits,
    draining: registry.draining,
    outboxBytes,
    commits: registry.committer.stats,
  };
}
