/**
 * What a service promises, as types alone, so that a client's calls are checked against the service that answers them.
 *
 * A service made by `defineService` carries its contract in its type. A client takes it from there with
 * `import type`, which brings none of the service's code along.
 */

import type { BodyValue } from "./body.ts";
import type { Metadata } from "./messages.ts";

/** How a method takes and gives values. */
export type MethodKind = "transaction" | "method" | "download" | "upload" | "duplex";

/** What one method promises: the values as the **caller** gives and gets them. */
export interface MethodContract<
  Kind extends MethodKind = MethodKind,
  Input = unknown,
  Output = unknown,
  Upload = unknown,
  Download = unknown,
> {
  /** How it takes and gives values. */
  readonly kind: Kind;
  /** The argument. Where null will do, a caller may leave it out. */
  readonly input: Input;
  /** The result. */
  readonly output: Output;
  /** The items that the caller sends; `never` where it sends none. */
  readonly upload: Upload;
  /** The items that the caller is sent; `never` where there are none. */
  readonly download: Download;
}

/** What a service promises. */
export interface ServiceContract {
  /** The name that clients open. */
  readonly name: string;
  /** Its methods by name. */
  readonly methods: { readonly [method: string]: MethodContract };
  /** The plain messages that the service takes. */
  readonly receives: unknown;
  /** The plain messages that it sends. */
  readonly sends: unknown;
}

/** What is known of a service that states no contract: every method may be there, and take and give everything. */
export interface UntypedContract extends ServiceContract {
  /** Any method. */
  readonly methods: {
    readonly [method: string]: MethodContract<MethodKind, BodyValue, BodyValue, BodyValue, BodyValue>;
  };
  /** Any message. */
  readonly receives: BodyValue;
  /** Any message. */
  readonly sends: BodyValue;
}

/** Something whose type carries another type. */
export interface Carries<T> {
  /** Never there at run time. */
  readonly "~carries"?: T;
}

/** Something whose type carries a contract; at run time it has nothing of it but the name. */
export interface Contracted<C extends ServiceContract = ServiceContract> extends Carries<C> {
  /** The name that clients open. */
  readonly name: C["name"];
}

/** The contract that a service's type carries; of one without, {@link UntypedContract}. */
export type ContractOf<S extends { readonly name: string }> = S extends Contracted<infer C>
  ? ServiceContract extends C ? UntypedContract : C
  : UntypedContract;

/** A value as it is on the other side: `undefined` has no encoding of its own and arrives as null. */
export type Received<T> = T extends undefined ? null : [T] extends [void] ? null : T;

/** The names of a service's methods of these kinds. */
export type MethodName<C extends ServiceContract, Kind extends MethodKind = MethodKind> =
  & {
    [M in keyof C["methods"]]: [Extract<C["methods"][M]["kind"], Kind>] extends [never] ? never : M;
  }[keyof C["methods"]]
  & string;

/** What a method's caller gives as its argument. */
export type InputOf<C extends ServiceContract, M extends keyof C["methods"]> = C["methods"][M]["input"];
/** What a method's caller is answered. */
export type OutputOf<C extends ServiceContract, M extends keyof C["methods"]> = C["methods"][M]["output"];
/** One item that a method's caller sends. */
export type UploadOf<C extends ServiceContract, M extends keyof C["methods"]> = C["methods"][M]["upload"];
/** One item that a method's caller is sent. */
export type DownloadOf<C extends ServiceContract, M extends keyof C["methods"]> = C["methods"][M]["download"];

/** What any call may say about itself. */
export interface CallOptions {
  /** Milliseconds until it fails with `deadline-exceeded`. */
  readonly timeout?: number;
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal;
  /** Handed to the handler; at most 4 KiB. */
  readonly metadata?: Metadata;
}

/** What a call with one argument and one result may say. */
export interface UnaryOptions extends CallOptions {
  /** Runs at most once for this key, also across reconnects and restarts (`call.operation`); at most 128 bytes. */
  readonly operation?: string;
}

/** What a call with a download may say. */
export interface DownloadOptions extends CallOptions {
  /** Items that may be under way before the first was taken; 16 unless said otherwise. */
  readonly credit?: number;
}

/**
 * Items on their way from a call, in order; taken once, by one loop.
 *
 * The loop ends when the service is done, and throws an `RpcError` when the call failed. Leaving it early cancels the call.
 */
export interface Download<Item> extends AsyncIterable<Item> {
  /** Cancels the call; a loop that waits ends with the failure `cancelled`. Does nothing once the call is over. */
  cancel(): void;
}

/** Items that a caller gives; they are asked for one at a time, as the service takes them. */
export type Items<Item> = AsyncIterable<Item> | Iterable<Item>;

/** The argument first, where one is needed, and then the options. */
export type InputThenOptions<Input, Options> = [null] extends [Input]
  ? [input?: Input | undefined, options?: Options]
  : [undefined] extends [Input] ? [input?: Input | null, options?: Options]
  : [input: Input, options?: Options];

/** An argument that has others behind it: where none is needed, null or undefined stands in its place. */
export type InputInPlace<Input> = [null] extends [Input] ? Input | undefined
  : [undefined] extends [Input] ? Input | null
  : Input;

/**
 * The calls that a connection to a service takes. Each failure is an `RpcError`.
 *
 * @typeParam C What the service promises: `ContractOf<typeof counter>`.
 */
export interface Calls<C extends ServiceContract = UntypedContract> {
  /** Calls a method with one argument and one result. */
  call<M extends MethodName<C, "transaction" | "method">>(
    method: M,
    ...rest: InputThenOptions<InputOf<C, M>, UnaryOptions>
  ): Promise<OutputOf<C, M>>;

  /** Calls a method that answers with items. */
  download<M extends MethodName<C, "download">>(
    method: M,
    ...rest: InputThenOptions<InputOf<C, M>, DownloadOptions>
  ): Download<DownloadOf<C, M>>;

  /** Calls a method that takes items and has one result. */
  upload<M extends MethodName<C, "upload">>(
    method: M,
    input: InputInPlace<InputOf<C, M>>,
    items: Items<UploadOf<C, M>>,
    options?: CallOptions,
  ): Promise<OutputOf<C, M>>;

  /** Calls a method that takes items and answers with items. */
  duplex<M extends MethodName<C, "duplex">>(
    method: M,
    input: InputInPlace<InputOf<C, M>>,
    items: Items<UploadOf<C, M>>,
    options?: DownloadOptions,
  ): Download<DownloadOf<C, M>>;
}

/** The plain messages that a connection to a service takes and gives. */
export interface Messages<C extends ServiceContract = UntypedContract> extends AsyncIterable<C["sends"]> {
  /** Sends a message: delivered exactly once, in the order of the calls. */
  send(value: C["receives"]): Promise<void>;
}
