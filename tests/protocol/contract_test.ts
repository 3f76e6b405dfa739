/** What a client's calls are checked against. These tests are the compiler's; what runs shows only that they were compiled. */

import assert from "node:assert/strict";
import * as z from "zod";
import type { BodyValue } from "../../src/protocol/body.ts";
import type {
  Calls,
  Contracted,
  ContractOf,
  Download,
  Items,
  Messages,
  MethodKind,
  MethodName,
  UntypedContract,
} from "../../src/protocol/contract.ts";
import { defineService } from "../../src/service/define_service.ts";
import { demoService } from "../../src/service/demo.ts";
import { echo } from "../../src/service/echo.ts";
import { download, duplex, method, transaction, upload } from "../../src/service/methods.ts";
import type { MethodKind as ServedKind, Service } from "../../src/service/service.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles only for two types that are one. */
function same<A, B>(..._proof: Same<A, B> extends true ? [] : [never]): void {}

/** Has the compiler look at calls that nobody makes. */
function compiled(_: () => unknown): void {}

const counter = defineService({
  name: "counter",
  receives: z.object({ text: z.string(), loud: z.boolean().default(false) }),
  sends: z.object({ total: z.number() }),
  kept: z.object({ since: z.number(), visits: z.int().default(0) }),
  methods: {
    add: transaction({ input: z.object({ by: z.int() }), output: z.int() }, async ({ by }, tx) => {
      same<typeof by, number>();
      const before = await tx.get<number>(["total"]);
      same<typeof before, number | null>();
      return (before ?? 0) + by;
    }),
    price: method({ input: z.string().optional(), output: z.number().optional() }, (symbol, call) => {
      same<typeof symbol, string | undefined>();
      same<typeof call.signal, AbortSignal>();
      same<typeof call.deadline, number | null>();
      return symbol?.length;
    }),
    ping: method({}, () => {}),
    later: method({ output: z.string() }, () => Promise.resolve("x")),
    ticks: download(
      { input: z.object({ count: z.int() }), item: z.int() },
      async function* ({ count }, call) {
        same<typeof call.itemsSent, number>();
        yield count;
      },
    ),
    sum: upload({ item: z.number(), output: z.number() }, async (input, { items }) => {
      same<typeof input, null>();
      same<typeof items, AsyncIterable<number>>();
      let total = 0;
      for await (const item of items) total += item;
      return total;
    }),
    pipe: duplex(
      { input: z.object({ by: z.int() }), upload: z.coerce.number<string>(), download: z.string() },
      async function* ({ by }, { items }) {
        for await (const item of items) yield String(item * by);
      },
    ),
  },
  onOpen(connection) {
    same<Parameters<typeof connection.keep>[0], { since: number; visits?: number | undefined }>();
    same<typeof connection.kept, { since: number; visits: number } | null>();
    same<Parameters<typeof connection.send>[0], { total: number }>();
  },
  onMessage(connection, value) {
    same<typeof value, { text: string; loud: boolean }>();
    connection.send({ total: value.text.length });
  },
});

type Counter = ContractOf<typeof counter>;
declare const calls: Calls<Counter>;
declare const messages: Messages<Counter>;

/** The open of a client: by the service itself, or by its name and `typeof` it. */
declare function open(service: string): Calls;
declare function open<S extends Contracted>(service: S | S["name"]): Calls<ContractOf<S>>;

Deno.test("a service's type carries its name, and its methods by what they are", () => {
  same<typeof counter.name, "counter">();
  same<Counter["name"], "counter">();
  same<MethodName<Counter, "transaction" | "method">, "add" | "price" | "ping" | "later">();
  same<MethodName<Counter, "download">, "ticks">();
  same<MethodName<Counter, "upload">, "sum">();
  same<MethodName<Counter, "duplex">, "pipe">();
  assert.ok(counter satisfies Service);
});

Deno.test("a call takes what the method takes, and gives what it gives", () => {
  compiled(() => {
    same<ReturnType<typeof calls.call<"add">>, Promise<number>>();
    same<ReturnType<typeof calls.call<"later">>, Promise<string>>();
    // `undefined` arrives as null, and so does nothing.
    same<ReturnType<typeof calls.call<"price">>, Promise<number | null>>();
    same<ReturnType<typeof calls.call<"ping">>, Promise<null>>();
    calls.call("add", { by: 1 });
    calls.call("add", { by: 1 }, { timeout: 1000, operation: "once", signal: AbortSignal.abort() });
  });
  same<Parameters<typeof calls.call<"add">>[1], { by: number }>();
  same<{ by: string } extends Parameters<typeof calls.call<"add">>[1] ? true : false, false>();
  same<"sum" extends Parameters<typeof calls.call>[0] ? true : false, false>();
});

Deno.test("an argument may be left out only where the method does without", () => {
  compiled(() => {
    calls.call("price");
    calls.call("price", "ACME");
    calls.call("price", null, { timeout: 5 });
    calls.call("ping");
    calls.call("ping", null, { timeout: 5 });
  });
  same<Parameters<typeof calls.call<"add">>["length"], 2 | 3>();
  same<Parameters<typeof calls.call<"ping">>["length"], 1 | 2 | 3>();
});

Deno.test("streams have their items' types", () => {
  compiled(() => {
    same<ReturnType<typeof calls.download<"ticks">>, Download<number>>();
    calls.download("ticks", { count: 3 }, { credit: 64 }).cancel();
    same<ReturnType<typeof calls.upload<"sum">>, Promise<number>>();
    calls.upload("sum", null, [1, 2]);
    calls.upload("sum", undefined, ReadableStream.from([1]));
    // The caller gives what the schema takes, not what it makes of it.
    same<Parameters<typeof calls.duplex<"pipe">>[2], Items<string>>();
    same<ReturnType<typeof calls.duplex<"pipe">>, Download<string>>();
    calls.duplex("pipe", { by: 2 }, ["1", "2"], { timeout: 5 });
  });
  same<Parameters<typeof calls.upload<"sum">>[2], Items<number>>();
});

Deno.test("plain messages have their types in both directions", () => {
  compiled(async () => {
    for await (const value of messages) same<typeof value, { total: number }>();
  });
  same<Parameters<typeof messages.send>[0], { text: string; loud?: boolean | undefined }>();
});

Deno.test("messages that are transactions have theirs", () => {
  const ledger = defineService({
    name: "ledger",
    messages: transaction({ input: z.object({ by: z.int() }) }, ({ by }) => same<typeof by, number>()),
  });
  same<ContractOf<typeof ledger>["receives"], { by: number }>();
  same<ContractOf<typeof ledger>["sends"], BodyValue>();
});

Deno.test("a client opens a service by itself, or by its name and type; another name does not compile", () => {
  compiled(() => {
    same<ReturnType<typeof open<typeof counter>>, Calls<Counter>>();
    open(counter).call("add", { by: 1 }).then((total) => same<typeof total, number>());
    open<typeof counter>("counter").call("later").then((text) => same<typeof text, string>());
  });
  same<"count" extends (typeof counter)["name"] ? true : false, false>();
});

Deno.test("a service without a contract takes and gives everything", () => {
  same<ContractOf<typeof echo>, UntypedContract>();
  same<ContractOf<Service>, UntypedContract>();
  compiled(() => {
    open("anything").call("any", { at: "all" }).then((value) => same<typeof value, BodyValue>());
    open("anything").download("any").cancel();
    open("anything").upload("any", 1, [2]);
  });
  same<Parameters<Messages["send"]>[0], BodyValue>();
});

Deno.test("demo's contract is known, and kinds are named alike on both sides of the port", () => {
  type Demo = ContractOf<ReturnType<typeof demoService>>;
  same<MethodName<Demo>, "echo" | "add" | "get" | "ticks" | "sum" | "pipe" | "slow" | "fail" | "whoami">();
  same<
    Awaited<ReturnType<typeof demo.call<"whoami">>>,
    { session: string; principal: string; connection: number }
  >();
  same<MethodKind, ServedKind>();
});

declare const demo: Calls<ContractOf<ReturnType<typeof demoService>>>;
