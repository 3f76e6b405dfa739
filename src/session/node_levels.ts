/** What a node holds at this moment, read off its registry. */

import { OPERATOR } from "../access/authenticator.ts";
import type { NodeLevels } from "../observe/node_metrics.ts";
import type { SessionRegistry } from "./session_registry.ts";

/**
 * Looks at every session in memory once.
 *
 * @param upstreamSockets What nobody but the upstreams knows.
 * @param remotes What nobody but the remotes knows.
 */
export function levelsOf(
  registry: SessionRegistry,
  upstreamSockets = 0,
  remotes: NodeLevels["remotes"] = { connections: 0, sessions: 0 },
): NodeLevels {
  let attached = 0;
  let operators = 0;
  let outboxBytes = 0;
  let work = 0;
  let heldBytes = 0;
  for (const { state } of registry.sessions()) {
    if (state.principal === OPERATOR) {
      operators++;
      continue;
    }
    if (state.attached !== null) attached++;
    outboxBytes += state.delivery.retainedBytes;
    work += state.work.size;
    heldBytes += state.heldBytes;
  }
  return {
    attached,
    detached: registry.size - attached - operators,
    operators,
    ...{ work, heldBytes, upstreamSockets, remotes },
    operations: registry.operations.size,
    conduits: registry.conduits,
    draining: registry.draining,
    outboxBytes,
    commits: registry.committer.stats,
  };
}
