/** What a simulated client does beside its requests, by the protocol's text alone: it opens, sends, calls, grants and ends. */

import { type BodyValue, encodeBody } from "../../src/protocol/body.ts";
import type { CallOptions } from "../../src/protocol/messages.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { accountsOf, inputOf, METHODS_OF, operationOf } from "./call_drawing.ts";
import {
  type CallerConnection,
  type CallerState,
  type CallerWorld,
  forEachMessage,
  type Items,
  type LiveCall,
  messageId,
  type Refuse,
  remove,
  type ServiceName,
} from "./caller_model.ts";
import { MESSAGE_CREDIT } from "./desk.ts";
import type { MethodName } from "./ledger.ts";

/** Calls and messages that may wait on one connection. */
const MOST_WAITING = 8;
const EARLY = 16;
const MOST_CONNECTIONS = 3;

/** Does one thing: opens, sends, calls, ends. */
export function act(caller: CallerState, world: CallerWorld): void {
  const { random, mix: { opens, ends, messages } } = world;
  const { connections } = caller;
  const roll = random.float();
  if (connections.length === 0 || roll < opens && connections.length < MOST_CONNECTIONS) {
    return open(caller, world);
  }
  const connection = random.pick(connections);
  if (roll >= opens && roll < opens + ends) return end(caller, connection, world);
  if (roll < opens + ends + messages) return message(caller, connection, world);
  call(caller, connection, world, random.pick(METHODS_OF[connection.service]));
}

/** Work that needs no client to come to its end: transactions, and messages. */
export function leave(caller: CallerState, world: CallerWorld): void {
  if (!caller.connections.some(({ service, fatal }) => service === "bank" && fatal === null)) {
    open(caller, world, "bank");
  }
  for (const connection of caller.connections) {
    if (connection.fatal !== null || connection.refuse !== "never") continue;
    for (let n = 0; n < 3; n++) {
      message(caller, connection, world, false);
      if (connection.service === "bank") call(caller, connection, world, "add", true);
    }
  }
}

/** Does what is due: credit, items, cancels. */
export function attend(caller: CallerState, world: CallerWorld): void {
  for (const connection of caller.connections) {
    for (const live of connection.calls) {
      grantItems(connection, live, world);
      upload(connection, live, world);
      if (live.cancelAt === null || live.cancelled || world.now < live.cancelAt) continue;
      if (world.say({ kind: "cancel", connection: connection.id, request: live.request }) === null) continue;
      live.cancelled = world.ledger.call(live.id).cancelled = true;
      world.ledger.count("cancels");
    }
    const { grant } = connection;
    if (grant === null || !connection.accepted) continue;
    const left = grant.granted - grant.taken;
    if (left * 2 > grant.initial) continue;
    const additional = grant.initial - left;
    const credit = { kind: "credit", connection: connection.id, channel: 0, additional } as const;
    if (world.say(credit) !== null) grant.granted += additional;
  }
}

/** Takes what came so far of its downloads, which makes room for more. */
export function consume({ connections }: CallerState, random: SeededRandom): void {
  for (const { calls } of connections) {
    for (const { download } of calls) {
      if (download !== null) download.consumed = random.chance(0.7) ? download.moved : download.consumed;
    }
  }
}

function open(
  caller: CallerState,
  world: CallerWorld,
  service: ServiceName = world.random.chance(world.mix.bank) ? "bank" : "desk",
): void {
  const { random } = world;
  const refuse: Refuse = service === "bank" || random.chance(0.8)
    ? "never"
    : random.pick(["always", "again"]);
  const initial = random.chance(0.4) ? random.pick([16, 16, 40]) : null;
  const id = world.connection();
  const seq = world.say({
    kind: "open",
    connection: id,
    service,
    ...(refuse === "never" ? {} : { metadata: { refuse } }),
    ...(initial === null ? {} : { messageCredit: initial }),
  });
  // Ids ascend; gaps are allowed.
  if (seq === null) return;
  world.ledger.count("connections with work");
  caller.connections.push({
    ...{ id, service, refuse, accepted: false, earlyMessages: 0, earlyCalls: 0, credit: MESSAGE_CREDIT },
    grant: initial === null ? null : { initial, granted: initial, taken: 0 },
    ...{ messages: 0, fatal: null, last: { n: 0, reply: 0 }, calls: [], requests: 0, channels: -1 },
  });
}

function end(caller: CallerState, connection: CallerConnection, world: CallerWorld): void {
  if (world.say({ kind: "end", connection: connection.id }) === null) return;
  world.ledger.count("connections ended with work");
  remove(caller, connection);
  for (const { id } of connection.calls) world.ledger.over(id, false);
  // Before its accept it is gone with what came before.
  if (!connection.accepted) forEachMessage(caller, connection, world, (message) => message.due = "maybe");
}

function message(
  caller: CallerState,
  connection: CallerConnection,
  world: CallerWorld,
  mayFail = true,
): void {
  const { random } = world;
  if (connection.credit <= 0) return;
  if (!connection.accepted && connection.earlyMessages >= EARLY) return;
  if (connection.messages - connection.last.n >= MOST_WAITING) return;
  const n = connection.messages + 1;
  const id = messageId(caller, connection, world, n);
  // What comes behind the message that ends the connection is not handled any more.
  const late = connection.fatal !== null;
  const fatal = mayFail && !late && random.chance(0.02);
  const value: BodyValue = connection.service === "bank"
    ? { id, n, key: random.pick(accountsOf(world.accounts)), by: fatal ? 0 : random.between(1, 9) }
    : { id, n, fails: fatal };
  const body = encodeBody(value);
  if (world.say({ kind: "message", connection: connection.id, body }) === null) return;
  connection.messages = n;
  connection.credit--;
  if (!connection.accepted) connection.earlyMessages++;
  caller.made++;
  const { session } = world;
  world.ledger.sent({ id, session, connection: connection.id, n, due: fatal ? "maybe" : "surely", done: 0 });
  if (fatal) connection.fatal = n;
  if (late) world.ledger.voided(id, "its connection had ended before it");
  else if (fatal && connection.service === "bank") world.ledger.voided(id, "it fails");
}

function call(
  caller: CallerState,
  connection: CallerConnection,
  world: CallerWorld,
  method: MethodName,
  plain = false,
): void {
  const { random, ledger, session } = world;
  if (connection.calls.length >= Math.min(MOST_WAITING, world.mostCalls)) return;
  if (!connection.accepted && connection.earlyCalls >= EARLY) return;
  const request = connection.requests + 1;
  const id = `${session.uid}${caller.page}.${connection.id}.${request}`;
  const operation = plain ? null : operationOf(method, session, random);
  const effect = operation === null
    ? `${method === "move" ? "m" : "c"}${id}`
    : `${operation.name}=${operation.variant}`;
  const count = random.between(0, 24);
  const input = inputOf(
    method,
    effect,
    operation === null ? id : null,
    operation?.variant ?? null,
    count,
    world,
  );
  const channel = connection.channels + 2;
  const downloads = method === "ticks" || method === "feed";
  const credit = random.chance(0.5) ? random.between(1, 6) : null;
  const timeout = !plain && random.chance(0.12) ? random.pick([1, 50, 500, 4_000]) : null;
  const options: CallOptions = {
    ...(operation === null ? {} : { operation: operation.key }),
    ...(timeout === null ? {} : { timeout }),
    ...(method === "sum" ? { upload: channel } : {}),
    ...(downloads ? { download: channel, ...(credit === null ? {} : { credit }) } : {}),
  };
  const body = encodeBody(input);
  const seq = world.say({ kind: "call", connection: connection.id, request, method, body, options });
  if (seq === null) return;
  connection.requests = request;
  if (!connection.accepted) connection.earlyCalls++;
  if (downloads || method === "sum") connection.channels = channel;
  caller.made++;
  const items = (initial: number): Items => ({
    ...{ channel, count, moved: 0, consumed: 0, initial, granted: initial, over: false },
  });
  connection.calls.push({
    ...{ id, request, cancelled: false, reset: false },
    cancelAt: !plain && random.chance(0.12) ? world.now + random.pick([0, 20, 300, 3_000]) : null,
    download: downloads ? items(credit ?? 16) : null,
    upload: method === "sum" ? items(16) : null,
    breaksAfter: method === "sum" && random.chance(0.15) ? random.int(count + 1) : null,
  });
  ledger.asked({
    ...{ id, session, connection: connection.id, request, seq, method, input, effect, operation, timeout },
    ...{ since: ledger.data.tick, cancelled: false, broken: false, status: "open" },
  });
}

function grantItems({ id }: CallerConnection, { download }: LiveCall, world: CallerWorld): void {
  if (download === null || download.over) return;
  const left = download.granted - download.consumed;
  if (left * 2 > download.initial || left === download.initial) return;
  const additional = download.initial - left;
  const credit = { kind: "credit", connection: id, channel: download.channel, additional } as const;
  if (world.say(credit) !== null) download.granted += additional;
}

function upload(
  { id }: CallerConnection,
  { upload, breaksAfter, id: call }: LiveCall,
  world: CallerWorld,
): void {
  if (upload === null || upload.over) return;
  const { channel, count } = upload;
  const last = breaksAfter ?? count;
  while (upload.moved < last && upload.moved < upload.granted) {
    const item = { kind: "item", connection: id, channel, body: encodeBody(upload.moved + 1) } as const;
    if (world.say(item) === null) return;
    upload.moved++;
  }
  if (upload.moved < last) return;
  const over = breaksAfter === null
    ? { kind: "finish", connection: id, channel } as const
    : { kind: "reset", connection: id, channel, reason: "enough" } as const;
  if (world.say(over) === null) return;
  upload.over = true;
  if (breaksAfter !== null) world.ledger.call(call).broken = true;
}
