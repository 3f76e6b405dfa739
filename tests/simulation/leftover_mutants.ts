/** Wrong variants that leave something behind, or forget what was left to them. */

import type { Mutant } from "./mutant_list.ts";

export const LEFTOVER_MUTANTS: readonly Mutant[] = [
  {
    name: "a client leaves its old timer set",
    file: "src/client/client_runner.ts",
    from: `    this.#cancelTimer?.();\n    this.#timerAt = at;`,
    to: `    this.#timerAt = at;`,
  },
  {
    name: "the record of a transaction's operation is never dropped",
    file: "src/session/transaction_queue.ts",
    from: `  return expireIn === undefined ? put : { ...put, expireIn };`,
    to: `  return put;`,
  },
  {
    name: "a call that another node takes up does not hear that its upload is over",
    file: "src/session/connection_life.ts",
    from:
      `      if (call.upload !== null && calls?.channels.has(call.upload.id) !== true) live.uploadOver(call.broken);\n`,
    to: ``,
  },
  {
    name: "an ephemeral session remembers all connections that ever changed",
    file: "src/session/session_model.ts",
    from: `  if (state.settings.durability === "ephemeral") return;\n`,
    to: ``,
  },
];
