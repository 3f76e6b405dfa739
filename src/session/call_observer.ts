/** Counts and traces the calls of one connection. */

import type { CallSpan } from "../observe/tracing.ts";
import type { Service } from "../service/service.ts";
import type { LiveCall } from "./live_call.ts";
import type { ServingNode } from "./served_session.ts";

export class CallObserver {
  readonly #node: ServingNode;
  readonly #service: Service;
  readonly #session: string;
  /** Of calls that are not over, where calls are traced. */
  #spans: Map<LiveCall, CallSpan> | null = null;

  constructor(node: ServingNode, service: Service, session: string) {
    this.#node = node;
    this.#service = service;
    this.#session = session;
  }

  /** A call is taken up. */
  began(live: LiveCall): void {
    const span = this.#node.tracing.call?.({
      ...{ service: this.#service.name, method: live.method, session: this.#session, again: live.again },
      traceparent: live.metadata["traceparent"],
    });
    if (span !== undefined) (this.#spans ??= new Map()).set(live, span);
  }

  /** It is over. @param outcome `ok`, a failure's code, or why nobody waits for it. */
  over(live: LiveCall, outcome: string): void {
    this.#spans?.get(live)?.ended(outcome);
    this.#spans?.delete(live);
    const { metrics, clock } = this.#node;
    const known = this.#service.methods?.has(live.method) === true;
    metrics.called(
      this.#service.name,
      known ? live.method : "unknown",
      outcome,
      clock.now() - live.startedAt,
    );
  }
}
