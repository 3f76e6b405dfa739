/** Wrong variants of bridges and of what carries them; see `mutant_list.ts`. */

import type { Mutant } from "./mutant_list.ts";

export const BRIDGE_MUTANTS: readonly Mutant[] = [
  {
    name: "a bridge grants what its far side has not",
    file: "src/connection/bridge_state.ts",
    from: `const due = Math.min(flow.granted, flow.passed + bridge.credit) - flow.told;`,
    to: `const due = flow.passed + bridge.credit - flow.told;`,
  },
  {
    name: "a bridge passes the credit on that it has no room for",
    file: "src/connection/bridge_state.ts",
    from: `Math.min(granted, passed + bridge.credit)`,
    to: `granted`,
  },
  {
    name: "a bridge overtakes",
    file: "src/connection/bridge_state.ts",
    from: `bridge[to].waiting.push(said);`,
    to: `bridge[to].waiting.unshift(said);`,
  },
  {
    name: "operation keys cross a bridge as they are",
    file: "src/connection/bridge_state.ts",
    from: `{ operation: bridge.operationOf(operation) }`,
    to: `{ operation }`,
  },
  {
    name: "a bridge survives its process",
    file: "src/session/session_relays.ts",
    from: `    session.act({ do: "bind", connection: id, reason: REMOTE_LOST });\n`,
    to: ``,
  },
  {
    name: "what waits in a bridge is not bounded",
    file: "src/remote/bridge.ts",
    from: `if (held.add(this.#near.session, 0) <= mostHeld) return;`,
    to: `return;`,
  },
  {
    name: "a handler's first call of its client is forgotten",
    file: "src/session/session_services.ts",
    from: `(this.#lives?.get(id) ?? this.begin(id, service)).await(`,
    to: `this.begin(id, service).await(`,
  },
];
