/** The metrics of one node as text: what was counted, and what its registry holds at this moment. */

import type { CountedMetrics } from "./counted_metrics.ts";
import { Exposition } from "./exposition.ts";

/** What a node holds now. Read when somebody looks, and kept nowhere. */
export interface NodeLevels {
  /** Sessions in memory with a conduit, and without one; operators' are counted apart, and in no other level of sessions. */
  readonly attached: number;
  readonly detached: number;
  /** Sessions of operators, who watch this node. */
  readonly operators: number;
  /** Open conduits, attached or not. */
  readonly conduits: number;
  readonly draining: boolean;
  /** Bytes of messages that clients have not acked, of the sessions in memory. */
  readonly outboxBytes: number;
  /** Messages and calls that were taken and are not done, of the sessions in memory; and what they and connections hold. */
  readonly work: number;
  readonly heldBytes: number;
  /** Operations that run here. */
  readonly operations: number;
  /** Sockets to upstreams that are dialled, open or not yet closed. */
  readonly upstreamSockets: number;
  /** Connections that are bridged to other servers, and sessions there that carry them. */
  readonly remotes: { readonly connections: number; readonly sessions: number };
  /** The committer's totals. */
  readonly commits: {
    readonly atomics: number;
    readonly writes: number;
    readonly mutations: number;
    readonly conflicts: number;
    readonly unknown: number;
  };
}

/** What the process uses. */
export interface ProcessLevels {
  /** Bytes. */
  readonly resident: number;
  readonly heap: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
}

const MS = 0.001;

/**
 * Writes the page that `/metrics` answers.
 *
 * Times are seconds and sizes bytes, as Prometheus has it. No label holds an id, a name from outside or an address.
 */
export function describeNode(counted: CountedMetrics, node: NodeLevels, process: ProcessLevels): string {
  const page = new Exposition();
  sessions(page, counted, node);
  traffic(page, counted, node);
  calls(page, counted, node);
  storage(page, counted, node);
  page.gauge("holdfast_draining", "1 while this node lets go of its sessions.", node.draining ? 1 : 0);
  page.gauge("process_resident_memory_bytes", "Resident memory.", process.resident);
  page.gauge("process_heap_bytes", "The part of the JavaScript heap that is in use.", process.heap);
  page.gauge("process_start_time_seconds", "When the process started.", process.startedAt * MS);
  return page.text;
}

function sessions(page: Exposition, counted: CountedMetrics, node: NodeLevels): void {
  page.gauges("holdfast_sessions", "Sessions in this node's memory; parked ones are in the store.", "state", [
    ["attached", node.attached],
    ["detached", node.detached],
  ]);
  page.gauge("holdfast_operators", "Sessions of operators, who watch this node.", node.operators);
  page.gauge("holdfast_conduits", "Open conduits, attached or in their handshake.", node.conduits);
  page.counters("holdfast_established_total", "Handshakes that attached a conduit.", "kind", [
    ["new", counted.sessionsNew],
    ["resumed", counted.sessionsResumed],
  ]);
  page.counted(
    "holdfast_upgrades_refused_total",
    "Requests that did not become conduits.",
    "status",
    counted.upgradesRefusedBy,
  );
  page.counted("holdfast_refused_total", "Handshakes refused.", "reason", counted.refusedBy);
  page.counted(
    "holdfast_conduits_closed_total",
    "Conduits that this side closed.",
    "reason",
    counted.conduitsClosedBy,
  );
  page.counted(
    "holdfast_connections_refused_total",
    "Connections of clients that were rejected, or ended overloaded.",
    "reason",
    counted.connectionsRefusedBy,
  );
  page.counted("holdfast_ended_total", "Sessions ended, when that is committed.", "reason", counted.endedBy);
  page.histogram(
    "holdfast_resume_caught_up_seconds",
    "From a resume's start until its client acked all that it lacked.",
    counted.caughtUpAfter,
    MS,
  );
  page.counted(
    "holdfast_protocol_errors_total",
    "Sessions ended for a broken rule.",
    "rule",
    counted.violatedRules,
  );
  page.counter("holdfast_token_theft_suspected_total", "Retired resume tokens presented.", counted.thefts);
}

function traffic(page: Exposition, counted: CountedMetrics, node: NodeLevels): void {
  page.counters("holdfast_frames_total", "Frames.", "direction", [
    ["in", counted.framesIn],
    ["out", counted.framesOut],
  ]);
  page.counters("holdfast_frame_bytes_total", "Bytes of frames; of JSON, characters.", "direction", [
    ["in", counted.bytesIn],
    ["out", counted.bytesOut],
  ]);
  page.counters("holdfast_messages_total", "Session messages taken, and put onto a conduit.", "direction", [
    ["in", counted.messagesIn],
    ["out", counted.messagesOut],
  ]);
  page.counter("holdfast_messages_acked_total", "Own messages that clients acked.", counted.acked);
  page.counter(
    "holdfast_messages_replayed_total",
    "Messages that resuming clients lacked.",
    counted.replayed,
  );
  page.counter(
    "holdfast_messages_deduplicated_total",
    "Messages dropped because they had been taken before.",
    counted.deduplicated,
  );
  page.counter("holdfast_window_waits_total", "Times a client's window was full.", counted.windowsFull);
  page.gauge("holdfast_outbox_bytes", "Messages not yet acked, of sessions in memory.", node.outboxBytes);
}

function calls(page: Exposition, counted: CountedMetrics, node: NodeLevels): void {
  const all = [...counted.calls.values()];
  page.labelled(
    "holdfast_calls_total",
    "Calls of clients that are over, by how.",
    all.flatMap(({ service, method, outcomes }) =>
      [...outcomes.counts].map(([outcome, count]) => [{ service, method, outcome }, count] as const)
    ),
  );
  page.histograms(
    "holdfast_call_seconds",
    "From a call's arrival until it was over.",
    all.map(({ service, method, time }) => [{ service, method }, time] as const),
    MS,
  );
  page.gauge("holdfast_work", "Messages and calls taken and not done, of sessions in memory.", node.work);
  page.gauge(
    "holdfast_held_bytes",
    "What they, and what connections keep and have waiting, hold.",
    node.heldBytes,
  );
  page.counted(
    "holdfast_operations_total",
    "Calls with an operation key, by how they were answered.",
    "outcome",
    counted.operations,
  );
  page.gauge("holdfast_operations_running", "Operations that run here.", node.operations);
  page.counted(
    "holdfast_transaction_reruns_total",
    "Times that transactions ran again.",
    "cause",
    counted.transactionReruns,
  );
  page.gauge("holdfast_upstream_sockets", "Sockets to upstreams.", node.upstreamSockets);
  page.gauge("holdfast_remote_connections", "Connections bridged to remotes.", node.remotes.connections);
  page.gauge("holdfast_remote_sessions", "Sessions at remotes' servers.", node.remotes.sessions);
  page.counted(
    "holdfast_upstream_refused_total",
    "Upstreams that could not be had.",
    "reason",
    counted.upstreamsRefused,
  );
}

function storage(page: Exposition, counted: CountedMetrics, { commits }: NodeLevels): void {
  page.histogram("holdfast_commit_seconds", "Until the store answered a commit.", counted.commitTime, MS);
  page.histogram("holdfast_commit_sessions", "Sessions in one commit.", counted.commitSessions, 1);
  page.counter("holdfast_commit_attempts_total", "Atomics sent, repetitions included.", commits.atomics);
  page.counter("holdfast_commit_unanswered_total", "Atomics that got no answer.", commits.unknown);
  page.counter("holdfast_commit_conflicts_total", "Writes that another node forestalled.", commits.conflicts);
  page.counter("holdfast_commit_writes_total", "Sessions' writes committed.", commits.writes);
  page.counter("holdfast_commit_mutations_total", "Puts and deletes committed.", commits.mutations);
  page.counter("holdfast_sweeps_total", "Sweeps of the deadline index that were done.", counted.sweeps);
  page.counter("holdfast_sweep_failures_total", "Sweeps that failed.", counted.sweepsFailed);
  page.gauge(
    "holdfast_sweeper_lag_seconds",
    "How late the oldest ending was that the last sweep found.",
    counted.sweepLag * MS,
  );
}
