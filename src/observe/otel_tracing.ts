/** Tracing through OpenTelemetry's API. With `OTEL_DENO=true` the runtime stands behind it and exports. */

import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import {
  type CallContext,
  type CallSpan,
  type HandshakeContext,
  type HandshakeSpan,
  parseTraceParent,
  type Tracing,
} from "./tracing.ts";

/** The name under which this server's spans are found. */
const INSTRUMENTATION = "holdfast";

/** Sessions of which it is remembered what their `start` named; the oldest go first. */
const MOST_PARENTS = 16_384;

/** Why nobody waits for a call any more: nothing that failed. */
const NO_FAILURE: ReadonlySet<string> = new Set(["ok", "cancelled", "connection-ended", "moved"]);

/**
 * Spans `holdfast.handshake`, `holdfast.resume` and `holdfast.call`, of kind server.
 *
 * @param provider Where spans go; by default whatever is registered with the API.
 */
export function otelTracing(provider: TracerProvider = trace.getTracerProvider()): Tracing {
  const tracer = provider.getTracer(INSTRUMENTATION);
  /** What sessions' `start` named, the oldest first. */
  const parents = new Map<string, Context>();
  const remember = (session: string, parent: Context) => {
    parents.delete(session);
    if (parent === ROOT_CONTEXT) return;
    parents.set(session, parent);
    if (parents.size > MOST_PARENTS) {
      for (const oldest of parents.keys()) {
        return void parents.delete(oldest);
      }
    }
  };
  return {
    handshake({ resume, traceparent }: HandshakeContext): HandshakeSpan {
      const parent = parentOf(traceparent) ?? ROOT_CONTEXT;
      const name = resume ? "holdfast.resume" : "holdfast.handshake";
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER }, parent);
      return new OtelHandshake(span, (session) => remember(session, parent));
    },
    call({ traceparent, again, ...named }: CallContext): CallSpan {
      const parent = parentOf(traceparent) ?? parents.get(named.session) ?? ROOT_CONTEXT;
      const span = tracer.startSpan("holdfast.call", { kind: SpanKind.SERVER }, parent);
      setAll(span, again ? { ...named, again } : named);
      return {
        ended(outcome) {
          setAll(span, { outcome });
          if (!NO_FAILURE.has(outcome)) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
          span.end();
        },
      };
    },
  };
}

/** The span that a `traceparent` names; undefined where it names none. */
function parentOf(traceparent: string | undefined): Context | undefined {
  const remote = traceparent === undefined ? null : parseTraceParent(traceparent);
  if (remote === null) return undefined;
  const { traceId, spanId, flags: traceFlags } = remote;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function setAll(span: Span, attributes: { readonly [name: string]: string | number | boolean }): void {
  for (const [name, value] of Object.entries(attributes)) span.setAttribute(`holdfast.${name}`, value);
}

class OtelHandshake implements HandshakeSpan {
  #span: Span | null;

  readonly #remember: (session: string) => void;

  /** @param remember Told of the session that this handshake gave a conduit. */
  constructor(span: Span, remember: (session: string) => void) {
    this.#span = span;
    this.#remember = remember;
  }

  established(session: string, resumed: boolean, replayed: number): void {
    this.#remember(session);
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
    setAll(span, attributes);
    span.end();
  }
}
