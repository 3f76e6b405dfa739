/** Lets operators in beside everybody else: by their page's cookie, or by the admin token in place of other credentials. */

import {
  type Authentication,
  type Authenticator,
  type GrantLimits,
  OPERATOR,
} from "../access/authenticator.ts";
import { ADMIN_SERVICE } from "./admin_service.ts";

/** What credentials are worth that say they are an operator's. */
export type OperatorCredentials =
  /** @see Grant.expiresAt */
  | { readonly good: true; readonly expiresAt: number | null }
  | { readonly good: false; readonly detail: string };

/** Knows the credentials of operators. */
export interface Operators {
  /** Null for credentials that are somebody else's to judge. */
  operatorOf(credentials: string): OperatorCredentials | null;
}

/** A page is one session, and is gone a minute after its last conduit. */
const LIMITS: GrantLimits = { sessions: 32, connections: 8, resumeWindow: 60_000 };

export class OperatorAuthenticator implements Authenticator {
  readonly #others: Authenticator;
  readonly #operators: Operators;

  constructor(others: Authenticator, operators: Operators) {
    this.#others = others;
    this.#operators = operators;
  }

  authenticate(credentials: string | undefined): Authentication | Promise<Authentication> {
    const operator = this.#operatorOf(credentials);
    if (operator === null) return this.#others.authenticate(credentials);
    if (!operator.good) return { ok: false, reason: "unauthorized", detail: operator.detail };
    const { expiresAt } = operator;
    const grant = { principal: OPERATOR, expiresAt, services: [ADMIN_SERVICE], limits: LIMITS, admin: true };
    return { ok: true, grant };
  }

  isOperator(credentials: string | undefined): boolean {
    return this.#operatorOf(credentials)?.good === true;
  }

  #operatorOf(credentials: string | undefined): OperatorCredentials | null {
    return credentials === undefined ? null : this.#operators.operatorOf(credentials);
  }
}
