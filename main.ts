/** The composition root: settings, ports, routes, the listening line, the stop. */

import { Hono } from "hono";
import { adminVerifier } from "./src/access/jwt_authenticator.ts";
import { authenticatorFor } from "./src/access/authenticator_for.ts";
import { Errands } from "./src/admin/errand_runner.ts";
import { countsOf, NodeView } from "./src/admin/node_view.ts";
import { Principals } from "./src/admin/principals.ts";
import { SessionControl } from "./src/admin/session_control.ts";
import { SessionList } from "./src/admin/session_list.ts";
import { Tally } from "./src/conduit/tally.ts";
import { UnfinishedFrames, unfinishedLimits } from "./src/conduit/unfinished_frames.ts";
import { WebSocketConduit } from "./src/conduit/websocket_conduit.ts";
import { WsAcceptor } from "./src/conduit/ws_acceptor.ts";
import { WsConduit } from "./src/conduit/ws_conduit.ts";
import { gracefulStop } from "./src/graceful_stop.ts";
import { CountedMetrics } from "./src/observe/counted_metrics.ts";
import { describeError, JsonLog } from "./src/observe/json_log.ts";
import { describeNode } from "./src/observe/node_metrics.ts";
import { otelTracing } from "./src/observe/otel_tracing.ts";
import { NO_TRACING } from "./src/observe/tracing.ts";
import { demoService } from "./src/service/demo.ts";
import { echo } from "./src/service/echo.ts";
import { Upstreams } from "./src/service/upstream.ts";
import { PAYLOAD_HEADER_BYTES } from "./src/protocol/payload.ts";
import { wsUpstreams } from "./src/service/ws_upstream_socket.ts";
import { NodeDirectory } from "./src/session/node_directory.ts";
import { levelsOf } from "./src/session/node_levels.ts";
import { SessionRegistry } from "./src/session/session_registry.ts";
import { Sweeper } from "./src/session/sweeper_runner.ts";
import { describeLimits, isLoopback, readSettings, SETTINGS } from "./src/settings.ts";
import { openKvSessionStore } from "./src/storage/kv_session_store.ts";
import { systemClock } from "./src/system/clock.ts";
import { publicId, systemRandom } from "./src/system/random.ts";
import { app } from "./routes/app.ts";
import { adminApi } from "./routes/admin/api.ts";
import { Guard } from "./routes/admin/guard.ts";
import { HardenedServer } from "./routes/hardened_server.ts";
import { adminPages, pages } from "./routes/pages.ts";
import { type Listener, listenNatively } from "./routes/serving.ts";
import { services } from "./routes/services.ts";

/** What `sysexits.h` calls a wrong configuration. */
const EXIT_CONFIG = 78;

/** How long a stop gives clients to move: platforms follow with SIGKILL, some after 5 s. Milliseconds. */
const STOP_WINDOW_MS = 1_200;

const startedAt = Date.now();
const read = readSettings(Deno.env.toObject());
if (!read.ok) {
  console.error(read.message);
  Deno.exit(EXIT_CONFIG);
}
const { settings } = read;
const clock = systemClock;
const random = systemRandom;
const encoder = new TextEncoder();
const log = new JsonLog({
  level: settings.logLevel,
  clock,
  write: (line) => void Deno.stderr.writeSync(encoder.encode(line)),
});
for (const warning of read.warnings) log.warn("setting_unknown", { warning });

// A last resort: whatever gets here is a defect, but not a reason to drop everybody's sessions.
let escaped = 0;
for (const kind of ["error", "unhandledrejection"] as const) {
  globalThis.addEventListener(kind, (event) => {
    event.preventDefault();
    const thrown = event instanceof PromiseRejectionEvent ? event.reason : (event as ErrorEvent).error;
    log.error("escaped_error", { kind, count: ++escaped, error: describeError(thrown) });
  });
}

const store = await openKvSessionStore(settings.kv, { clock }).catch((error) => {
  console.error(`HOLDFAST_KV: the store cannot be opened: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
});
const boot = publicId(random);
const node = Deno.env.get("FLY_MACHINE_ID") ?? boot;
const authenticator = await authenticatorFor(settings.auth, { clock, log, fetch });
const metrics = new CountedMetrics();
const upstreamFailed = (thrown: unknown) => log.error("upstream_failed", { error: describeError(thrown) });
const upstreams = new Upstreams(settings.upstreams, {
  dial: wsUpstreams({
    payloadBytes: settings.limits.bodyBytes - PAYLOAD_HEADER_BYTES,
    failed: upstreamFailed,
  }),
  ...{ clock, log, failed: upstreamFailed, timeout: settings.upstreamTimeout },
});
const served = [echo, ...(settings.demo ? [demoService({ clock })] : []), ...upstreams.services];
const registry = new SessionRegistry({
  ...settings,
  metrics,
  // The runtime exports spans only then, and they cost something before.
  tracing: Deno.env.get("OTEL_DENO") === "true" ? otelTracing() : NO_TRACING,
  authenticator,
  store,
  clock,
  random,
  log,
  services: served,
  node,
  boot,
});
const directory = new NodeDirectory(store, clock, log, boot, node);
const sweeper = new Sweeper(registry, directory);

const conduits = {
  clock,
  log,
  open: new Tally(),
  frameBytes: settings.limits.frameBytes,
  // A replay is at most a window, and must not look like a slow consumer.
  bufferedBytes: 4 * Math.max(settings.limits.frameBytes, settings.limits.windowBytes),
  accept: registry.accept.bind(registry),
};
// Attached ones, those whose handshake is under way, and as many again whose close is.
const mostConduits = settings.slots.sessionsPerNode + 2 * settings.strangers.conduits;
const errands = new Errands({ store, clock, random, log, boot });
const control = new SessionControl(registry, (other, wish) => errands.ask(other, wish));
const origin = { loopback: isLoopback(settings.host), allowed: settings.allowedOrigins };
const guard = new Guard({
  token: settings.adminToken,
  verify: settings.auth.kind === "jwt" ? adminVerifier(authenticator) : undefined,
  ...{ origin, clock, random },
});
const code = guard.makeCode();
const admin = adminApi({
  guard,
  principals: new Principals(registry, control, settings.slots.sessionsPerPrincipal),
  list: new SessionList(registry),
  control,
  bodyBytes: settings.limits.bodyBytes,
  view: new NodeView(registry, {
    settings: SETTINGS,
    env: Deno.env.toObject(),
    counts: () => countsOf(metrics),
    memory: () => Deno.memoryUsage(),
    storeBytes: () => fileBytes(settings.kv),
  }),
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
      return describeNode(metrics, levelsOf(registry), { resident, heap, startedAt });
    },
    origin,
    guard: guard.require,
  },
  services: services(served),
  admin: new Hono().route("/", admin),
  pages: pages().route("/", adminPages()),
  log,
};
const connecting = {
  origin,
  trustedProxies: settings.trustedProxies,
  onRefused: (status: number) => metrics.upgradeRefused(status),
  full: () => conduits.open.count >= mostConduits,
};

function listen(): Promise<Listener> {
  const at = { hostname: settings.host, port: settings.port };
  if (settings.transport === "native") {
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
  const acceptor = new WsAcceptor(conduits.frameBytes);
  const context = {
    ...conduits,
    unfinished: new UnfinishedFrames(unfinishedLimits(conduits.frameBytes), clock),
  };
  const hardened = new HardenedServer({
    accept: acceptor.accept.bind(acceptor),
    headMs: settings.handshakeTimeout,
    clock,
    log,
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
let stopping = false;
const stop = async (signal: "SIGINT" | "SIGTERM") => {
  if (stopping) Deno.exit(signal === "SIGINT" ? 130 : 143);
  stopping = true;
  log.info("stopping", { signal });
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
          return conduits.open.whenNone();
        },
        within: 1_100,
      },
      { name: "server", run: () => listener?.shutdown(), within: 300 },
      { name: "upstreams", run: () => upstreams.stop(), within: 100 },
      { name: "errands", run: () => errands.stop(), within: 200 },
      { name: "sweeper", run: () => sweeper.stop(), within: 200 },
      { name: "directory", run: () => directory.stop(), within: 200 },
      { name: "store", run: () => store.close(), within: 100 },
    ],
    clock,
    log,
  );
  Deno.exit(0);
};
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => void stop(signal));
}

directory.start();
sweeper.start();
errands.start((wish) => control.fulfilHere(wish));
listener = await listen().catch((error) => {
  console.error(
    `PORT=${settings.port}, HOLDFAST_HOST=${settings.host}: cannot listen: ${
      error instanceof Error ? error.message : error
    }`,
  );
  store.close();
  Deno.exit(1);
});
log.info("started", {
  node,
  boot,
  transport: settings.transport,
  limits: describeLimits(settings.limits),
});
const { hostname, port } = listener;
const address = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
console.log(`holdfast listening on ${address}`);
// Good once, and nowhere else: it is in no log.
if (code !== null) console.log(`holdfast admin at ${address}/admin#code=${code}`);

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
