/** The body of a request of `node:http`: it is read when a route asks for it, and no faster than the route reads. */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { HTTPException } from "hono/http-exception";
import { problem } from "./problem.ts";

/** A request's body cannot be had. That is its sender's doing and no defect; routes need not catch it. */
export class BodyFailed extends HTTPException {
  override readonly name = "BodyFailed";

  /** @param status What the request is answered with, where somebody is left to read it. */
  private constructor(status: 400 | 413, res: Response, cause?: unknown) {
    super(status, { res, cause });
  }

  /** It has more than `most` bytes. */
  static tooLarge(most: number): BodyFailed {
    return new BodyFailed(
      413,
      problem({
        status: 413,
        name: "body-too-large",
        title: "Body too large",
        detail: `the body of a request may have ${most} bytes`,
      }),
    );
  }

  /** Its connection ended before it did. */
  static brokeOff(cause: unknown): BodyFailed {
    return new BodyFailed(
      400,
      problem({
        status: 400,
        name: "malformed-request",
        title: "Malformed request",
        detail: "the body broke off",
      }),
      cause,
    );
  }
}

/** What a body must keep to, and who hears of it. */
export interface IncomingBodyOptions {
  /** Bytes. */
  readonly most: number;
  /** Called once, when a route asks for the body. */
  readonly onAsked: () => void;
  /** Told true when a route has to wait for what the peer sends, and false when that came or never will. */
  readonly onWaiting: (waiting: boolean) => void;
}

/** Bytes of the body that a request says it has; `Infinity` where it does not say how many. */
export function bodyBytes({ headers }: IncomingMessage): number {
  return headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : Infinity;
}

/**
 * The body as a stream, of which nothing is taken from the network before it is read: the pause that makes is for the
 * server's `highWaterMark` to bring about. A route that cancels it leaves the connection as it is, for its answer.
 *
 * The stream fails with {@link BodyFailed}.
 *
 * @returns null where there is none, or the method has none.
 * @throws BodyFailed if its head says that it is too large.
 */
export function incomingBody(
  incoming: IncomingMessage,
  { most, onAsked, onWaiting }: IncomingBodyOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> | null {
  if (incoming.method === "GET" || incoming.method === "HEAD") return null;
  const declared = bodyBytes(incoming);
  if (Number.isFinite(declared) && declared > most) throw BodyFailed.tooLarge(most);
  if (declared === 0) return null;
  let pieces: AsyncIterator<Buffer> | undefined;
  let length = 0;
  const next = async () => {
    if (pieces === undefined) {
      onAsked();
      pieces = incoming.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    }
    onWaiting(true);
    try {
      return await pieces.next();
    } catch (error) {
      throw BodyFailed.brokeOff(error);
    } finally {
      onWaiting(false);
    }
  };
  return new ReadableStream({
    async pull(controller) {
      const { value: piece, done } = await next();
      if (done === true) return controller.close();
      length += piece.byteLength;
      if (length > most) throw BodyFailed.tooLarge(most);
      controller.enqueue(new Uint8Array(piece));
    },
    async cancel() {
      await pieces?.return?.();
    },
  }, { highWaterMark: 0 });
}
