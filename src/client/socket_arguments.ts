/** What a WebSocket's methods are given, checked and converted as the WebSockets standard says. */

import {
  CLOSE_REASON_BYTES,
  fitsClose,
  isApplicationCode,
  NO_CODE,
  type SocketClosing,
} from "../protocol/socket_closing.ts";
import { utf8Length } from "../protocol/utf8.ts";

/** RFC 9110, token. */
const TOKEN = /^[!#$%&'*+.^`|~\w-]+$/;

/** What a message is before it is sent. */
export interface OutgoingMessage {
  /** Text, bytes that may still change, or a blob that is still to be read. */
  readonly data: string | Uint8Array | Blob;
  /** Bytes; of a text in UTF-8. */
  readonly size: number;
}

/** @throws DOMException `SyntaxError` for what is no URL of a WebSocket. */
export function socketUrlOf(url: string | URL): string {
  const parsed = URL.canParse(`${url}`, base()) ? new URL(url, base()) : null;
  if (parsed?.protocol === "http:") parsed.protocol = "ws:";
  if (parsed?.protocol === "https:") parsed.protocol = "wss:";
  if (
    parsed === null || parsed.protocol !== "ws:" && parsed.protocol !== "wss:" || parsed.href.includes("#")
  ) {
    throw new DOMException(`${JSON.stringify(`${url}`)} is no URL of a WebSocket`, "SyntaxError");
  }
  return parsed.href;
}

/** @throws DOMException `SyntaxError` for a subprotocol that is no token, or is there twice. */
export function subprotocolsOf(protocols: string | readonly string[]): string[] {
  const names = typeof protocols === "string" ? [protocols] : [...protocols].map(String);
  for (const [index, name] of names.entries()) {
    if (TOKEN.test(name) && names.indexOf(name) === index) continue;
    throw new DOMException(`${JSON.stringify(name)} is no subprotocol, or is there twice`, "SyntaxError");
  }
  return names;
}

/** @throws DOMException `InvalidAccessError` for a code that is not the application's, `SyntaxError` for a long reason. */
export function closingOf(code: number | undefined, reason: string | undefined): SocketClosing {
  const text = wellFormed(`${reason ?? ""}`);
  const number = code === undefined ? undefined : clamped(code);
  if (number !== undefined && !isApplicationCode(number)) {
    throw new DOMException(
      `a WebSocket is closed with 1000 or 3000 … 4999, not with ${number}`,
      "InvalidAccessError",
    );
  }
  if (!fitsClose(text)) {
    throw new DOMException(`a close reason has at most ${CLOSE_REASON_BYTES} bytes in UTF-8`, "SyntaxError");
  }
  return { code: number ?? (text === "" ? NO_CODE : 1000), reason: text };
}

/** What `send` is given; anything that is no kind of message is sent as a string. */
export function messageOf(data: unknown): OutgoingMessage {
  if (data instanceof Blob) return { data, size: data.size };
  if (data instanceof ArrayBuffer) return { data: new Uint8Array(data), size: data.byteLength };
  if (ArrayBuffer.isView(data)) {
    const { buffer, byteOffset, byteLength } = data;
    return { data: new Uint8Array(buffer, byteOffset, byteLength), size: byteLength };
  }
  const text = wellFormed(`${data}`);
  return { data: text, size: utf8Length(text) };
}

/** Puts U+FFFD in place of lone surrogates. */
function wellFormed(text: string): string {
  return utf8Length(text) >= 0 ? text : new TextDecoder().decode(new TextEncoder().encode(text));
}

/** WebIDL's `[Clamp] unsigned short`. */
function clamped(code: number): number {
  const number = Number(code);
  if (Number.isNaN(number)) return 0;
  const within = Math.min(Math.max(number, 0), 65_535);
  const floor = Math.floor(within);
  const rest = within - floor;
  return rest > 0.5 || rest === 0.5 && floor % 2 === 1 ? floor + 1 : floor;
}

/** A page resolves urls against its own. */
function base(): string | undefined {
  return typeof location === "undefined" ? undefined : location?.href;
}
