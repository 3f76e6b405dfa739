/** Wrong variants of the product, each by one textual change. Every one must be found by the simulation or by the machines' tests. */

import { BRIDGE_MUTANTS } from "./bridge_mutants.ts";
import { LEFTOVER_MUTANTS } from "./leftover_mutants.ts";

/** One wrong variant. */
export interface Mutant {
  readonly name: string;
  /** From the top of the repository. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
}

const delivery = "src/session/delivery_state.ts";
const session = "src/session/session_state.ts";
const admission = "src/session/admission_runner.ts";
const tokens = "src/session/token_state.ts";
const write = "src/storage/session_write.ts";
const life = "src/session/connection_life.ts";
const queue = "src/session/transaction_queue.ts";
const operations = "src/session/operations_runner.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "skip dedupe",
    file: delivery,
    from: `    return "duplicate";`,
    to: `    return "taken";`,
  },
  {
    name: "ack before commit",
    file: delivery,
    from: `  state.taken = seq;\n`,
    to: `  state.taken = seq;\n  state.received = seq;\n  state.ackOwedSince ??= 1;\n`,
  },
  {
    name: "send before commit",
    file: delivery,
    from: `  state.sent++;\n`,
    to: `  state.sent++;\n  state.secured = state.sent;\n`,
  },
  {
    name: "established before commit: a resume is served from memory",
    file: session,
    from: `if (state.settings.durability === "durable") effects.push({ kind: "commit" });`,
    to:
      `if (state.settings.durability === "durable" && state.attaching === null) effects.push({ kind: "commit" });`,
  },
  {
    name: "takeover at accept instead of with the commit",
    file: session,
    from: `      attach(state, event);\n`,
    to:
      `      if (state.attached !== null) effects.push({ kind: "close_conduit", conduit: state.attached.conduit, code: 4510, reason: "superseded" });\n      attach(state, event);\n`,
  },
  {
    name: "forget the fence: no check of the core",
    file: "src/storage/commit_assembly.ts",
    from: `    checks.push(write.core);\n`,
    to: ``,
  },
  {
    name: "a commit that lost its fence counts as committed",
    file: "src/storage/commit_verdict.ts",
    from: `      : { kind: "overwritten" };`,
    to: `      : { kind: "committed", version: core?.version ?? "" };`,
  },
  {
    name: "an unknown outcome counts as committed",
    file: "src/storage/patient_store.ts",
    from: `        this.stats.unknown++;\n`,
    to: `        this.stats.unknown++;\n        return { ok: true, version: "unknown" };\n`,
  },
  {
    name: "a failed check is believed without reading back",
    file: "src/storage/committer.ts",
    from: `    else await this.#resolve(entries);`,
    to: `    else this.#conflict(entries);`,
  },
  {
    name: "flush number without boot and epoch",
    file: write,
    from: `{ boot, epoch: stored.epoch, flush: stored.flush + 1 }`,
    to: `{ boot: "", epoch: 1, flush: stored.flush + 1 }`,
  },
  {
    name: "reuse a sequence number after a restore",
    file: delivery,
    from: `state.sent = state.secured = snapshot.acked + snapshot.retained.length;`,
    to: `state.sent = state.secured = snapshot.acked;`,
  },
  {
    name: "drop the last segment on restore",
    file: "src/storage/session_load.ts",
    from: `read(store, core.segments.flatMap(`,
    to: `read(store, core.segments.slice(0, -1).flatMap(`,
  },
  {
    name: "count a replay twice",
    file: delivery,
    from: `  state.transmitted = state.acked;\n  state.inFlightBytes = 0;\n`,
    to: `  state.transmitted = state.acked;\n`,
  },
  {
    name: "send beyond the peer's window",
    file: delivery,
    from: `while (state.transmitted < state.secured && state.transmitted - state.acked < most) {`,
    to: `while (state.transmitted < state.secured && most > 0) {`,
  },
  {
    name: "refuse from memory",
    file: admission,
    from:
      `      const found = await this.#find(session, grant);\n      if (found === "moved") continue;\n      if (found === "unknown") return link.refuse(ended`,
    to:
      `      const found = remembered ?? await this.#find(session, grant);\n      if (found === "moved") continue;\n      if (found === "unknown") return link.refuse(ended`,
  },
  {
    name: "create a session without a check of its challenge",
    file: write,
    from: `    checks.push({ key, version: stored.challengeVersion });\n`,
    to: ``,
  },
  {
    name: "two successors in one slot",
    file: tokens,
    from: `  state.successors.push(hash);\n`,
    to: `  state.successors = [hash];\n`,
  },
  {
    name: "the used token is dropped as the oldest successor",
    file: tokens,
    from: `state.successors.splice(state.successors[0] === used ? 1 : 0, 1);`,
    to: `state.successors.splice(used === "" ? 1 : 0, 1);`,
  },
  {
    name: "keep the old token valid",
    file: tokens,
    from: `return valid ? "valid" : stale ? "stale" : "unknown";`,
    to: `return valid || stale ? "valid" : "unknown";`,
  },
  {
    name: "confirm a token only in memory",
    file: session,
    from: `if (proveToken(state.tokens, attached.offered)) state.changes++;`,
    to: `proveToken(state.tokens, attached.offered);`,
  },
  {
    name: "a late close of a replaced conduit detaches the newer one",
    file: session,
    from: `if (state.attached?.conduit === conduit) detach(state, reason, now);`,
    to: `if (state.attached !== null && conduit > 0) detach(state, reason, now);`,
  },
  {
    name: "attach a conduit that is gone",
    file: admission,
    from: `    if (!link.open) return true;\n`,
    to: ``,
  },
  {
    name: "all messages of a frame before any of them is carried out",
    file: session,
    from: `if (event.kind !== "frame" || event.messages.length < 2) return [event];`,
    to: `if (event.kind !== "frame" || event.messages.length > 0) return [event];`,
  },
  {
    name: "every lost fence is a takeover",
    file: "src/session/lost_conduit.ts",
    from: `=== offered ? "unavailable" : "superseded"`,
    to: `=== offered ? "superseded" : "superseded"`,
  },
  {
    name: "a provisional session that is attached has no deadline",
    file: write,
    from: `    ? state.provisionalUntil\n`,
    to: `    ? null\n`,
  },
  {
    name: "sessions of a lost node stay attached to it",
    file: "src/session/sweeper_runner.ts",
    from: `        if (expiresAt <= now) {\n          await this.#releaseSessionsOf(`,
    to: `        if (expiresAt < 0) {\n          await this.#releaseSessionsOf(`,
  },
  {
    name: "a tombstone is never forgotten",
    file: "src/session/sweeper_runner.ts",
    from: `    if (tombstone.until <= this.#clock.now()) {`,
    to: `    if (tombstone.until < 0) {`,
  },
  {
    name: "the client sends before it has stored",
    file: "src/client/client_state.ts",
    from: `    if (!state.settings.stored) secured(state, point, moment.now, effects);\n`,
    to:
      `    secured(state, point, moment.now, effects);\n    if (!state.settings.stored) return void flush(state, moment.now, effects);\n`,
  },
  {
    name: "the client takes its own late start for a takeover",
    file: "src/client/client_restore.ts",
    from: `  state.rival = true;\n`,
    to: ``,
  },
  {
    name: "the client acks on an older conduit while its start is out",
    file: "src/client/client_state.ts",
    from: `return state.attached?.cleared === true && state.dialling?.stage !== "handshaking";`,
    to: `return state.attached?.cleared === true;`,
  },
  {
    name: "a plain method runs again after a restart",
    file: life,
    from: `if (live.again && method!.kind !== "transaction" && method!.retry !== "safe") {`,
    to: `if (live.again && method!.kind === "upload") {`,
  },
  {
    name: "early calls begin before it is committed that their connection is accepted",
    file: life,
    from: `void this.#host.session.whenCommitted().then(() => this.#takeEarly());`,
    to: `this.#takeEarly();`,
  },
  {
    name: "what a transaction read is not checked",
    file: queue,
    from: `checks: [...conditions].map(([{ key }, version]) => ({ key, version })),`,
    to: `checks: [],`,
  },
  {
    name: "what went on from a dropped transaction is committed",
    file: queue,
    from:
      `if (ripe !== first && ![...ripe.run.reads.keys()].some((entry) => undone.has(entry))) return true;`,
    to: `if (ripe !== first) return true;`,
  },
  {
    name: "a read that was overtaken counts where the session itself has written since",
    file: queue,
    from: `entry.holder === this ? revision < entry.base : revision !== entry.revision`,
    to: `entry.holder !== this && revision !== entry.revision`,
  },
  {
    name: "a write is not checked against what another session doubts",
    file: "src/storage/data_cache.ts",
    from: `entry.doubted = entry.holder !== null;`,
    to: `entry.doubted = false;`,
  },
  {
    name: "decided transactions of a refuted commit are not revoked",
    file: "src/session/session_commits.ts",
    from: `    revoke(state, decisions!);\n`,
    to: ``,
  },
  {
    name: "messages behind revoked ones keep their numbers",
    file: delivery,
    from: `const moved = renumbered(items[index]!, first + index - at);`,
    to: `const moved = items[index]!;`,
  },
  {
    name: "a message whose transaction was refuted is forgotten",
    file: "src/session/transaction_state.ts",
    from: `if (heldSeq !== null && ending === null) connection.held = [heldSeq, ...connection.held];`,
    to: ``,
  },
  {
    name: "credit that revoked messages used is lost",
    file: "src/session/transaction_state.ts",
    from: `      connection.sending.credit += spent;\n`,
    to: ``,
  },
  {
    name: "an operation is answered before its outcome is committed",
    file: operations,
    from: `if (await this.#put(held, record!, puts) === null) return "again";`,
    to: `void this.#put(held, record!, puts);`,
  },
  {
    name: "an operation runs without being written down",
    file: operations,
    from: `    if (!this.#safe) {\n      const { fingerprint }`,
    to: `    if (this.#safe && held === "") {\n      const { fingerprint }`,
  },
  {
    name: "an operation is taken for lost while its node is up",
    file: operations,
    from: `record.boot !== boot && await this.#lives(record.boot)`,
    to: `record.boot !== boot && record.boot === ""`,
  },
  {
    name: "items beyond credit",
    file: "src/connection/channel_state.ts",
    from: `  sending.credit--;\n`,
    to: ``,
  },
  {
    name: "work goes with the commit after its ack",
    file: "src/storage/work_write.ts",
    from: `segment.seqs.some((seq) => state.work.has(seq))`,
    to: `segment.seqs.length === 0`,
  },
  {
    name: "a download that runs again begins anew",
    file: "src/session/live_call.ts",
    from: `this.itemsSent = call.download?.end.sent ?? 0;`,
    to: `this.itemsSent = 0;`,
  },
  {
    name: "messages that wait are lost on restore",
    file: "src/session/session_services.ts",
    from: `const messages = held.map(`,
    to: `const messages = held.slice(held.length).map(`,
  },
  {
    name: "a message that was handled stays held",
    file: "src/session/session_service_state.ts",
    from: `        connection.held = connection.held.filter((seq) => seq !== action.seq);\n`,
    to: ``,
  },
  {
    name: "deadlines are lost on restore",
    file: "src/storage/session_load.ts",
    from: `      if (deadline !== null) state.callDeadline = Math.min(state.callDeadline, deadline);\n`,
    to: ``,
  },
  {
    name: "the sweeper ignores work of sessions that nobody attends",
    file: "src/session/sweeper_runner.ts",
    from: `[keys.allAttached, keys.allPending]`,
    to: `[keys.allAttached]`,
  },
  {
    name: "an old memory of a session hides its work from the sweeper",
    file: "src/session/sweeper_runner.ts",
    from: `      await this.#registry.find(session)?.confirmOwnership();\n      if`,
    to: `      if`,
  },
  ...BRIDGE_MUTANTS,
  ...LEFTOVER_MUTANTS,
];
