/**
 * Who may use the admin API.
 *
 * A bearer token, or a cookie that a page was given for one. The cookie holds a random id and nothing else; what it
 * stands for is in this process's memory, so a restart ends it. What changes something and comes with a cookie must also
 * come from this server's own pages.
 */

import { timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { parse } from "hono/utils/cookie";
import type { OperatorCredentials, Operators } from "../../src/admin/operator_authenticator.ts";
import { hashOf } from "../../src/system/hash.ts";
import type { Clock } from "../../src/system/clock.ts";
import { type Random, secret } from "../../src/system/random.ts";
import { type OriginPolicy, refuseOrigin } from "../origin.ts";
import { problem } from "../problem.ts";

/** The cookie's name. */
export const ADMIN_COOKIE = "holdfast_admin";

/** What the query of an upgrade is that asks to be an operator's. */
export const OPERATOR_QUERY = "?as=operator";

/** How long a login lasts; milliseconds. */
export const LOGIN_LIFETIME_MS = 12 * 3600 * 1000;
/** Logins at once; the oldest is forgotten for one more. */
const MOST_LOGINS = 100;

/** What the guard goes by. */
export interface GuardOptions {
  /** The operator's token; undefined: none is set. */
  readonly token: string | undefined;
  /** True for a bearer token that grants administration by itself, such as a JWT with that scope. */
  readonly verify?: ((bearer: string) => Promise<boolean>) | undefined;
  readonly origin: OriginPolicy;
  readonly clock: Clock;
  readonly random: Random;
  /** Told that a login was given up: whoever watches by it may not any more. */
  readonly loggedOut?: (() => void) | undefined;
}

/** Keeps strangers out, and knows who is logged in. */
export class Guard implements Operators {
  readonly #options: GuardOptions;
  /** Marks credentials that were made here of a cookie. It never leaves this process, so that nobody can make them. */
  readonly #mark: string;
  /** The hash of the one-time code that was made at start; null once it was used, or if there is none. */
  #code: string | null = null;
  /** Hashes of cookies, the oldest first, and until when each is good. */
  readonly #logins = new Map<string, number>();

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#mark = secret(options.random);
  }

  /** True if anybody can get in: a token is set, or may be judged, or the server listens on loopback only. */
  get on(): boolean {
    const { token, verify, origin } = this.#options;
    return token !== undefined || verify !== undefined || origin.loopback;
  }

  /**
   * Makes the code for the link that is printed at start: good once.
   *
   * @returns Null where that must not be: a token is set, or others can reach this server.
   */
  makeCode(): string | null {
    const { token, origin, random } = this.#options;
    if (token !== undefined || !origin.loopback) return null;
    const code = secret(random);
    this.#code = hashOf(code);
    return code;
  }

  /** Refuses requests without credentials; those with a cookie that change something also by their origin. */
  readonly require: MiddlewareHandler = async (context, next) => {
    const refused = await this.#refusal(context);
    if (refused !== undefined) return refused;
    await next();
    context.res.headers.set("cache-control", "no-store");
    return;
  };

  /**
   * Exchanges the one-time code, or a token, for a cookie.
   *
   * @returns The `Set-Cookie` header, or the refusal.
   */
  async login(context: Context, given: { code: string } | { token: string }): Promise<string | Response> {
    const foreign = this.#foreign(context.req.raw.headers);
    if (foreign !== undefined) return foreign;
    const granted = "code" in given ? this.#takeCode(given.code) : await this.#grants(given.token);
    if (!granted) return unauthorized("the code was used or is wrong, or the token is");
    const { random, clock } = this.#options;
    const id = secret(random);
    this.#logins.set(hashOf(id), clock.now() + LOGIN_LIFETIME_MS);
    const [oldest] = this.#logins.keys();
    if (this.#logins.size > MOST_LOGINS && oldest !== undefined) this.#logins.delete(oldest);
    return cookie(context, id, LOGIN_LIFETIME_MS / 1000);
  }

  /** Forgets the request's cookie. @returns The `Set-Cookie` header that removes it. */
  logout(context: Context): string {
    if (this.#logins.delete(hashOf(getCookie(context, ADMIN_COOKIE) ?? ""))) this.#options.loggedOut?.();
    return cookie(context, "", 0);
  }

  /**
   * The credentials of an upgrade that asks to be an operator's, with {@link OPERATOR_QUERY}; undefined for one that does not:
   * an ordinary page of this server brings the cookie too. Without a good cookie, or from another page than this server's,
   * they are such as are refused.
   */
  credentialsOf({ url, headers }: Request): string | undefined {
    if (!url.includes("?") || new URL(url).search !== OPERATOR_QUERY) return undefined;
    const id = parse(headers.get("cookie") ?? "", ADMIN_COOKIE)[ADMIN_COOKIE] ?? "";
    return `${this.#mark} ${this.#foreign(headers) === undefined ? hashOf(id) : ""}`;
  }

  /** What {@link credentialsOf} gave, and the operator's token, are judged here; JSON Web Tokens are not. */
  operatorOf(credentials: string): OperatorCredentials | null {
    const { token } = this.#options;
    if (token !== undefined && sameSecret(token, credentials)) return { good: true, expiresAt: null };
    // No token has a space.
    const [mark = "", login] = credentials.split(" ");
    if (login === undefined || !sameSecret(mark, this.#mark)) return null;
    const until = this.#logins.get(login);
    return until !== undefined && until > this.#options.clock.now() ? { good: true, expiresAt: until } : {
      good: false,
      detail: "nobody is logged in there as an operator, or the request is not this server's page's",
    };
  }

  async #refusal(context: Context): Promise<Response | undefined> {
    if (!this.on) {
      return forbidden("admin-off", "set HOLDFAST_ADMIN_TOKEN to use the admin API from elsewhere");
    }
    const header = context.req.header("authorization");
    if (header !== undefined) {
      const bearer = /^Bearer +([A-Za-z0-9._~+/=-]{1,8192})$/i.exec(header)?.[1];
      if (bearer !== undefined && await this.#grants(bearer)) return undefined;
      return unauthorized("these credentials are not the admin token, nor do they grant administration");
    }
    const id = getCookie(context, ADMIN_COOKIE);
    if (id === undefined) return unauthorized("send Authorization: Bearer with the admin token");
    const until = this.#logins.get(hashOf(id));
    if (until === undefined || until <= this.#options.clock.now()) {
      return unauthorized("this login is over; log in again");
    }
    return context.req.method === "GET" || context.req.method === "HEAD"
      ? undefined
      : this.#foreign(context.req.raw.headers);
  }

  /** Refuses what does not come from a page of this server. */
  #foreign(headers: Headers): Response | undefined {
    const origin = headers.get("origin");
    if (origin === null) return forbidden("origin-refused", "a request with a cookie must name its Origin");
    const refused = refuseOrigin(origin, headers.get("host"), this.#options.origin);
    return refused === undefined ? undefined : forbidden("origin-refused", refused);
  }

  async #grants(bearer: string): Promise<boolean> {
    const { token, verify } = this.#options;
    if (token !== undefined && sameSecret(token, bearer)) return true;
    return verify !== undefined && await verify(bearer);
  }

  #takeCode(code: string): boolean {
    if (this.#code === null || !sameSecret(this.#code, hashOf(code))) return false;
    this.#code = null;
    return true;
  }
}

/** Compares in constant time: digests, so that lengths do not show either. */
function sameSecret(one: string, other: string): boolean {
  const text = new TextEncoder();
  return timingSafeEqual(text.encode(hashOf(one)), text.encode(hashOf(other)));
}

function cookie(context: Context, id: string, maxAge: number): string {
  // TLS may end in front of this server.
  const scheme = context.req.header("x-forwarded-proto") ?? new URL(context.req.url).protocol;
  const secure = scheme.startsWith("https") ? "; Secure" : "";
  return `${ADMIN_COOKIE}=${id}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`;
}

function unauthorized(detail: string): Response {
  return problem({
    status: 401,
    name: "unauthorized",
    title: "Not authenticated",
    detail,
    headers: { "www-authenticate": 'Bearer realm="holdfast admin"' },
  });
}

function forbidden(name: string, detail: string): Response {
  return problem({ status: 403, name, title: "Refused", detail });
}
