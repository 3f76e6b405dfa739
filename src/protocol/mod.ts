/**
 * The Holdfast wire protocol, version 1: messages, both encodings, bodies, reasons and limits.
 *
 * `docs/protocol.md` is the normative text.
 *
 * @module
 */

export { BodyError, type BodyValue, checkBody, decodeBody, encodeBody } from "./body.ts";
export type { Decoded, DecodeLimits, Frame, FrameCodec, Subprotocol } from "./codec.ts";
export { chooseSubprotocol, codecFor } from "./codecs.ts";
export { encodeConduit, type EncodedMessage, encodeSession, splitEncoded } from "./encode.ts";
export { jsonCodec } from "./json_codec.ts";
export {
  DEFAULT_LIMITS,
  jsonFrameBytes,
  type Limits,
  MAX_DEPTH,
  METADATA_BYTES,
  PROTOCOL_VERSION,
} from "./limits.ts";
export * from "./messages.ts";
export { msgpackCodec } from "./msgpack_codec.ts";
export {
  closeCode,
  CONNECTION_REASONS,
  type ConnectionReason,
  type Instruction,
  instructionFor,
  instructionForCode,
  isReason,
  type Reason,
  REASONS,
} from "./reasons.ts";
export { adviceFor, isRpcCode, RPC_CODES, type RpcAdvice, type RpcCode } from "./rpc_codes.ts";
export {
  decodeFailure,
  type EncodedFailure,
  encodeFailure,
  RpcError,
  type RpcErrorOptions,
} from "./rpc_error.ts";
export type { RuleId, Violation } from "./rules.ts";
