/**
 * Holdfast with a service of the bench's own, `items`, whose downloads never end: sessions, conduits, store and route are the
 * product's, put together as `main.ts` does it for the transport `native`.
 */

import * as z from "zod";
import { Tally } from "../../src/conduit/tally.ts";
import { WebSocketConduit } from "../../src/conduit/websocket_conduit.ts";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { JsonLog } from "../../src/observe/json_log.ts";
import { defineService } from "../../src/service/define_service.ts";
import { download } from "../../src/service/methods.ts";
import { NodeDirectory } from "../../src/session/node_directory.ts";
import { SessionRegistry } from "../../src/session/session_registry.ts";
import { readSettings } from "../../src/settings.ts";
import { openKvSessionStore } from "../../src/storage/kv_session_store.ts";
import { systemClock as clock } from "../../src/system/clock.ts";
import { publicId, systemRandom as random } from "../../src/system/random.ts";
import { connect } from "../../routes/connect.ts";
import { listenNatively } from "../../routes/serving.ts";
import { TestBody } from "../body.ts";
import { countKv, serveStats } from "./stats.ts";

const input = z.object({ bytes: z.int(), peer: z.int() });
const item = z.instanceof(Uint8Array);

/** The bytes whose encoding is `body.number(index)`. */
const itemOf = (body: TestBody, index: number) => body.number(index).slice(TestBody.headerBytes);

const items = defineService({
  name: "items",
  methods: {
    /** As handlers usually are. */
    async: download({ input, item }, async function* ({ bytes, peer }) {
      const body = new TestBody(bytes, peer);
      for (let index = 0;; index++) yield itemOf(body, index);
    }),
    /** Without a promise for each item. */
    sync: download({ input, item }, function* ({ bytes, peer }) {
      const body = new TestBody(bytes, peer);
      for (let index = 0;; index++) yield itemOf(body, index);
    }),
  },
});

serveStats(countKv());
const read = readSettings(Deno.env.toObject());
if (!read.ok) throw new Error(read.message);
const { settings } = read;
const encoder = new TextEncoder();
const log = new JsonLog({
  level: settings.logLevel,
  clock,
  write: (line) => void Deno.stderr.writeSync(encoder.encode(line)),
});
const store = await openKvSessionStore(settings.kv, { clock });
const boot = publicId(random);
const metrics = new CountedMetrics();
const registry = new SessionRegistry({
  ...settings,
  metrics,
  ...{ store, clock, random, log, services: [items], node: boot, boot },
});
new NodeDirectory(store, clock, log, boot, boot).start();
const conduits = {
  ...{ clock, log, metrics, open: new Tally() },
  frameBytes: settings.limits.frameBytes,
  bufferedBytes: 4 * Math.max(settings.limits.frameBytes, settings.limits.windowBytes),
  accept: registry.accept.bind(registry),
};
const routes = connect<WebSocket>({
  upgrade: (request, { idleTimeout }) => Deno.upgradeWebSocket(request, { idleTimeout }),
  onSocket: (socket, subprotocol, peer) => void new WebSocketConduit(socket, subprotocol, conduits, peer),
  origin: { loopback: true, allowed: [] },
});
const { port } = await listenNatively(routes, { hostname: settings.host, port: settings.port });
console.log(`items listening on http://127.0.0.1:${port}`);
