/** The port to whoever knows who a client is, and what an answer of it means. */

/** Limits that credentials may set for their principal; absent: the node's own. */
export interface GrantLimits {
  /** Sessions of the principal at once. */
  readonly sessions?: number;
  /** Connections of one session at once. */
  readonly connections?: number;
  /** How long a session may wait for its client, where that is less than the node's own; milliseconds. */
  readonly resumeWindow?: number;
}

/** What valid credentials give. */
export interface Grant {
  /** Who sessions belong to; {@link ANONYMOUS} where nobody is authenticated. */
  readonly principal: string;
  /** When the credentials end, milliseconds since the Unix epoch; null: never. */
  readonly expiresAt: number | null;
  /** The services that may be opened; null: all. */
  readonly services: readonly string[] | null;
  readonly limits: GrantLimits;
  /** True if they also carry the scope {@link ADMIN_SCOPE}. */
  readonly admin: boolean;
}

/** What came of credentials. `detail` is for a person and holds nothing of the credentials themselves. */
export type Authentication =
  | { readonly ok: true; readonly grant: Grant }
  /** They are missing or wrong. */
  | { readonly ok: false; readonly reason: "unauthorized"; readonly detail: string }
  /** Nobody can tell at present, for instance because the keys cannot be fetched. */
  | {
    readonly ok: false;
    readonly reason: "unavailable";
    readonly detail: string;
    /** Milliseconds. */
    readonly retryAfter: number;
  };

/** What came of credentials once it is also known whether their principal is kept out. */
export type Judgement =
  | Authentication
  | { readonly ok: false; readonly reason: "forbidden"; readonly detail: string };

/**
 * Obligations of an implementation: credentials are judged for the present moment; the answer takes a bounded time and
 * never rejects; no part of the credentials appears in an answer or a log line.
 */
export interface Authenticator {
  /** @param credentials As the client gave them, of any length; undefined: none. */
  authenticate(credentials: string | undefined): Authentication | Promise<Authentication>;
  /** True for good credentials of an operator's, whom a node that drains lets in all the same. Absent: there are none. */
  isOperator?(credentials: string | undefined): boolean;
}

/** The principal of sessions that belong to themselves. No credentials can name it. */
export const ANONYMOUS = "";

/**
 * The principal of operators who watch this node by its page, or with the admin token: their sessions are no application's, so
 * listings and counts leave them out, and a drain does not let go of them. No other credentials can name it.
 */
export const OPERATOR = "holdfast:operator";

/** The scope that opens the admin interface. */
export const ADMIN_SCOPE = "holdfast:admin";

const EVERYBODY: Authentication = {
  ok: true,
  grant: { principal: ANONYMOUS, expiresAt: null, services: null, limits: {}, admin: false },
};

/** `HOLDFAST_AUTH=none`: everybody is let in, and each session is its own principal. Credentials are not looked at. */
export const nobodyIsAuthenticated: Authenticator = { authenticate: () => EVERYBODY };
