/** A node in process with its admin API, and an operator who speaks to it. */

import { adminApi } from "../../routes/admin/api.ts";
import { Guard } from "../../routes/admin/guard.ts";
import { Errands } from "../../src/admin/errand_runner.ts";
import { countsOf, NodeView } from "../../src/admin/node_view.ts";
import { Principals } from "../../src/admin/principals.ts";
import { SessionControl } from "../../src/admin/session_control.ts";
import { SessionList } from "../../src/admin/session_list.ts";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { SETTINGS } from "../../src/settings.ts";
import { SeededRandom } from "./seeded_random.ts";
import { TestNode, type TestNodeOptions } from "./test_node.ts";

/** The token of every {@link AdminNode} that is not told another. */
export const ADMIN_TOKEN = "an-admin-token-for-tests-only";

/** What an {@link AdminNode} may be told beside what a node is. */
export interface AdminNodeOptions extends TestNodeOptions {
  readonly token?: string | null;
  readonly loopback?: boolean;
  readonly verify?: (bearer: string) => Promise<boolean>;
  readonly env?: { readonly [name: string]: string };
}

/** What tests look at in an answer. */
export interface Answered {
  readonly sessions: readonly {
    readonly id: string;
    readonly state: string;
    readonly [name: string]: unknown;
  }[];
  readonly next: string | null;
  readonly state: string;
  readonly history: readonly { readonly kind: string; readonly [name: string]: unknown }[];
  readonly counters: { readonly [name: string]: number };
  readonly [name: string]: unknown;
}

export class AdminNode {
  readonly node: TestNode;
  readonly errands: Errands;
  readonly list: SessionList;
  readonly control: SessionControl;
  readonly guard: Guard;
  readonly api: ReturnType<typeof adminApi>;
  /** Calls of `drain` and `undrain`, in order. */
  readonly told: string[] = [];

  constructor({ token, loopback, verify, env, ...options }: AdminNodeOptions = {}) {
    const metrics = new CountedMetrics();
    this.node = new TestNode({ metrics, ...options });
    const { registry, boot, log, sweeper } = this.node;
    const { store, clock, random, limits } = registry.options;
    this.errands = new Errands({ store, clock, random, log, boot });
    this.list = new SessionList(registry);
    this.control = new SessionControl(registry, (other, wish) => this.errands.ask(other, wish));
    this.guard = new Guard({
      token: token === null ? undefined : token ?? ADMIN_TOKEN,
      verify,
      origin: { loopback: loopback ?? true, allowed: [] },
      clock,
      random: new SeededRandom(7),
    });
    const view = new NodeView(registry, {
      settings: SETTINGS,
      env: env ?? {},
      counts: () => countsOf(metrics),
      memory: () => ({ rss: 1, heapUsed: 1 }),
      storeBytes: () => Promise.resolve(null),
    });
    let draining = false;
    this.api = adminApi({
      guard: this.guard,
      view,
      node: {
        get draining() {
          return draining;
        },
        drain: () => {
          this.told.push("drain");
          draining = true;
        },
        undrain: () => {
          this.told.push("undrain");
          draining = false;
        },
        sweep: () => sweeper.sweep(),
      },
      principals: new Principals(registry, this.control, 1008),
      list: this.list,
      control: this.control,
      bodyBytes: limits.bodyBytes,
    });
  }

  /** Runs the errands that other nodes left for this one. */
  runErrands(): Promise<void> {
    return this.errands.run((wish) => this.control.fulfilHere(wish));
  }

  /** One request of the operator's. */
  async ask(method: string, path: string, more: RequestInit = {}): Promise<Response> {
    const headers = new Headers(more.headers);
    if (!headers.has("authorization") && !headers.has("cookie")) {
      headers.set("authorization", `Bearer ${ADMIN_TOKEN}`);
    }
    headers.set("host", "localhost");
    return await this.api.request(path, { ...more, method, headers });
  }

  /** The JSON of an answer that is expected to be a success. */
  async get(path: string): Promise<Answered> {
    const response = await this.ask("GET", path);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  /** Pushes a message. */
  push(session: string, connection: number, body: unknown, key: string): Promise<Response> {
    return this.ask("POST", `/v1/admin/sessions/${session}/connections/${connection}/messages`, {
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ body }),
    });
  }
}
