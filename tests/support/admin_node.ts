/** A node in process with its admin API, and an operator who speaks to it. */

import { adminApi } from "../../routes/admin/api.ts";
import { Guard } from "../../routes/admin/guard.ts";
import { nobodyIsAuthenticated, OPERATOR } from "../../src/access/authenticator.ts";
import { ADMIN_SERVICE, type AdminService, adminService } from "../../src/admin/admin_service.ts";
import { Errands } from "../../src/admin/errand_runner.ts";
import { countsOf, NodeView } from "../../src/admin/node_view.ts";
import { OperatorAuthenticator } from "../../src/admin/operator_authenticator.ts";
import { Operations } from "../../src/admin/operations.ts";
import { Principals } from "../../src/admin/principals.ts";
import { Rates, WorkTotals } from "../../src/admin/rates.ts";
import { SessionControl } from "../../src/admin/session_control.ts";
import { SessionList } from "../../src/admin/session_list.ts";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { echo } from "../../src/service/echo.ts";
import { levelsOf } from "../../src/session/node_levels.ts";
import { SETTINGS } from "../../src/settings.ts";
import { assertDeclared, describedRoutes, type Route } from "./declared.ts";
import { FakeClock } from "./fake_clock.ts";
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
  readonly rates: Rates;
  readonly api: ReturnType<typeof adminApi>;
  /** Calls of `drain` and `undrain`, in order. */
  readonly told: string[] = [];
  #routes: Promise<Route[]> | undefined;

  constructor({ token, loopback, verify, env, ...options }: AdminNodeOptions = {}) {
    const metrics = new CountedMetrics();
    const clock = options.clock ?? new FakeClock();
    this.guard = new Guard({
      token: token === null ? undefined : token ?? ADMIN_TOKEN,
      verify,
      origin: { loopback: loopback ?? true, allowed: [] },
      ...{ clock, random: new SeededRandom(7), loggedOut: () => this.letOperatorsGo() },
    });
    const { authenticator = nobodyIsAuthenticated, services = [echo] } = options;
    const watched: AdminService = adminService(clock, () => {
      return { registry, list: this.list, view, rates: this.rates, log };
    });
    this.node = new TestNode({
      metrics,
      ...options,
      clock,
      services: [...services, watched],
      authenticator: new OperatorAuthenticator(authenticator, this.guard),
    });
    const { registry, boot, log, sweeper } = this.node;
    const { store, random, limits } = registry.options;
    this.errands = new Errands({ store, clock: registry.clock, random, log, boot });
    this.list = new SessionList(registry);
    this.control = new SessionControl(registry, (other, wish) => this.errands.ask(other, wish));
    const totals = new WorkTotals(metrics, {
      service: ADMIN_SERVICE,
      sessions: () => registry.sessionsOf(OPERATOR),
    });
    this.rates = new Rates(registry.clock, () => totals.read());
    const view = new NodeView(registry, {
      settings: SETTINGS,
      env: env ?? {},
      counts: () => countsOf(metrics),
      memory: () => ({ rss: 1, heapUsed: 1 }),
      levels: () => levelsOf(registry),
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
      operations: new Operations(registry),
      list: this.list,
      control: this.control,
      bodyBytes: limits.bodyBytes,
      ...{ clock: registry.clock, log },
    });
  }

  /** Breaks the conduits of all operators. */
  letOperatorsGo(): void {
    for (const runner of [...this.node.registry.sessionsOf(OPERATOR)]) runner.breakConduit("unavailable");
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
    return await this.request(path, { ...more, method, headers });
  }

  /** One request as it is. @throws AssertionError for an answer that the API does not declare. */
  async request(asked: string | Request, more: RequestInit = {}): Promise<Response> {
    const routes = await (this.#routes ??= describedRoutes(this.api));
    const response = await this.api.request(asked, more);
    const [method, url] = asked instanceof Request
      ? [asked.method, asked.url]
      : [more.method ?? "GET", asked];
    assertDeclared(routes, method, url, response.status);
    return response;
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
