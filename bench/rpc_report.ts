/** Judges and describes what was measured of calls, downloads, upstreams and many connections. */

import type { ConnectionsResult } from "./connections.ts";
import { type Load, middle, ratio, speedSection } from "./speed_report.ts";
import type { Round } from "./scenarios.ts";
import { type Judge, table } from "./tables.ts";
import type { Transfer } from "./upstream.ts";

const MEGABYTE = 1_000_000;
const KIBIBYTE = 1024;

/** Calls at full load, to bare echoes. */
export function judgeCalls(judge: Judge, rounds: readonly Round[]): void {
  judge.atLeast("ephemeral call, to a bare echo", 0.6, ratio(rounds, "call-ephemeral", "bare"));
  const transactions = ratio(rounds, "transaction-own", "bare");
  judge.atLeast("transaction, each session its own key, to a bare echo", 0.25, transactions);
}

/** Items of downloads, to bare echoes. */
export function judgeItems(judge: Judge, rounds: readonly Round[]): void {
  judge.atLeast(
    "item of an ephemeral download, to a bare echo",
    2,
    ratio(rounds, "download-ephemeral", "bare"),
  );
}

/** The rate at which the memory of a transfer is judged; a faster one is there to show the speed. */
const JUDGED_RATE = 5 * MEGABYTE;

/** What a transfer to a slow reader does to the server's memory. */
export function judgeTransfers(judge: Judge, transfers: readonly Transfer[]): void {
  for (const { rate, heap, resident } of transfers) {
    if (rate !== JUDGED_RATE) continue;
    const name = `upstream, read at ${rate / MEGABYTE} MB/s: more`;
    judge.atMost(`${name} heap`, 8, heap / MEGABYTE, "MB");
    judge.atMost(`${name} resident memory`, 8, resident / MEGABYTE, "MB");
  }
}

/** What an open connection weighs. */
export function judgeConnections(judge: Judge, results: readonly ConnectionsResult[]): void {
  for (const { durability, service, fresh, used } of results) {
    const name = `connection to ${service}, ${durability}`;
    judge.atMost(`${name}, heap`, 1, fresh / KIBIBYTE, "KiB");
    judge.atMost(`${name}, used once, heap`, 1, used / KIBIBYTE, "KiB");
  }
}

/** Calls: `echo` of the service `demo`, and its transaction `add`. */
export function callTables(loaded: Load, single: Load): string[] {
  return [
    speedSection("Calls", loaded, "call", "arguments"),
    "`transaction-own` and `-hot` are `demo.add`, each session to a total of its own, or all to the same one.",
    speedSection("Calls", single, "call", "arguments"),
  ];
}

/** Downloads. */
export function itemsTable(load: Load): string[] {
  return [
    speedSection("Downloads", load, "item", "items"),
    `Of bare it is 50 × 8 echoes. In flight is the credit: the client grants more when half of it has come. Times are from a \
grant to each of its items. The handler of \`download-sync\` is a \`function*\`, that of the others an \`async function*\`; \
the session is durable where it is called so. Items leave at ${
      Math.round(
        middle(load.rounds, "download-ephemeral", ({ messagesPerSecond }) => messagesPerSecond) / 10_000,
      )
    } MB/s.`,
  ];
}

/** Transfers. */
export function transferTable(transfers: readonly Transfer[]): string[] {
  const megabytes = (bytes: number) => (bytes / MEGABYTE).toFixed(1);
  const rows = transfers.map(({ rate, bytes, milliseconds, mostWaiting, heap, resident, residentAfter }) => [
    `${rate / MEGABYTE} MB/s`,
    megabytes(bytes),
    (milliseconds / 1000).toFixed(1),
    megabytes(bytes / milliseconds * 1000),
    megabytes(mostWaiting),
    megabytes(heap),
    megabytes(resident),
    megabytes(residentAfter),
  ]);
  const heads = ["read at", "MB", "seconds", "MB/s", "at the client"];
  return [
    "## Upstream: all that it sends, to a client that reads slowly",
    "Every message is checked. MB of memory are what the server has more than before the transfer, at most: the heap after full \
collections, the resident memory at any time, and that after it. At the client is what had come and was not read.",
    table([...heads, "heap", "resident", "resident after"], rows),
  ];
}

/** Many connections. */
export function connectionsTable(results: readonly ConnectionsResult[]): string[] {
  const rows = results.map(({ durability, service, fresh, used, opened, restart }) => [
    `${service}, ${durability}`,
    Math.round(fresh).toString(),
    Math.round(used).toString(),
    opened.bursts.toString(),
    opened.milliseconds.toFixed(0),
    ...(restart === undefined ? ["", "", "", ""] : [
      restart.started.toFixed(0),
      restart.resumed.established.toFixed(0),
      restart.resumed.first.toFixed(0),
      restart.resumed.all.toFixed(0),
    ]),
  ]);
  const heads = ["", "heap each", "used once", "bursts", "opened ms", "started ms", "resumed ms", "first ms"];
  return [
    `## ${results[0]?.count.toLocaleString("en") ?? ""} open connections in one session`,
    "Heap is bytes per connection, open and never used, and after each was used once. They are opened in bursts of a whole \
window. Then the server is killed and started again: it listens after `started`; `resumed`, the `first` connection's answer \
and the answers of `all` count from the client's dial.",
    table([...heads, "all ms"], rows),
  ];
}
