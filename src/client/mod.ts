/**
 * The client of Holdfast: sessions that outlive their WebSocket connections. For browsers, Deno and Node 22 or newer.
 *
 * @module
 */

export type {
  Connection,
  Ending,
  OpenOptions,
  RepeatedCall,
  Session,
  SessionEventName,
  SessionEvents,
  SessionPhase,
} from "./api.ts";
export type {
  AuthRequest,
  ClientStorage,
  ConnectOptions,
  Dial,
  DialHandler,
  KeyValueStorage,
  WebStorage,
} from "./options.ts";
export {
  type BackoffSettings,
  exponentialBackoff,
  type ReconnectPolicy,
  type ReconnectQuestion,
} from "./reconnect_policy.ts";
export { HoldfastError } from "./errors.ts";
export { CallError } from "./call_error.ts";
export type { ClientMethod, ClientMethods, ClientService, ReceivedCall } from "./serving_api.ts";
export { RpcError, type RpcErrorOptions } from "../protocol/rpc_error.ts";
export { adviceFor, type RpcAdvice, type RpcCode } from "../protocol/rpc_codes.ts";
export type {
  CallOptions,
  Calls,
  Carries,
  Contracted,
  ContractOf,
  Download,
  DownloadOf,
  DownloadOptions,
  InputInPlace,
  InputOf,
  InputThenOptions,
  Items,
  Messages,
  MethodContract,
  MethodKind,
  MethodName,
  OutputOf,
  ServiceContract,
  UnaryOptions,
  UntypedContract,
  UploadOf,
} from "../protocol/contract.ts";
export type { BodyValue } from "../protocol/body.ts";
export type { Durability, Metadata } from "../protocol/messages.ts";
export type { Conduit, ConduitHandler } from "../conduit/conduit.ts";
export type { Frame, Subprotocol } from "../protocol/codec.ts";
export type { Clock } from "../system/clock.ts";
export type { Random } from "../system/random.ts";
export { connect } from "./connect.ts";
