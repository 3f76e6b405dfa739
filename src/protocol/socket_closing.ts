/**
 * How a WebSocket's close code and reason cross a connection: as the reason and the detail of its `end`.
 *
 * The client closes with reason `close`, the upstream with `upstream-closed`; the detail is the code in decimal and, after one
 * space, the close reason if there is one: `1000`, `4001 too many tabs`. Code 1005 says that no code was given, 1006 that
 * the socket was gone without a close, as in a `CloseEvent`.
 */

import { utf8Length } from "./utf8.ts";

/** The reason of an `end` with which a client closes. */
export const CLOSED_BY_CLIENT = "close";

/** The reason of an `end` that says how the upstream closed. */
export const CLOSED_BY_UPSTREAM = "upstream-closed";

/** In a close frame there was no code. */
export const NO_CODE = 1005;

/** There was no close frame. */
export const ABNORMAL = 1006;

/** What a close frame has room for beside the code. */
export const CLOSE_REASON_BYTES = 123;

/** How a WebSocket was closed. */
export interface SocketClosing {
  /** The code, or {@link NO_CODE}, or {@link ABNORMAL}. */
  readonly code: number;
  /** At most {@link CLOSE_REASON_BYTES}. */
  readonly reason: string;
}

/** The detail of an `end`. */
export function closingDetail({ code, reason }: SocketClosing): string {
  return reason === "" ? `${code}` : `${code} ${reason}`;
}

/** Reads the detail of an `end`. @returns Null for one that is no {@link closingDetail}. */
export function readClosing(detail: string): SocketClosing | null {
  const [, digits, reason = ""] = /^([1-4]\d{3})(?: (.+))?$/s.exec(detail) ?? [];
  if (digits === undefined || !fitsClose(reason)) return null;
  const code = Number(digits);
  return (code === NO_CODE || code === ABNORMAL) && reason !== "" ? null : { code, reason };
}

/** True for a text that a close frame has room for. */
export function fitsClose(reason: string): boolean {
  const bytes = utf8Length(reason);
  return bytes >= 0 && bytes <= CLOSE_REASON_BYTES;
}

/** True for a code that an application may close with. */
export function isApplicationCode(code: number): boolean {
  return code === 1000 || code >= 3000 && code <= 4999;
}
