/** What happens on a service's connections beside calls: a defined service's hooks, as the port calls them. */

import type { Metadata } from "../protocol/messages.ts";
import { boundedText, RpcError } from "../protocol/rpc_error.ts";
import type { Gate } from "./gate.ts";
import { isThenable } from "./serve_call.ts";
import type { Acceptance, Rejection, Service, ServiceConnection } from "./service.ts";
import { type ConnectionGates, GatedConnection } from "./typed_connection.ts";

/** The hooks of `defineService`'s options without their types. */
export interface Hooks {
  onOpen?(
    connection: GatedConnection,
    metadata: Metadata,
  ): Acceptance | Rejection | void | Promise<Acceptance | Rejection | void>;
  onOpened?(connection: GatedConnection, metadata: Metadata): void;
  onMessage?(connection: GatedConnection, value: unknown): void | Promise<void>;
  onVolatile?(connection: GatedConnection, value: unknown): void;
  onResume?(connection: GatedConnection): void;
  onEnd?(connection: GatedConnection, ending: { readonly reason: string; readonly detail: string }): void;
}

/** What a service's messages and connections must fit. */
export interface HookGates extends ConnectionGates {
  readonly receives: Gate;
}

type RawHooks = Pick<Service, keyof Hooks>;

/** The port's hooks; those that the service has not are absent. */
export function rawHooks(hooks: Hooks, gates: HookGates): RawHooks {
  const typed = (raw: ServiceConnection) => new GatedConnection(raw, gates);
  return {
    ...(hooks.onOpen === undefined ? {} : {
      onOpen: (raw, metadata) => rejecting(() => hooks.onOpen?.(typed(raw), metadata)),
    }),
    ...(hooks.onOpened === undefined ? {} : {
      onOpened: (raw, metadata) => hooks.onOpened?.(typed(raw), metadata),
    }),
    ...(hooks.onMessage === undefined ? {} : {
      onMessage: (raw, body) => ending(raw, () => hooks.onMessage?.(typed(raw), gates.receives.take(body))),
    }),
    ...(hooks.onVolatile === undefined ? {} : {
      onVolatile: (raw, body) => dropping(() => hooks.onVolatile?.(typed(raw), gates.receives.take(body))),
    }),
    onResume: (raw) => {
      if (fits(raw, gates.kept)) hooks.onResume?.(typed(raw));
    },
    ...(hooks.onEnd === undefined ? {} : {
      onEnd: (raw, over) => hooks.onEnd?.(typed(raw), over),
    }),
  };
}

/** An `RpcError` rejects the connection. */
function rejecting<T>(open: () => T | Promise<T>): T | Rejection | Promise<T | Rejection> {
  const rejected = (error: unknown): Rejection => {
    if (error instanceof RpcError) return { reason: error.code, detail: boundedText(error.message) };
    throw error;
  };
  try {
    const result = open();
    return isThenable(result) ? Promise.resolve(result).catch(rejected) : result;
  } catch (error) {
    return rejected(error);
  }
}

/** An `RpcError` ends the connection. */
function ending(raw: ServiceConnection, handle: () => void | Promise<void>): void | Promise<void> {
  const ended = (error: unknown): void => {
    if (!(error instanceof RpcError)) throw error;
    raw.end(error.code, boundedText(error.message));
  };
  try {
    const result = handle();
    if (isThenable(result)) return Promise.resolve(result).catch(ended);
  } catch (error) {
    ended(error);
  }
}

/** A volatile message that does not fit is dropped, as any may be. */
function dropping(handle: () => void): void {
  try {
    handle();
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
  }
}

/** False, and the connection ends, where what was kept is of a version of the service that kept something else. */
function fits(raw: ServiceConnection, kept: Gate): boolean {
  if (raw.kept === null) return true;
  try {
    kept.take(raw.kept);
    return true;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    raw.end("kept-state-mismatch", boundedText(error.message));
    return false;
  }
}
