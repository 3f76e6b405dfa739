/** Several nodes over one store, each a process, behind one address that breaks what passes through it. */

import assert from "node:assert/strict";
import { KvConnectProcess } from "./kv_connect_process.ts";
import { type LogLine, type ServerEnvironment, ServerProcess } from "./server_process.ts";
import { TcpFaultProxy } from "./tcp_fault_proxy.ts";

/** Short times, so that seconds of a test hold what otherwise takes minutes. */
const IMPATIENT: ServerEnvironment = {
  HOLDFAST_KEEPALIVE_INTERVAL: "500ms",
  HOLDFAST_KEEPALIVE_TIMEOUT: "500ms",
  HOLDFAST_HANDSHAKE_TIMEOUT: "1500ms",
  HOLDFAST_PARK_AFTER: "300ms",
};

/** The running processes. */
export interface Cluster {
  readonly store: KvConnectProcess;
  readonly nodes: readonly ServerProcess[];
  /** Connects to the nodes by turns. */
  readonly proxy: TcpFaultProxy;
  /** The proxy's address. */
  readonly url: string;
}

/**
 * Starts a cluster, runs against it, asserts that no node logged an error, and ends all of it.
 *
 * @param environment What each node's environment has beside the store and short times.
 */
export async function withCluster(
  count: number,
  run: (cluster: Cluster) => Promise<void>,
  environment: ServerEnvironment = {},
): Promise<void> {
  const store = await KvConnectProcess.start();
  const nodes: ServerProcess[] = [];
  let proxy: TcpFaultProxy | null = null;
  try {
    const complete = {
      ...IMPATIENT,
      HOLDFAST_KV: store.url,
      DENO_KV_ACCESS_TOKEN: store.token,
      ...environment,
    };
    const started = await Promise.allSettled(
      Array.from({ length: count }, () => ServerProcess.start(complete)),
    );
    for (const each of started) if (each.status === "fulfilled") nodes.push(each.value);
    for (const each of started) if (each.status === "rejected") throw each.reason;
    proxy = await TcpFaultProxy.listen(...nodes.map(({ hostname, port }) => ({ hostname, port })));
    await run({ store, nodes, proxy, url: `http://127.0.0.1:${proxy.port}` });
    for (const node of nodes) assertNoErrors(node);
  } finally {
    await proxy?.close();
    await Promise.all(nodes.map((node) => node.dispose()));
    await store.dispose();
  }
}

/** Asserts that a node logged no error in its present run. */
export function assertNoErrors(node: ServerProcess): void {
  for (const text of node.stderr) {
    if (!text.startsWith("{")) {
      // The runtime's own words about a store that does not answer.
      assert.match(text, /^KV Connect /);
      continue;
    }
    const line = JSON.parse(text) as LogLine;
    assert.ok(line.level !== "error", text);
  }
}
