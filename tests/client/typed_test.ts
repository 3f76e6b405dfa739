/** The types that calls have, from the contract of a service. What must not compile is told by `Refused`. */

import assert from "node:assert/strict";
import type {
  BodyValue,
  Connection,
  Contracted,
  Download,
  MethodContract,
  Session,
} from "../../src/client/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { client } from "../support/client_fixture.ts";

interface CounterContract {
  readonly name: "counter";
  readonly methods: {
    readonly add: MethodContract<"transaction", { readonly by: number }, number, never, never>;
    readonly reset: MethodContract<"method", null, null, never, never>;
    readonly history: MethodContract<"download", string, null, never, { readonly at: number }>;
    readonly sum: MethodContract<"upload", null, number, number, never>;
    readonly echo: MethodContract<"duplex", null, null, string, string>;
  };
  readonly receives: "poke";
  readonly sends: { readonly total: number };
}

const counter: Contracted<CounterContract> = { name: "counter" };

/** Compiles only where both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : never;
const proven = <Truth extends true>(truth: Truth) => assert.ok(truth);

Deno.test("a service at hand, or its type, gives its calls their types; without either they are body values", async () => {
  const { session } = await client();
  const byValue = session.open(counter);
  const byType = session.open<typeof counter>("counter");
  const untyped = session.open("counter");
  const remote = session.open<typeof counter>("remote:counted");
  proven<Same<typeof remote, Connection<CounterContract>>>(true);
  proven<Same<typeof byValue, Connection<CounterContract>>>(true);
  proven<Same<typeof byType, Connection<CounterContract>>>(true);
  proven<Same<typeof untyped, Connection>>(true);
  assert.deepEqual([byValue.service, byType.service, untyped.service], ["counter", "counter", "counter"]);
});

/** Never runs: it only has to compile. */
export function compiles(session: Session): void {
  const counted = session.open(counter);
  const total: Promise<number> = counted.call("add", { by: 1 }, { operation: "k", timeout: 5 });
  const nothing: Promise<null> = counted.call("reset");
  const history: Download<{ readonly at: number }> = counted.download("history", "today", { credit: 4 });
  const sum: Promise<number> = counted.upload("sum", null, [1, 2, 3]);
  const echo: Download<string> = counted.duplex("echo", null, ["a"]);
  const sent: Promise<void> = counted.send("poke");
  const received: AsyncIterable<{ readonly total: number }> = counted;
  const anything: Promise<BodyValue> = session.open("counter").call("whatever", [1, "two"]);
  proven<Same<Parameters<typeof counted.send>, [value: "poke"]>>(true);
  void [total, nothing, history, sum, echo, sent, received, anything];
}

Deno.test("typed calls are the same calls", async () => {
  const { session, server } = await client();
  const counted = session.open(counter);
  const line = await server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  const total = counted.call("add", { by: 2 });
  await settle();
  await line.answer(line.call("add"), 42);
  assert.equal(await total, 42);
});
