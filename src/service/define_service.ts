/** Application code as a service: names, types and schemas on top of the port in `service.ts`. */

import type { Carries, Contracted, MethodContract, Received, ServiceContract } from "../protocol/contract.ts";
import type { Metadata } from "../protocol/messages.ts";
import { boundedText } from "../protocol/rpc_error.ts";
import { describeService } from "./describe_service.ts";
import {
  ANYTHING,
  type Anything,
  gateOf,
  type NoOutput,
  type Schema,
  type SchemaInput,
  type SchemaOutput,
} from "./gate.ts";
import type { Awaitable, DefinedMethod, DefinedTransaction } from "./methods.ts";
import { serveMessage } from "./serve_call.ts";
import type { Acceptance, Method, Rejection, Service, ServiceDescription } from "./service.ts";
import { type Hooks, rawHooks } from "./service_hooks.ts";
import type { TypedConnection } from "./typed_connection.ts";

/** Methods by their names. */
export type DefinedMethods = { readonly [method: string]: DefinedMethod };

/** The contracts of methods. */
export type MethodContracts<Methods extends DefinedMethods> = {
  readonly [M in keyof Methods]: Methods[M] extends Carries<infer C extends MethodContract> ? C : never;
};

/** A connection to a service that sends, and keeps, what these schemas take. */
export type ConnectionOf<Sends extends Schema, Kept extends Schema> = TypedConnection<
  SchemaInput<Sends>,
  SchemaInput<Kept>,
  SchemaOutput<Kept>
>;

/** What a service is made of. All but `name` is optional. */
export interface ServiceOptions<
  Name extends string,
  Methods extends DefinedMethods,
  Receives extends Schema,
  Sends extends Schema,
  Kept extends Schema,
> {
  /** `[a-z0-9._:-]{1,64}`. */
  readonly name: Name;
  /** What `transaction`, `method`, `download`, `upload` and `duplex` give, by names as above. */
  readonly methods?: Methods;
  /** What plain messages must fit; a connection on which one does not ends with `invalid-argument`. Absent: anything. */
  readonly receives?: Receives;
  /** What plain messages of the service must fit. Absent: anything. */
  readonly sends?: Sends;
  /**
   * What is kept with a connection must fit. A connection that is restored with something else, kept by an older version of
   * the service, ends with `kept-state-mismatch`. Absent: anything.
   */
  readonly kept?: Kept;
  /** Plain messages that may be under way to the service on one connection, 16 … 1024. Absent: 64. */
  readonly messageCredit?: number;
  /** Handles plain messages as transactions, in place of `onMessage`; its `input` stands in place of `receives`. */
  readonly messages?: DefinedTransaction<Receives, NoOutput>;
  /**
   * Takes a connection, or rejects it: with a {@link Rejection}, or by a thrown `RpcError`, whose code is the reason then. What
   * it sends and keeps follows the accept.
   */
  onOpen?(
    connection: ConnectionOf<Sends, Kept>,
    metadata: Metadata,
  ): Awaitable<Acceptance | Rejection | void>;
  /** Only for a connection that was opened to the client: the client accepted it. */
  onOpened?(connection: ConnectionOf<Sends, Kept>, metadata: Metadata): void;
  /**
   * One message, in order: the next one follows when this is done. A thrown `RpcError` ends the connection with its code as
   * the reason; anything else, with `service-failed`.
   */
  onMessage?(connection: ConnectionOf<Sends, Kept>, value: SchemaOutput<Receives>): Awaitable<void>;
  /** A volatile message. One that does not fit `receives` is dropped. */
  onVolatile?(connection: ConnectionOf<Sends, Kept>, value: SchemaOutput<Receives>): void;
  /** The session was restored on this node; before anything else happens on the connection. */
  onResume?(connection: ConnectionOf<Sends, Kept>): void;
  /** The connection is gone from this node. */
  onEnd?(
    connection: ConnectionOf<Sends, Kept>,
    ending: { readonly reason: string; readonly detail: string },
  ): void;
}

/** A service whose type carries its contract, for `ContractOf` and for a client's `open`. */
export interface DefinedService<C extends ServiceContract = ServiceContract> extends Service, Contracted<C> {
  /** The name that clients open. */
  readonly name: C["name"];
  /** Its methods, as a session must know them. */
  readonly methods: ReadonlyMap<string, Method>;
  /** What it looks like from outside. */
  readonly description: ServiceDescription;
  /** Plain messages that may be under way to it on one connection. */
  readonly messageCredit: number;
}

/** Names of services and methods. */
const NAME = /^[a-z0-9._:-]{1,64}$/;

const DEFAULT_MESSAGE_CREDIT = 64;

/**
 * Makes a service.
 *
 * Schemas are of zod, or zod/mini, and synchronous. What comes in is what they make of what was sent; what goes out, what
 * they make of what a handler gave.
 *
 * @throws TypeError For names that are none, a `messageCredit` out of its bounds, or two ways to handle messages.
 *
 * @example
 * ```ts no-assert
 * import * as z from "zod";
 * import { defineService, transaction } from "./mod.ts";
 *
 * export const counter = defineService({
 *   name: "counter",
 *   methods: {
 *     add: transaction({ input: z.object({ by: z.int() }), output: z.int() }, async ({ by }, tx) => {
 *       const total = ((await tx.get<number>(["total"])) ?? 0) + by;
 *       tx.set(["total"], total);
 *       return total;
 *     }),
 *   },
 * });
 * ```
 */
export function defineService<
  const Name extends string,
  Methods extends DefinedMethods = Record<never, never>,
  Receives extends Schema = Anything,
  Sends extends Schema = Anything,
  Kept extends Schema = Anything,
>(
  options: ServiceOptions<Name, Methods, Receives, Sends, Kept>,
): DefinedService<{
  readonly name: Name;
  readonly methods: MethodContracts<Methods>;
  readonly receives: SchemaInput<Receives>;
  readonly sends: Received<SchemaOutput<Sends>>;
}> {
  const { name, messages, messageCredit = DEFAULT_MESSAGE_CREDIT } = options;
  const methods: ReadonlyMap<string, DefinedMethod> = new Map(Object.entries(options.methods ?? {}));
  check(options, methods, messageCredit);
  const gates = {
    receives: messages?.gates.input ?? gateOf(options.receives, ANYTHING),
    sends: gateOf(options.sends, ANYTHING),
    kept: gateOf(options.kept, ANYTHING),
  };
  const takesMessages = [messages, options.onMessage, options.onVolatile].some((one) => one !== undefined);
  return {
    name,
    methods,
    messageCredit,
    description: describeService({
      name,
      methods,
      messages: {
        kind: messages === undefined ? "plain" : "transaction",
        receives: takesMessages ? gates.receives.schema : null,
        sends: gates.sends.schema,
      },
    }),
    onCall(call) {
      const called = methods.get(call.method);
      if (called !== undefined) return called.serve(call, gates);
      call.fail({ code: "unknown-method", message: boundedText(`${name} has no ${call.method}`) });
    },
    ...rawHooks(options as unknown as Hooks, gates),
    ...(messages === undefined ? {} : {
      messageKind: "transaction",
      onMessageTransaction: (from, body, tx) =>
        serveMessage(body, from, tx, messages.gates, gates, messages.handler),
    }),
  };
}

function check(
  options: {
    readonly name: string;
    readonly messages?: unknown;
    readonly receives?: unknown;
    readonly onMessage?: unknown;
  },
  methods: ReadonlyMap<string, DefinedMethod>,
  messageCredit: number,
): void {
  const { name } = options;
  for (const given of [name, ...methods.keys()]) {
    if (!NAME.test(given)) throw new TypeError(`${JSON.stringify(given)} is no name: it must match ${NAME}`);
  }
  if (!Number.isInteger(messageCredit) || messageCredit < 16 || messageCredit > 1024) {
    throw new TypeError(`${name}: messageCredit must be an integer in 16 … 1024, not ${messageCredit}`);
  }
  if (options.messages === undefined) return;
  if (options.onMessage !== undefined || options.receives !== undefined) {
    throw new TypeError(`${name}: take "messages", or "onMessage" and "receives", not both`);
  }
}
