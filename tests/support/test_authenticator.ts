/** An authenticator whose credentials are spelled out: the principal's name, and what it is granted. */

import type { Authentication, Authenticator, Grant } from "../../src/access/authenticator.ts";

/** Names in use are good credentials; every other is wrong. Time is not looked at: a grant says when it ends. */
export class TestAuthenticator implements Authenticator {
  /** While false, nobody can be judged. */
  available = true;
  /** Everything that was presented, in order. */
  readonly presented: (string | undefined)[] = [];
  readonly #grants = new Map<string, Grant>();

  /** Makes `credentials` good for `principal`. */
  grant(credentials: string, principal: string, more: Partial<Grant> = {}): this {
    const grant = { principal, expiresAt: null, services: null, limits: {}, admin: false, ...more };
    this.#grants.set(credentials, grant);
    return this;
  }

  authenticate(credentials: string | undefined): Authentication {
    this.presented.push(credentials);
    if (!this.available) return { ok: false, reason: "unavailable", detail: "no keys", retryAfter: 5_000 };
    const grant = this.#grants.get(credentials ?? "");
    return grant === undefined
      ? { ok: false, reason: "unauthorized", detail: "no such credentials" }
      : { ok: true, grant };
  }
}
