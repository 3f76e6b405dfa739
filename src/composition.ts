/** The composition root: here, and nowhere else, every port gets its implementation. */

import { Hono } from "hono";
import { app } from "../routes/app.ts";
import { adminApi } from "../routes/admin/api.ts";
import { Guard } from "../routes/admin/guard.ts";
import { HardenedServer } from "../routes/hardened_server.ts";
import { adminPages, pages } from "../routes/pages.ts";
import { services } from "../routes/services.ts";
import { type Listener, listenNatively } from "../routes/serving.ts";
import { authenticatorFor } from "./access/authenticator_for.ts";
import { adminVerifier } from "./access/jwt_authenticator.ts";
import { OPERATOR } from "./access/authenticator.ts";
import { ADMIN_SERVICE, type AdminService, adminService } from "./admin/admin_service.ts";
import { Errands } from "./admin/errand_runner.ts";
import { countsOf, NodeView } from "./admin/node_view.ts";
import { Operations } from "./admin/operations.ts";
import { OperatorAuthenticator } from "./admin/operator_authenticator.ts";
import { Rates, WorkTotals } from "./admin/rates.ts";
import { Principals } from "./admin/principals.ts";
import { SessionControl } from "./admin/session_control.ts";
import { SessionList } from "./admin/session_list.ts";
import { Tally } from "./conduit/tally.ts";
import { SilentClosings } from "./conduit/silent_closings.ts";
import { UnfinishedFrames, unfinishedLimits } from "./conduit/unfinished_frames.ts";
import { WebSocketConduit } from "./conduit/websocket_conduit.ts";
import { WsAcceptor } from "./conduit/ws_acceptor.ts";
import { WsConduit } from "./conduit/ws_conduit.ts";
import { gracefulStop } from "./graceful_stop.ts";
import { CountedMetrics } from "./observe/counted_metrics.ts";
import { describeError } from "./observe/json_log.ts";
import type { Log } from "./observe/log.ts";
import { describeNode } from "./observe/node_metrics.ts";
import { otelTracing } from "./observe/otel_tracing.ts";
import { NO_TRACING } from "./observe/tracing.ts";
import { PAYLOAD_HEADER_BYTES } from "./protocol/payload.ts";
import type { Reason } from "./protocol/reasons.ts";
import { demoService } from "./service/demo.ts";
import { echo } from "./service/echo.ts";
import type { Service } from "./service/service.ts";
import type { ConnectOptions } from "./client/options.ts";
import { hostOf } from "./client/connect.ts";
import { dialWs } from "./client/ws_dialer.ts";
import { Remotes } from "./remote/remotes.ts";
import { Upstreams } from "./service/upstream.ts";
import { wsUpstreams } from "./service/ws_upstream_socket.ts";
import { NodeDirectory } from "./session/node_directory.ts";
import { levelsOf } from "./session/node_levels.ts";
import { SessionRegistry } from "./session/session_registry.ts";
import { Sweeper } from "./session/sweeper_runner.ts";
import { describeLimits, isLoopback, SETTINGS, type Settings } from "./settings.ts";
import { openKvSessionStore } from "./storage/kv_session_store.ts";
import { systemClock } from "./system/clock.ts";
import { collector } from "./system/collector.ts";
import { Litter } from "./system/litter.ts";
import { publicId, systemRandom } from "./system/random.ts";

/** How long a stop gives clients to move: platforms follow with SIGKILL, some after 5 s. Milliseconds. */
const STOP_WINDOW_MS = 1_200;

/** Answers requests; a Hono app is one. */
export interface Pages {
  /** Answers one request. */
  fetch(request: Request): Response | Promise<Response>;
}

/** What a node is made of beside its settings. */
export interface NodeParts {
  /** The process's environment, for what the platform says and for the operator's view of the settings. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: Log;
  /** Beside those that the settings ask for. */
  readonly services: readonly Service[];
  /** Absent: Holdfast's own page. */
  readonly pages: Pages | undefined;
}

/** A node that is ready to listen. */
export interface Node {
  /** For the operator's link, good once; null where there is none. */
  readonly code: string | null;
  /** Begins to serve. @throws StartError if the address cannot be had; stop it then. */
  listen(): Promise<{ readonly hostname: string; readonly port: number }>;
  /** Tells clients to move, makes the last commits, and closes everything. Never rejects. */
  stop(): Promise<void>;
}

/** Why a node cannot start, in one line for an operator. */
export class StartError extends Error {}

/** Puts a node together. @throws StartError if its store cannot be opened; TypeError for two services of one name. */
export async function compose(settings: Settings, { env, log, ...parts }: NodeParts): Promise<Node> {
  const clock = systemClock;
  const random = systemRandom;
  const startedAt = clock.now();
  const metrics = new CountedMetrics();
  const upstreamFailed = (thrown: unknown) => log.error("upstream_failed", { error: describeError(thrown) });
  const upstreams = new Upstreams(settings.upstreams, {
    dial: wsUpstreams({
      payloadBytes: settings.limits.bodyBytes - PAYLOAD_HEADER_BYTES,
      failed: upstreamFailed,
    }),
    ...{ clock, log, metrics, failed: upstreamFailed, timeout: settings.upstreamTimeout },
  });
  const watched: AdminService = adminService(clock, () => ({ registry, list, view, rates, log }));
  const remotes = new Remotes(settings.remotes, {
    hostFor: (url) => hostOf(url, remoteOptions(settings.remoteToken)),
    ...{ clock, log, metrics, timeout: settings.upstreamTimeout },
  });
  const [, ...served] = unambiguous([
    watched,
    echo,
    ...(settings.demo ? [demoService({ clock })] : []),
    ...upstreams.services,
    ...remotes.services,
    ...parts.services,
  ]);
  const store = await openKvSessionStore(settings.kv, { clock }).catch((error) => {
    throw new StartError(`HOLDFAST_KV: the store cannot be opened: ${messageOf(error)}`);
  });
  const boot = publicId(random);
  const node = env["FLY_MACHINE_ID"] ?? boot;
  const others = await authenticatorFor(settings.auth, { clock, log, fetch });
  const origin = { loopback: isLoopback(settings.host), allowed: settings.allowedOrigins };
  const guard = new Guard({
    token: settings.adminToken,
    verify: settings.auth.kind === "jwt" ? adminVerifier(others) : undefined,
    ...{ origin, clock, random, loggedOut: () => letOperatorsGo("unavailable") },
  });
  const authenticator = new OperatorAuthenticator(others, guard);
  const registry = new SessionRegistry({
    ...settings,
    metrics,
    // The runtime exports spans only then, and they cost something before.
    tracing: env["OTEL_DENO"] === "true" ? otelTracing() : NO_TRACING,
    ...{ authenticator, store, clock, random, log, services: [...served, watched], node, boot },
  });
  const directory = new NodeDirectory(store, clock, log, boot, node);
  const sweeper = new Sweeper(registry, directory);
  const errands = new Errands({ store, clock, random, log, boot });
  const control = new SessionControl(registry, (other, wish) => errands.ask(other, wish));
  const letOperatorsGo = (reason: Reason) => {
    for (const runner of [...registry.sessionsOf(OPERATOR)]) runner.breakConduit(reason);
  };
  const list = new SessionList(registry);
  const levels = () =>
    levelsOf(registry, upstreams.sockets, { connections: remotes.bridges, sessions: remotes.links });
  const view = new NodeView(registry, {
    settings: SETTINGS,
    ...{ env, levels, counts: () => countsOf(metrics), memory: () => Deno.memoryUsage() },
    storeBytes: () => fileBytes(settings.kv),
  });
  const totals = new WorkTotals(metrics, {
    service: ADMIN_SERVICE,
    sessions: () => registry.sessionsOf(OPERATOR),
  });
  const rates = new Rates(clock, () => totals.read());
  const admin = adminApi({
    guard,
    principals: new Principals(registry, control, settings.slots.sessionsPerPrincipal),
    operations: new Operations(registry),
    bodyBytes: settings.limits.bodyBytes,
    ...{ list, control, view, clock, log },
    node: {
      get draining() {
        return registry.draining;
      },
      drain: () => void registry.drain({ window: settings.drainWindow }),
      undrain: () => registry.undrain(),
      sweep: () => sweeper.sweep(),
    },
  });
  const shared = {
    health: { store, clock, log, draining: () => registry.draining },
    metrics: {
      read: () => {
        const { rss: resident, heapUsed: heap } = Deno.memoryUsage();
        return describeNode(metrics, levels(), { resident, heap, startedAt });
      },
      origin,
      guard: guard.require,
    },
    services: services(served),
    admin: new Hono().route("/", admin),
    pages: adminPages().route("/", pagesOf(parts.pages)),
    log,
  };

  const conduits = {
    clock,
    log,
    metrics,
    open: new Tally(),
    frameBytes: settings.limits.frameBytes,
    // A replay is at most a window, and must not look like a slow consumer.
    bufferedBytes: 4 * Math.max(settings.limits.frameBytes, settings.limits.windowBytes),
    accept: registry.accept.bind(registry),
  };
  // Attached ones, those whose handshake is under way, and as many again whose close is.
  const mostConduits = settings.slots.sessionsPerNode + 2 * settings.strangers.conduits;
  const connecting = {
    origin,
    trustedProxies: settings.trustedProxies,
    operator: (request: Request) => guard.credentialsOf(request),
    onRefused: (status: number) => metrics.upgradeRefused(status),
    full: () => conduits.open.count >= mostConduits,
  };
  const at = { hostname: settings.host, port: settings.port };

  function serveNatively(): Promise<Listener> {
    const routes = app({
      connect: {
        upgrade: (request, { idleTimeout }) => Deno.upgradeWebSocket(request, { idleTimeout }),
        onSocket: (socket, subprotocol, peer) =>
          void new WebSocketConduit(socket, subprotocol, conduits, peer),
        ...connecting,
      },
      ...shared,
    });
    return listenNatively(routes, at);
  }

  function serveHardened(): Promise<Listener> {
    const acceptor = new WsAcceptor(conduits.frameBytes);
    const collect = collector((why) =>
      log.warn("garbage_not_collected", { why, wanted: "--v8-flags=--expose-gc" })
    );
    const litter = new Litter(collect);
    const onGarbage = (bytes: number) => litter.add(bytes);
    const context = {
      ...conduits,
      silent: new SilentClosings(onGarbage),
      unfinished: new UnfinishedFrames(unfinishedLimits(conduits.frameBytes), clock, collect),
    };
    const hardened = new HardenedServer({
      accept: acceptor.accept.bind(acceptor),
      headMs: settings.handshakeTimeout,
      ...{ clock, log, onGarbage },
    });
    const routes = app({
      connect: {
        upgrade: hardened.upgrade,
        onSocket: (accepted, subprotocol, peer) => void new WsConduit(accepted, subprotocol, context, peer),
        ...connecting,
      },
      ...shared,
    });
    return hardened.listen(routes, at);
  }

  let listener: Listener | undefined = undefined;
  return {
    code: guard.makeCode(),
    async listen() {
      directory.start();
      sweeper.start();
      rates.start();
      errands.start((wish) => control.fulfilHere(wish));
      try {
        listener = await (settings.transport === "native" ? serveNatively() : serveHardened());
      } catch (error) {
        const where = `PORT=${settings.port}, HOLDFAST_HOST=${settings.host}`;
        throw new StartError(`${where}: cannot listen: ${messageOf(error)}`);
      }
      const { transport, limits } = settings;
      log.info("started", { node, boot, transport, limits: describeLimits(limits) });
      return listener;
    },
    async stop() {
      await gracefulStop(
        [
          {
            name: "drain",
            run: () => registry.drain({ window: Math.min(settings.drainWindow, STOP_WINDOW_MS) }),
            within: 2_000,
          },
          // The server's own shutdown would overwrite the close codes that are still under way.
          {
            name: "conduits",
            // Whoever was told to go dials again at once, and would be waited for with the others.
            run: () => {
              listener?.refuse();
              letOperatorsGo("draining");
              return conduits.open.whenNone();
            },
            within: 1_100,
            waitsForOthers: true,
          },
          { name: "server", run: () => listener?.shutdown(), within: 300 },
          { name: "upstreams", run: () => upstreams.stop(), within: 100 },
          { name: "remotes", run: () => remotes.stop(), within: 100 },
          { name: "rates", run: () => rates.stop(), within: 100 },
          { name: "errands", run: () => errands.stop(), within: 200 },
          { name: "sweeper", run: () => sweeper.stop(), within: 200 },
          { name: "directory", run: () => directory.stop(), within: 200 },
          { name: "store", run: () => store.close(), within: 100 },
        ],
        clock,
        log,
      );
    },
  };
}

/** How this node is a client of other servers: what it has said to them is lost with its process. */
function remoteOptions(token: string | undefined): ConnectOptions {
  return { dial: dialWs, ...(token === undefined ? {} : { auth: () => token }) };
}

/** What answers at the paths that are nobody else's. */
function pagesOf(own: Pages | undefined): Hono {
  const holdfast = pages();
  if (own === undefined) return holdfast;
  return new Hono()
    // The operator's page shows it too.
    .get("/icon.svg", ({ req }) => holdfast.fetch(req.raw))
    .all("*", ({ req }) => own.fetch(req.raw));
}

/** @throws TypeError where a client could not tell two of them apart. */
function unambiguous(served: readonly Service[]): readonly Service[] {
  const names = served.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new TypeError(`there are two services named ${twice}`);
  return served;
}

/** The size of the store's files; null where it is not a file. */
async function fileBytes(kv: string | undefined): Promise<number | null> {
  if (kv === undefined || kv === ":memory:" || /^https?:/.test(kv)) return null;
  let bytes = 0;
  for (const path of [kv, `${kv}-wal`]) {
    bytes += await Deno.stat(path).then(({ size }) => size, (error) => {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    });
  }
  return bytes;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
