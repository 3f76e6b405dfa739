/**
 * Services: application code that runs on a server's connections.
 *
 * @module
 */

export {
  type ConnectionOf,
  type DefinedMethods,
  type DefinedService,
  defineService,
  type MethodContracts,
  type ServiceOptions,
} from "./define_service.ts";
export {
  type Awaitable,
  type DefinedMethod,
  type DefinedTransaction,
  download,
  duplex,
  method,
  type Retry,
  type Source,
  transaction,
  upload,
} from "./methods.ts";
export type { DownloadCall, DuplexCall, MethodCall, UploadCall } from "./method_call.ts";
export type { ConnectionGates, TypedConnection } from "./typed_connection.ts";
export type { TypedTransaction } from "./typed_transaction.ts";
export type { Anything, Gate, NoInput, NoOutput, Schema, SchemaInput, SchemaOutput } from "./gate.ts";
export type { MethodGates, TransactionHandler } from "./serve_call.ts";
export { canonicalJson, type Json } from "./canonical_json.ts";
export type {
  Acceptance,
  CallFailure,
  CallOutcome,
  DataKey,
  Method,
  MethodKind,
  Rejection,
  ServedCall,
  Service,
  ServiceConnection,
  ServiceDescription,
  Transaction,
} from "./service.ts";
export type {
  Carries,
  Contracted,
  ContractOf,
  MethodContract,
  Received,
  ServiceContract,
  UntypedContract,
} from "../protocol/contract.ts";
export type { BodyValue } from "../protocol/body.ts";
export type { EncodedBody, Metadata } from "../protocol/messages.ts";
export { adviceFor, type RpcAdvice, type RpcCode } from "../protocol/rpc_codes.ts";
export { type EncodedFailure, RpcError, type RpcErrorOptions } from "../protocol/rpc_error.ts";
