/** The service `demo`: one method of each kind, to try a client with. */

import * as z from "zod";
import { RPC_CODES, type RpcCode } from "../protocol/rpc_codes.ts";
import { RpcError } from "../protocol/rpc_error.ts";
import type { Clock } from "../system/clock.ts";
import { defineService } from "./define_service.ts";
import { download, duplex, method, transaction, upload } from "./methods.ts";

/** Totals that are kept, of all sessions together: anybody may make one. */
export const MOST_TOTALS = 10_000;

const LONGEST_WAIT_MS = 10 * 60_000;

const name = z.string().min(1).max(64);
/** So small that neither a sum nor a product leaves float64. */
const number = z.number().min(-1e15).max(1e15);
const wait = z.int().min(0).max(LONGEST_WAIT_MS);

/** The service. Its type is what it is made of, and says more than one that is written down would. */
export function demoService({ clock }: { readonly clock: Clock }) {
  return defineService({
    name: "demo",
    methods: {
      /** Answers with its argument. */
      echo: method({ input: z.unknown(), output: z.unknown(), retry: "safe" }, (value) => value),

      /** Adds to a total that all sessions share. */
      add: transaction(
        { input: z.object({ name, by: z.int().min(-1e9).max(1e9) }), output: z.int() },
        async ({ name, by }, tx) => {
          const before = await tx.get<number>(["total", name]);
          if (before === null) {
            const totals = await tx.get<number>(["totals"]) ?? 0;
            if (totals >= MOST_TOTALS) {
              throw new RpcError("resource-exhausted", `there are ${MOST_TOTALS} totals; take one of them`);
            }
            tx.set(["totals"], totals + 1);
          }
          const total = (before ?? 0) + by;
          if (!Number.isSafeInteger(total)) {
            throw new RpcError("failed-precondition", `${total} would be beyond ±(2^53 − 1)`);
          }
          tx.set(["total", name], total);
          return total;
        },
      ),

      /** A total; 0 where nothing was added. */
      get: transaction(
        { input: z.object({ name }), output: z.int() },
        async ({ name }, tx) => await tx.get<number>(["total", name]) ?? 0,
      ),

      /** The numbers 1 … `count`, `interval` ms apart. */
      ticks: download(
        {
          input: z.object({ count: z.int().min(0).max(1e6), interval: wait.optional() }),
          item: z.int(),
          retry: "safe",
        },
        async function* ({ count, interval = 0 }, call) {
          for (let tick = call.itemsSent + 1; tick <= count; tick++) {
            if (interval > 0 && tick > 1) await pause(clock, interval, call.signal);
            yield tick;
          }
        },
      ),

      /** The sum of the numbers that are sent. */
      sum: upload({ item: number, output: z.number() }, async (_, { items }) => {
        let total = 0;
        for await (const item of items) total += item;
        return total;
      }),

      /** Each number that is sent, twice as large. */
      pipe: duplex({ upload: number, download: z.number() }, async function* (_, { items }) {
        for await (const item of items) yield 2 * item;
      }),

      /** Answers after `ms`. It is not run again when its node is lost, to show what a caller is told then. */
      slow: method({ input: z.object({ ms: wait }) }, ({ ms }, { signal }) => {
        return pause(clock, ms, signal);
      }),

      /** Fails. */
      fail: method(
        { input: z.object({ code: z.enum(RPC_CODES as [RpcCode, ...RpcCode[]]).optional() }).optional() },
        (input) => {
          throw new RpcError(input?.code ?? "failed-precondition", "as asked for");
        },
      ),

      /** Who is asking. */
      whoami: method(
        {
          output: z.object({ session: z.string(), principal: z.string(), connection: z.int() }),
          retry: "safe",
        },
        (_, { connection: { session, principal, id } }) => ({ session, principal, connection: id }),
      ),
    },
  });
}

/** Resolves after `ms`; rejects with the signal's reason, and leaves no timer, when that aborts before. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.wakeAt(clock.now() + ms, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}
