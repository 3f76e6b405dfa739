/** What a WebSocket close frame can carry. */

/** Bytes of UTF-8 that RFC 6455 leaves to a close reason. */
const REASON_BYTES = 123;

/** Cuts a close reason to what a close frame carries, at a character boundary. */
export function cutReason(reason: string): string {
  if (reason.length * 3 <= REASON_BYTES) return reason;
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(REASON_BYTES));
  return reason.slice(0, read);
}
