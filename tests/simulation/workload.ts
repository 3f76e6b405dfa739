/**
 * What simulated applications say to each other, and what must therefore come back: each request names the replies it
 * wants, and which ones those are follows from its number alone.
 */

import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { EncodedBody } from "../../src/protocol/messages.ts";
import type { Service } from "../../src/service/service.ts";

/** How large the bodies of one run are. */
export interface Sizes {
  /** The most that the server takes. */
  readonly bodyBytes: number;
  /** How many of a thousand bodies are around that limit, or around one of {@link edges}. */
  readonly atTheEdge: number;
  /** Other sizes that mean something. */
  readonly edges: readonly number[];
}

/** Where one connection's conversation is. */
export interface Progress {
  /** Requests that were sent. */
  readonly sent: number;
  /** The last reply that was taken: of which request, and which of its replies. */
  readonly request: number;
  readonly reply: number;
}

/** Nothing was said yet. */
export const BEGINNING: Progress = { sent: 0, request: 0, reply: 0 };

/** The service `work`: answers each request with as many replies, and of such sizes, as it asks for. */
export const work: Service = {
  name: "work",
  onMessage(connection, body) {
    const { n, replies } = decodeBody(body) as { n: number; replies: number[] };
    replies.forEach((size, i) => connection.send(sized({ n, i }, size)));
  },
};

/** Request number `n`. */
export function request(n: number, sizes: Sizes): EncodedBody {
  return sized({ n, replies: replySizes(n, sizes) }, sizeOf(n * 7919, sizes));
}

/** As {@link request}, as a value. */
export function requestValue(n: number, sizes: Sizes): BodyValue {
  return decodeBody(request(n, sizes));
}

/** True when every reply to what was sent has come. */
export function isComplete({ sent, request, reply }: Progress, sizes: Sizes): boolean {
  return request === sent && (sent === 0 || reply === replySizes(request, sizes).length - 1);
}

/** How many requests are not answered in full. */
export function outstanding({ sent, request }: Progress): number {
  return sent - request;
}

/** Takes a reply. @returns Where the conversation is now, or what is wrong: lost, doubled, out of order, changed. */
export function takeReply(progress: Progress, value: BodyValue, sizes: Sizes): Progress | string {
  const { n, i, pad } = value as { n: number; i: number; pad: Uint8Array };
  const { sent, request, reply } = progress;
  const more = request > 0 && reply + 1 < replySizes(request, sizes).length;
  const expected = more ? { n: request, i: reply + 1 } : { n: request + 1, i: 0 };
  if (n !== expected.n || i !== expected.i || n > sent) {
    return `reply ${n}.${i} came where ${expected.n}.${expected.i} of ${sent} was next`;
  }
  const size = replySizes(n, sizes)[i]!;
  if (pad.length !== padOf({ n, i }, size) || pad.some((byte) => byte !== (n & 0xff))) {
    return `reply ${n}.${i} is not what the service sent`;
  }
  return { sent, request: n, reply: i };
}

function replySizes(n: number, sizes: Sizes): number[] {
  const count = [1, 1, 1, 2, 1, 3, 1, 1][mix(n) % 8]!;
  return Array.from({ length: count }, (_, i) => sizeOf(n * 31 + i, sizes));
}

/** How far a body is from an edge: what is compared with it may be the body, or the body with a header. */
const OFFSETS = [-100, -64, -16, -8, -1, 0, 1, 64];

function sizeOf(key: number, { bodyBytes, atTheEdge, edges }: Sizes): number {
  const chance = mix(key);
  // The limit itself, a byte less, and half of it; most bodies are small.
  if (chance % 1000 < atTheEdge) {
    const which = (chance >>> 10) % (3 + edges.length);
    const edge = edges[which - 3];
    if (edge !== undefined) return edge + OFFSETS[(chance >>> 5) % OFFSETS.length]!;
    return [bodyBytes, bodyBytes - 1, bodyBytes >> 1][which]!;
  }
  return (chance >>> 12) % Math.min(64, bodyBytes);
}

function sized(fields: { [key: string]: BodyValue }, size: number): EncodedBody {
  const n = fields.n as number;
  return encodeBody({ ...fields, pad: new Uint8Array(padOf(fields, size)).fill(n & 0xff) });
}

/** How long `pad` must be for the body to be `size` bytes, if it can be. */
function padOf(fields: { [key: string]: BodyValue }, size: number): number {
  const empty = encodeBody({ ...fields, pad: new Uint8Array(0) }).length;
  const room = size - empty;
  // The header of a `bin` grows at 256 and at 65,536 bytes.
  return Math.max(0, room < 256 ? room : room - 1 < 65_536 ? room - 1 : room - 3);
}

function mix(value: number): number {
  let z = Math.imul(value + 0x9e3779b9, 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
