/** A session of the SDK whose line a test cuts. */

import assert from "node:assert/strict";
import { connect, exponentialBackoff, type Session } from "../../src/client/mod.ts";
import type { ServerProcess } from "./server_process.ts";
import { TcpFaultProxy } from "./tcp_fault_proxy.ts";

/** How long a session may take to be there again, milliseconds. */
const PATIENCE_MS = 20_000;

/** See the top of this file. */
export class CutSession implements AsyncDisposable {
  readonly session: Session;
  /** How often the session was resumed. */
  resumed = 0;
  /** Events that must not happen. */
  readonly failures: string[] = [];
  readonly #proxy: TcpFaultProxy;

  /** A session with a server, by a line of its own. */
  static async with(server: ServerProcess): Promise<CutSession> {
    return new CutSession(await TcpFaultProxy.listen({ hostname: server.hostname, port: server.port }));
  }

  private constructor(proxy: TcpFaultProxy) {
    this.#proxy = proxy;
    // The default waits up to 30 s after many failures in a row.
    const reconnect = exponentialBackoff({ least: 5, first: 20, most: 200 });
    this.session = connect(`http://127.0.0.1:${proxy.port}`, { reconnect });
    this.session.on("resumed", () => void this.resumed++);
    for (const name of ["lost", "taken-over", "error"] as const) {
      this.session.on(name, (details) => void this.failures.push(`${name} ${JSON.stringify(details)}`));
    }
  }

  /** Resets every line there is, and resolves when the session goes on over another. */
  async cut(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`not resumed; ${this.failures.join()}`)), PATIENCE_MS);
    const stop = this.session.on("resumed", () => resolve());
    try {
      for (const link of this.#proxy.links) link.cut("reset");
      await promise;
    } finally {
      clearTimeout(timer);
      stop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
    await this.#proxy.close();
    assert.deepEqual(this.failures, []);
  }
}
