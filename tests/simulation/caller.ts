/**
 * The calls and messages of one simulated session, as its client keeps them, by the protocol's text alone: plain state, so
 * that a reload or a copy is one clone of it.
 */

import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { CallOptions, EncodedBody, SessionMessage, SessionPayload } from "../../src/protocol/messages.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { MESSAGE_CREDIT, REJECTED, repliesTo } from "./desk.ts";
import type { WorkMix } from "./sim_client.ts";
import type { Ledger, LedgerSession, MethodName, SentMessage } from "./ledger.ts";

/** Calls and messages that may wait on one connection. */
const MOST_WAITING = 8;
const EARLY = 16;
const MOST_CONNECTIONS = 3;

/** Items that one side sends. */
interface Items {
  readonly channel: number;
  readonly count: number;
  /** Of a download: what came, and what was taken; of an upload: what was sent. */
  moved: number;
  consumed: number;
  /** What was granted at first, and in all. */
  readonly initial: number;
  granted: number;
  over: boolean;
}

interface LiveCall {
  readonly id: string;
  readonly request: number;
  readonly cancelAt: number | null;
  cancelled: boolean;
  readonly download: Items | null;
  /** Why its download ended. */
  reset: boolean;
  readonly upload: Items | null;
  /** After so many items it is broken off; null: it is finished. */
  readonly breaksAfter: number | null;
}

type ServiceName = "bank" | "desk";
type Refuse = "never" | "always" | "again";

interface CallerConnection {
  readonly id: number;
  readonly service: ServiceName;
  readonly refuse: Refuse;
  accepted: boolean;
  earlyMessages: number;
  earlyCalls: number;
  /** Messages that may be sent. */
  credit: number;
  /** What the server may send; null: as much as it likes. */
  readonly grant: { readonly initial: number; granted: number; taken: number } | null;
  /** Messages that were sent. */
  messages: number;
  /** The message at which the service ends the connection. */
  fatal: number | null;
  /** The last reply that was taken. */
  last: { readonly n: number; readonly reply: number };
  calls: LiveCall[];
  requests: number;
  channels: number;
}

export interface CallerState {
  connections: CallerConnection[];
  /** Calls and messages of this session so far. */
  made: number;
  /** Tells what two pages with one session make. */
  page: string;
}

/** What the client's state is told and asks for. */
export interface CallerWorld {
  readonly ledger: Ledger;
  readonly session: LedgerSession;
  readonly random: SeededRandom;
  readonly now: number;
  /** `limits.concurrentCalls`. */
  readonly mostCalls: number;
  readonly mix: WorkMix;
  /** How many accounts there are; at least two. */
  readonly accounts: number;
  /** Numbers a message if the window has room for it. @returns Its number; null: it has not. */
  say(payload: SessionPayload): number | null;
  /** The next connection id. */
  connection(): number;
}

/** Nothing was asked yet. */
export function newCaller(): CallerState {
  return { connections: [], made: 0, page: "" };
}

/** True when everything that was asked is answered. */
export function isQuiet({ connections }: CallerState): boolean {
  return connections.every((connection) =>
    connection.accepted && connection.fatal === null && connection.calls.length === 0 && !awaitsReply(connection)
  );
}

/** What both sides must know of an open connection when all that was said has arrived. */
export interface Books {
  readonly connection: number;
  /** Messages that the client may send, and that the server may; null: nobody counts them. */
  readonly up: number | null;
  readonly down: number | null;
}

/** The client's side of {@link Books}. */
export function booksOf({ connections }: CallerState): Books[] {
  return connections.map(({ id, credit, grant }) => ({
    connection: id,
    up: credit,
    down: grant === null ? null : grant.granted - grant.taken,
  }));
}

/** Does one thing: opens, sends, calls, ends. */
export function act(caller: CallerState, world: CallerWorld): void {
  const { random, mix: { opens, ends, messages } } = world;
  const { connections } = caller;
  const roll = random.float();
  if (connections.length === 0 || roll < opens && connections.length < MOST_CONNECTIONS) return open(caller, world);
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

/** Takes a message of the server. @returns What is wrong with it; null: nothing. */
export function receive(caller: CallerState, said: SessionMessage, world: CallerWorld): string | null {
  const connection = caller.connections.find(({ id }) => id === said.connection);
  // It was open once.
  if (connection === undefined) return null;
  if (said.kind === "accept") return accepted(connection, said.messageCredit ?? null);
  if (said.kind === "reject") return rejected(caller, connection, said.reason, world);
  if (!connection.accepted) return `${said.kind} on connection ${connection.id} before its accept`;
  switch (said.kind) {
    case "end":
      return ended(caller, connection, said.reason ?? "", world);
    case "message":
      return reply(connection, decodeBody(said.body) as { n: number; reply?: number });
    case "response":
      return answered(connection, said.request, said.ok, said.body, world);
    case "item":
    case "finish":
    case "reset":
      return fromDownload(connection, said);
    case "credit":
      return credited(connection, said.channel, said.additional);
    default:
      return `${said.kind} on connection ${connection.id}`;
  }
}

const METHODS_OF: { readonly [service in ServiceName]: readonly MethodName[] } = {
  bank: [
    ...["add", "add", "add", "add", "add", "add", "move", "move", "move", "move"] as const,
    ...["peek", "peek", "peek", "peek", "toggle", "toggle", "put", "bump", "bump"] as const,
  ],
  desk: ["once", "once", "once", "once", "safe", "safe", "ticks", "ticks", "feed", "sum", "sum"],
};

function open(
  caller: CallerState,
  world: CallerWorld,
  service: ServiceName = world.random.chance(world.mix.bank) ? "bank" : "desk",
): void {
  const { random } = world;
  const refuse: Refuse = service === "bank" || random.chance(0.8) ? "never" : random.pick(["always", "again"]);
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
  if (!connection.accepted) forEachMessage(caller, connection, world, 1, (message) => message.due = "maybe");
}

function message(caller: CallerState, connection: CallerConnection, world: CallerWorld, mayFail = true): void {
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
    ? { id, n, key: random.pick(accountsOf(world)), by: fatal ? 0 : random.between(1, 9) }
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
  const keyed = !plain && random.chance(KEYED[method] ?? 0);
  const operation = keyed ? operationOf(method, session, random) : null;
  const effect = operation === null
    ? `${method === "move" ? "m" : "c"}${id}`
    : `${operation.name}=${operation.variant}`;
  const count = random.between(0, 24);
  const input = inputOf(method, effect, operation === null ? id : null, operation?.variant ?? null, count, world);
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

/** How likely a call has an operation key. */
const KEYED: { readonly [method in MethodName]?: number } = { add: 0.12, once: 0.5, safe: 0.5 };

function operationOf(method: MethodName, { uid, principal }: LedgerSession, random: SeededRandom) {
  const key = `k${random.int(4)}`;
  const name = `o:${principal === "" ? uid : principal}/${method}/${key}`;
  return { key, name, variant: random.chance(0.85) ? "0" : "1" };
}

function inputOf(
  method: MethodName,
  id: string,
  call: string | null,
  variant: string | null,
  count: number,
  world: CallerWorld,
): { readonly [name: string]: BodyValue } {
  const { random } = world;
  const accounts = accountsOf(world);
  switch (method) {
    case "add":
      // The same for all callers of one operation.
      return variant === null
        ? { id, key: random.pick(accounts), by: random.between(1, 9) }
        : { id, key: accounts[id.length % accounts.length]!, by: 1 + Number(variant) };
    case "move": {
      const [from, to] = random.shuffle(accounts);
      return { id, from: from!, to: to!, amount: random.between(1, 12) };
    }
    case "peek":
      return { id, keys: random.shuffle(accounts).slice(0, random.between(1, 3)) };
    case "toggle":
    case "put":
    case "bump":
      return { id, key: `x${random.int(2)}` };
    case "once":
      return { id, call };
    case "safe":
      return { id };
    case "ticks":
    case "feed":
    case "sum":
      return { id, count };
    default:
      return method satisfies never;
  }
}

function accountsOf({ accounts }: CallerWorld): string[] {
  return Array.from({ length: accounts }, (_, n) => `k${n}`);
}

function grantItems({ id }: CallerConnection, { download }: LiveCall, world: CallerWorld): void {
  if (download === null || download.over) return;
  const left = download.granted - download.consumed;
  if (left * 2 > download.initial || left === download.initial) return;
  const additional = download.initial - left;
  const credit = { kind: "credit", connection: id, channel: download.channel, additional } as const;
  if (world.say(credit) !== null) download.granted += additional;
}

function upload({ id }: CallerConnection, { upload, breaksAfter, id: call }: LiveCall, world: CallerWorld): void {
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

function accepted(connection: CallerConnection, messageCredit: number | null): string | null {
  if (connection.accepted) return "a second accept";
  if (messageCredit !== MESSAGE_CREDIT) return `an accept with a messageCredit of ${messageCredit}`;
  if (connection.refuse === "always") return "an accept of what its service rejects";
  connection.accepted = true;
  return null;
}

function rejected(
  caller: CallerState,
  connection: CallerConnection,
  reason: string,
  world: CallerWorld,
): string | null {
  if (connection.accepted || connection.refuse === "never" || reason !== REJECTED) {
    return `a reject of connection ${connection.id}: ${reason}`;
  }
  remove(caller, connection);
  for (const { id } of connection.calls) world.ledger.over(id, true);
  forEachMessage(caller, connection, world, 1, ({ id }) => world.ledger.voided(id, "its connection was rejected"));
  return null;
}

function ended(
  caller: CallerState,
  connection: CallerConnection,
  reason: string,
  world: CallerWorld,
): string | null {
  const expected = connection.service === "bank" ? "failed-precondition" : "service-failed";
  if (connection.fatal === null || reason !== expected) return `an end of connection ${connection.id}: ${reason}`;
  remove(caller, connection);
  for (const { id } of connection.calls) world.ledger.over(id, false);
  return null;
}

function reply(connection: CallerConnection, { n, reply = 0 }: { n: number; reply?: number }): string | null {
  const { grant, last } = connection;
  if (grant !== null && ++grant.taken > grant.granted) return "a message without credit (connection.credit)";
  const expected = nextReply(connection, last);
  if (n !== expected.n || reply !== expected.reply || n > connection.messages) {
    return `reply ${n}.${reply} on connection ${connection.id} where ${expected.n}.${expected.reply} was next`;
  }
  connection.last = { n, reply };
  return null;
}

function nextReply({ service }: CallerConnection, { n, reply }: CallerConnection["last"]) {
  const replies = (each: number) => service === "bank" ? 1 : repliesTo(each);
  if (n > 0 && reply + 1 < replies(n)) return { n, reply: reply + 1 };
  let next = n + 1;
  while (replies(next) === 0) next++;
  return { n: next, reply: 0 };
}

function awaitsReply(connection: CallerConnection): boolean {
  return nextReply(connection, connection.last).n <= connection.messages;
}

function answered(
  connection: CallerConnection,
  request: number,
  ok: boolean,
  body: EncodedBody,
  { ledger }: CallerWorld,
): string | null {
  const index = connection.calls.findIndex((call) => call.request === request);
  const [live] = index < 0 ? [] : connection.calls.splice(index, 1);
  if (live === undefined) return `an answer to request ${request} of connection ${connection.id}, which waits for none`;
  const { id, download, reset } = live;
  const value = decodeBody(body);
  const code = ok ? "" : (value as { readonly code: string }).code;
  if (download !== null) {
    if (!download.over) return `the answer to ${id} before the end of its download (call.once)`;
    if (ok === reset) return `${id} was answered ${ok ? "ok" : code} after its download was ${reset ? "reset" : "finished"}`;
    if (ok && download.moved !== download.count) return `${download.moved} of ${download.count} items of ${id}`;
  }
  ledger.answered(id, { ok, value, code });
  return null;
}

function fromDownload(
  connection: CallerConnection,
  said: SessionMessage & { readonly kind: "item" | "finish" | "reset" },
): string | null {
  const live = connection.calls.find(({ download }) => download?.channel === said.channel);
  const download = live?.download ?? null;
  if (live === undefined || download === null || download.over) return `${said.kind} on channel ${said.channel}`;
  if (said.kind !== "item") {
    download.over = true;
    live.reset = said.kind === "reset";
    return null;
  }
  if (download.moved >= download.granted) return `an item of ${live.id} without credit (channel.credit)`;
  const value = decodeBody(said.body);
  if (value !== ++download.moved) return `item ${value} of ${live.id} where ${download.moved} was next`;
  return null;
}

function credited(connection: CallerConnection, channel: number, additional: number): string | null {
  if (channel === 0) {
    connection.credit += additional;
    return connection.credit > MESSAGE_CREDIT ? `credit for ${connection.credit} messages` : null;
  }
  const live = connection.calls.find(({ upload }) => upload?.channel === channel);
  // It may be answered by now.
  if (live === undefined || live.upload === null) return null;
  live.upload.granted += additional;
  return null;
}

function remove(caller: CallerState, connection: CallerConnection): void {
  caller.connections = caller.connections.filter((each) => each !== connection);
}

function forEachMessage(
  caller: CallerState,
  connection: CallerConnection,
  world: CallerWorld,
  from: number,
  then: (message: SentMessage) => void,
): void {
  for (let n = from; n <= connection.messages; n++) {
    const message = world.ledger.message(messageId(caller, connection, world, n));
    // The other page with this session may have sent it.
    if (message !== undefined) then(message);
  }
}

function messageId(caller: CallerState, { id }: CallerConnection, { session }: CallerWorld, n: number): string {
  return `b${session.uid}${caller.page}.${id}.${n}`;
}
