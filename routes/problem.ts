/** Errors of HTTP routes as `application/problem+json` (RFC 9457). */

/** What went wrong with a request, for a program and for a person. */
export interface Problem {
  readonly status: number;
  /** Stable, in kebab case; becomes `type` as `urn:holdfast:problem:<name>`. */
  readonly name: string;
  readonly title: string;
  /** What this request should have done. Nothing secret: it is sent to whoever asked. */
  readonly detail: string;
  /** The rule of `docs/protocol.md` that was broken. */
  readonly rule?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The response that reports a problem; never cached. */
export function problem({ name, headers, ...members }: Problem): Response {
  const body = { type: `urn:holdfast:problem:${name}`, ...members };
  return new Response(JSON.stringify(body), {
    status: members.status,
    headers: {
      ...headers,
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}
