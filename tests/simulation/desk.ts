/**
 * The services that simulated clients call: `bank`, whose methods and messages are transactions on accounts that all share,
 * and `desk`, whose methods and messages take simulated time and have effects outside.
 */

import * as z from "zod";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import { download, method, transaction, upload } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import type { TypedTransaction } from "../../src/service/typed_transaction.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { type Account, type Counter, credited, emptyAccount } from "./data_witness.ts";
import type { Ledger } from "./ledger.ts";
import type { SimProcess } from "./sim_process.ts";

/** What a handler throws that fails by design: the node logs it. */
export class SimHandlerError extends Error {
  override readonly name = "SimHandlerError";
}

/** Plain messages that may be under way to a service. */
export const MESSAGE_CREDIT = 16;

/** Why an open is rejected. */
export const REJECTED = "not-today";

/** How many replies message number `n` of `desk` has. */
export function repliesTo(n: number): number {
  return [1, 1, 0, 2][n % 4]!;
}

const text = z.string();

/** What the services of one process draw from and tell. */
export interface DeskHost {
  readonly process: SimProcess;
  readonly random: SeededRandom;
  readonly ledger: Ledger;
}

/** The services, as one process of a node has them. */
export function servicesOf(host: DeskHost): Service[] {
  return [bank(host), desk(host)].map((service) => guarded(service, host.ledger));
}

function bank({ process, random, ledger }: DeskHost): Service {
  const pause = () => pauseOf(process, random, [0.7, 0.15, 0.15], [1, 60]);
  const account = async (tx: TypedTransaction, key: string) =>
    await tx.get<Account>(["account", key]) ?? emptyAccount(key);
  const save = (tx: TypedTransaction, it: Account) =>
    tx.set(["account", it.k], { ...it, tail: it.tail.map(([id, by]) => [id, by]) });
  const add = async (id: string, key: string, by: number, tx: TypedTransaction) => {
    ledger.transacts(id);
    await pause();
    const next = credited(await account(tx, key), id, by);
    await pause();
    save(tx, next);
    return next.total;
  };
  return defineService({
    name: "bank",
    messageCredit: MESSAGE_CREDIT,
    methods: {
      add: transaction(
        { input: z.object({ id: text, key: text, by: z.int() }), output: z.int() },
        ({ id, key, by }, tx) => add(id, key, by, tx),
      ),
      move: transaction(
        { input: z.object({ id: text, from: text, to: text, amount: z.int() }) },
        async ({ id, from, to, amount }, tx) => {
          ledger.transacts(id);
          const source = await account(tx, from);
          await pause();
          const target = await account(tx, to);
          save(tx, credited(target, id, amount));
          if (source.total < amount) {
            throw new RpcError("failed-precondition", "too little", { data: { has: source.total } });
          }
          save(tx, credited(source, id, -amount));
        },
      ),
      peek: transaction(
        { input: z.object({ id: text, keys: z.array(text) }), output: z.record(text, z.int()) },
        async ({ id, keys }, tx) => {
          ledger.transacts(id);
          const totals: { [key: string]: number } = {};
          for (const key of keys) {
            totals[key] = (await account(tx, key)).total;
            await pause();
          }
          return totals;
        },
      ),
      toggle: transaction(
        { input: z.object({ id: text, key: text }), output: text.nullable() },
        async ({ id, key }, tx) => {
          ledger.transacts(id);
          const held = await tx.get<{ readonly holder: string }>(["flag", key]);
          await pause();
          if (held === null) tx.set(["flag", key], { holder: id });
          else tx.delete(["flag", key]);
          return held?.holder ?? null;
        },
      ),
      put: transaction({ input: z.object({ id: text, key: text }) }, async ({ id, key }, tx) => {
        ledger.transacts(id);
        await pause();
        tx.set(["counter", key], { k: key, base: id, bumps: [] });
      }),
      bump: transaction({ input: z.object({ id: text, key: text }) }, async ({ id, key }, tx) => {
        ledger.transacts(id);
        const counter = await tx.get<Counter>(["counter", key]);
        await pause();
        if (counter === null || counter.bumps.length > 100) {
          tx.set(["counter", key], { k: key, base: id, bumps: [] });
        } else tx.set(["counter", key], { ...counter, bumps: [...counter.bumps, id] });
      }),
    },
    messages: transaction(
      { input: z.object({ id: text, n: z.int(), key: text, by: z.int() }) },
      async ({ id, n, key, by }, tx) => {
        const total = await add(id, key, by, tx);
        tx.send({ n, total });
        if (by === 0) throw new RpcError("failed-precondition", "nothing to add");
      },
    ),
  });
}

function desk({ process, random, ledger }: DeskHost): Service {
  const pause = (signal?: AbortSignal) => pauseOf(process, random, [0.35, 0.15, 0.5], pick(random), signal);
  /** Some handlers pass an abort on, others never hear of it. */
  const heard = (signal: AbortSignal) => random.chance(0.5) ? signal : undefined;
  const token = () => {
    const result = `r${random.uint32().toString(36)}`;
    ledger.result(result);
    return result;
  };
  return defineService({
    name: "desk",
    messageCredit: MESSAGE_CREDIT,
    kept: z.object({ n: z.int() }),
    methods: {
      once: method(
        { input: z.object({ id: text, call: text.nullable() }), output: text },
        ({ id, call }, { again, signal }) => {
          ledger.begins(id, call, process.name, again);
          const fails = random.chance(0.05);
          // An operation takes long enough for others to ask for it too.
          const waiting = call === null
            ? pauseOf(process, random, [0.2, 0.1, 0.7], [20, 6_000])
            : pause(heard(signal));
          const finish = () => {
            if (fails) throw new SimHandlerError("by design");
            return token();
          };
          return waiting === null ? finish() : waiting.then(finish);
        },
      ),
      safe: method(
        { input: z.object({ id: text }), output: text, retry: "safe" },
        async (_, { signal }) => {
          await pause(heard(signal));
          return token();
        },
      ),
      ticks: download(
        { input: z.object({ id: text, count: z.int() }), item: z.int(), retry: "safe" },
        async function* ({ count }, { itemsSent, signal }) {
          for (let n = itemsSent + 1; n <= count; n++) {
            await pause(signal);
            yield n;
          }
        },
      ),
      feed: download(
        { input: z.object({ id: text, count: z.int() }), item: z.int() },
        async function* ({ count }, { signal }) {
          for (let n = 1; n <= count; n++) {
            if (n % 3 === 0) await pause(signal);
            yield n;
          }
        },
      ),
      sum: upload(
        { input: z.object({ id: text, count: z.int() }), item: z.int(), output: z.int() },
        async (_, { items, signal }) => {
          let sum = 0;
          let next = 1;
          for await (const item of items) {
            if (item !== next++) ledger.fail(`item ${item} of an upload came where ${next - 1} was next`);
            sum += item;
            if (item % 4 === 0) await pause(signal);
          }
          return sum;
        },
      ),
    },
    onOpen(connection, { refuse = "never" }) {
      const times = ledger.opened(connection.session, connection.id);
      const rejects = refuse === "always" || refuse === "again" && times > 1;
      const answer = () => rejects ? { reason: REJECTED, detail: `asked ${times} times` } : undefined;
      const waiting = pauseOf(process, random, [0.5, 0.1, 0.4], [1, 1_500]);
      return waiting === null ? answer() : waiting.then(answer);
    },
    onMessage(connection, value) {
      const { id, n, fails } = value as { id: string; n: number; fails: boolean };
      ledger.handles(id, n, connection.kept?.n ?? 0, process.name);
      const early = random.chance(0.5);
      if (early) connection.keep({ n });
      const waiting = pause();
      const finish = () => {
        if (fails) throw new SimHandlerError("by design");
        if (!early) connection.keep({ n });
        for (let reply = 0; reply < repliesTo(n); reply++) connection.send({ n, reply });
        ledger.handled(id);
      };
      return waiting === null ? finish() : waiting.then(finish);
    },
  });
}

/** A handler of a message is only called for a connection that is there. */
function guarded(service: Service, ledger: Ledger): Service {
  const { onMessage, onMessageTransaction } = service;
  return {
    ...service,
    ...(onMessage === undefined ? {} : {
      onMessage(connection, body) {
        if (connection.service === "") {
          ledger.fail(`${service.name} is given a message of a connection that is gone`);
        }
        return onMessage.call(service, connection, body);
      },
    }),
    ...(onMessageTransaction === undefined ? {} : {
      onMessageTransaction(connection, body, tx) {
        if (connection.service === "") {
          ledger.fail(`${service.name} is given a message of a connection that is gone`);
        }
        return onMessageTransaction.call(service, connection, body, tx);
      },
    }),
  };
}

/** How long something takes, at most and at least, where it takes time. */
function pick(random: SeededRandom): readonly [number, number] {
  const chance = random.float();
  return chance < 0.3 ? [1, 10] : chance < 0.75 ? [10, 300] : chance < 0.95 ? [300, 2_000] : [2_000, 8_000];
}

/** No time (null), a microtask, or simulated time. An abort ends it. */
function pauseOf(
  process: SimProcess,
  random: SeededRandom,
  [none, micro]: readonly [number, number, number],
  [least, most]: readonly [number, number],
  signal?: AbortSignal,
): Promise<void> | null {
  const chance = random.float();
  if (chance < none) return null;
  if (chance < none + micro) return Promise.resolve();
  const { clock } = process;
  const at = clock.now() + random.between(least, most);
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const cancel = clock.wakeAt(at, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    const stop = () => {
      cancel();
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
