/** The composition root: settings, ports, routes, the listening line, the stop. */

import { Tally } from "./src/conduit/tally.ts";
import { UnfinishedFrames, unfinishedLimits } from "./src/conduit/unfinished_frames.ts";
import { WebSocketConduit } from "./src/conduit/websocket_conduit.ts";
import { WsAcceptor } from "./src/conduit/ws_acceptor.ts";
import { WsConduit } from "./src/conduit/ws_conduit.ts";
import { gracefulStop } from "./src/graceful_stop.ts";
import { describeError, JsonLog } from "./src/observe/json_log.ts";
import { echo } from "./src/service/echo.ts";
import { NodeDirectory } from "./src/session/node_directory.ts";
import { SessionRegistry } from "./src/session/session_registry.ts";
import { Sweeper } from "./src/session/sweeper_runner.ts";
import { describeLimits, isLoopback, readSettings } from "./src/settings.ts";
import { openKvSessionStore } from "./src/storage/kv_session_store.ts";
import { systemClock } from "./src/system/clock.ts";
import { publicId, systemRandom } from "./src/system/random.ts";
import { app } from "./routes/app.ts";
import { HardenedServer } from "./routes/hardened_server.ts";
import { pages } from "./routes/pages.ts";
import { type Listener, listenNatively } from "./routes/serving.ts";

/** What `sysexits.h` calls a wrong configuration. */
const EXIT_CONFIG = 78;

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
const registry = new SessionRegistry({
  ...settings,
  store,
  clock,
  random,
  log,
  services: [echo],
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
const origin = { loopback: isLoopback(settings.host), allowed: settings.allowedOrigins };
const shared = { health: { store, clock, log, draining: () => registry.draining }, pages: pages(), log };

function listen(): Promise<Listener> {
  const at = { hostname: settings.host, port: settings.port };
  if (settings.transport === "native") {
    const routes = app({
      connect: {
        upgrade: (request, { idleTimeout }) => Deno.upgradeWebSocket(request, { idleTimeout }),
        origin,
        onSocket: (socket, subprotocol) => void new WebSocketConduit(socket, subprotocol, conduits),
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
      origin,
      onSocket: (accepted, subprotocol) => void new WsConduit(accepted, subprotocol, context),
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
  // Platforms follow with SIGKILL, some after 5 s.
  await gracefulStop(
    [
      { name: "drain", run: () => registry.drain(), within: 2_400 },
      // The server's own shutdown would overwrite the close codes that are still under way.
      {
        name: "conduits",
        // Whoever was told to go dials again at once, and would be waited for with the others.
        run: () => {
          listener?.refuse();
          return conduits.open.whenNone();
        },
        within: 700,
      },
      { name: "server", run: () => listener?.shutdown(), within: 300 },
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
console.log(`holdfast listening on http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`);
