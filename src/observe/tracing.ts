/**
 * Tracing as a port: one span per handshake, as a child of what the client names in `start.metadata`; and one per call, as a child
 * of what the call's own metadata name, else of what its session's `start` did.
 */

import type { Reason } from "../protocol/reasons.ts";

/** What a span begins with. */
export interface HandshakeContext {
  /** Whether the client asks for a session of its own. */
  readonly resume: boolean;
  /** W3C Trace Context, as the client sent it: not checked yet. */
  readonly traceparent: string | undefined;
}

/** The span of one handshake; ended by exactly one of the three, and a later call does nothing. */
export interface HandshakeSpan {
  /**
   * @param session Its id, which is public and grants nothing.
   * @param replayed How many messages the client lacked.
   */
  established(session: string, resumed: boolean, replayed: number): void;
  refused(reason: Reason): void;
  /** The conduit closed before there was an answer. */
  abandoned(): void;
}

/** What a call's span begins with. */
export interface CallContext {
  readonly service: string;
  /** As the client named it. */
  readonly method: string;
  /** The session's id, which is public and grants nothing. */
  readonly session: string;
  /** A node accepted the call before and was lost. */
  readonly again: boolean;
  /** W3C Trace Context, as the call's metadata say: not checked yet. */
  readonly traceparent: string | undefined;
}

/** The span of one call. */
export interface CallSpan {
  /** The call is over. @param outcome As it is counted: `ok`, a code of a failure, or why nobody waits for it. */
  ended(outcome: string): void;
}

/** Begins spans. Never throws. */
export interface Tracing {
  handshake(context: HandshakeContext): HandshakeSpan;
  /** Absent: calls are not traced, and nothing is made for them. */
  readonly call?: (context: CallContext) => CallSpan;
}

const NO_SPAN: HandshakeSpan = { established() {}, refused() {}, abandoned() {} };

/** Traces nothing, at no cost. */
export const NO_TRACING: Tracing = { handshake: () => NO_SPAN };

/** The parts of a `traceparent`. */
export interface TraceParent {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string;
  /** Bit 0: the caller recorded this trace. */
  readonly flags: number;
}

/** Reads a `traceparent` of W3C Trace Context; null if it is none: a new trace begins then. */
export function parseTraceParent(text: string): TraceParent | null {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text);
  if (match === null) return null;
  const [, version = "", traceId = "", spanId = "", flags = "", more] = match;
  // Only a later version may have more fields; version ff is forbidden.
  if (version === "ff" || version === "00" && more !== undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, flags: parseInt(flags, 16) };
}
