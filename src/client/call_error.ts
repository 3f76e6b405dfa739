/** How calls fail. */

import { adviceFor, type RpcAdvice, type RpcCode } from "../protocol/rpc_codes.ts";
import { RpcError, type RpcErrorOptions } from "../protocol/rpc_error.ts";

/** A call of this client's that failed: an `RpcError` that knows whether the call may be made again. */
export class CallError extends RpcError {
  /** The key under which it runs at most once; undefined if it has none. With a key it may be made again, whatever the advice. */
  readonly operation: string | undefined;

  /**
   * Builds the error.
   *
   * @param code Which of the closed set of failures it is.
   * @param message For people.
   * @param options What it carries beside.
   * @param operation The call's key.
   */
  constructor(code: RpcCode, message: string, options: RpcErrorOptions = {}, operation?: string) {
    super(code, message, options);
    this.operation = operation;
  }

  /** What may be done about it. */
  get advice(): RpcAdvice {
    return adviceFor(this.code);
  }
}
