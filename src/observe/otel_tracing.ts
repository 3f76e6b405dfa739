/** Tracing through OpenTelemetry's API. With `OTEL_DENO=true` the runtime stands behind it and exports. */

import {
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import { type HandshakeContext, type HandshakeSpan, parseTraceParent, type Tracing } from "./tracing.ts";

/** The name under which this server's spans are found. */
const INSTRUMENTATION = "holdfast";

/**
 * Spans `holdfast.handshake` and `holdfast.resume`, of kind server.
 *
 * @param provider Where spans go; by default whatever is registered with the API.
 */
export function otelTracing(provider: TracerProvider = trace.getTracerProvider()): Tracing {
  const tracer = provider.getTracer(INSTRUMENTATION);
  return {
    handshake({ resume, traceparent }: HandshakeContext): HandshakeSpan {
      const remote = traceparent === undefined ? null : parseTraceParent(traceparent);
      const parent = remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, {
        traceId: remote.traceId,
        spanId: remote.spanId,
        traceFlags: remote.flags,
        isRemote: true,
      });
      const name = resume ? "holdfast.resume" : "holdfast.handshake";
      return new OtelHandshake(tracer.startSpan(name, { kind: SpanKind.SERVER }, parent));
    },
  };
}

class OtelHandshake implements HandshakeSpan {
  #span: Span | null;

  constructor(span: Span) {
    this.#span = span;
  }

  established(session: string, resumed: boolean, replayed: number): void {
    this.#end({ outcome: "established", session, resumed, replayed });
  }

  refused(reason: string): void {
    this.#span?.setStatus({ code: SpanStatusCode.ERROR, message: reason });
    this.#end({ outcome: "refused", reason });
  }

  abandoned(): void {
    this.#end({ outcome: "abandoned" });
  }

  #end(attributes: { readonly [name: string]: string | number | boolean }): void {
    const span = this.#span;
    this.#span = null;
    if (span === null) return;
    for (const [name, value] of Object.entries(attributes)) span.setAttribute(`holdfast.${name}`, value);
    span.end();
  }
}
