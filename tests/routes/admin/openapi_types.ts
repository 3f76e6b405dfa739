export interface paths {
  "/v1/admin/login": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Exchange a one-time code or a token for a cookie
     * @description For pages of this server: the request must name its Origin.
     */
    post: operations["logIn"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/logout": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Forget the cookie */
    post: operations["logOut"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/sessions": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List sessions
     * @description First the ephemeral sessions of the node that answers, then all that are in the store. A filter that matches little gives short or empty parts: follow `next` until it is null.
     */
    get: operations["listSessions"];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/sessions/{id}": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Show one session */
    get: operations["getSession"];
    put?: never;
    post?: never;
    /**
     * End a session
     * @description The client is told `ended`, now or when it comes back. Answered when it is committed.
     */
    delete: operations["endSession"];
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/sessions/{id}/break": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Break a session's conduit
     * @description The session stays; its client resumes.
     */
    post: operations["breakConduit"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/sessions/{id}/connections/{connection}/messages": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Send a message on a connection of a session
     * @description Delivered exactly once and in order, as everything on a connection, also to a session that is detached, parked or attached to another node. Answered when it is committed with the session.
     */
    post: operations["pushMessage"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/principals/{principal}": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Show a principal
     * @description Its sessions are listed by `/v1/admin/sessions?principal=`.
     */
    get: operations["getPrincipal"];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/principals/{principal}/block": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    /**
     * Keep a principal out
     * @description On every node, from now on: its conduits are broken, its handshakes refused with `forbidden`, resumes too. Answered when the other nodes have answered, or after 8 s: `unreached` names those that did not. `holdfast:operator` is refused.
     */
    put: operations["blockPrincipal"];
    post?: never;
    /** Let a principal in again */
    delete: operations["unblockPrincipal"];
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/operations/lookup": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Find an operation by what its caller knows it by
     * @description A body and no URL: an operation key is its caller's. Changes nothing. The answer's `operation` is the id for the other routes.
     */
    post: operations["findOperation"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/operations/{operation}": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Show an operation */
    get: operations["getOperation"];
    put?: never;
    post?: never;
    /**
     * Forget an operation
     * @description The next call with its key runs, whatever the forgotten one did: for outcomes that are wrong, and for indeterminate ones once somebody has found out. One that runs on a live node is refused: forgotten, it would run twice.
     */
    delete: operations["forgetOperation"];
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/services": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** List the services of this node */
    get: operations["listServices"];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/node": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Show the node that answers */
    get: operations["getNode"];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/node/drain": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /**
     * Let go of all sessions of this node
     * @description `/readyz` turns 503, new sessions are refused, attached ones are asked to move. Answered at once.
     */
    post: operations["drainNode"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/node/undrain": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Take new sessions again */
    post: operations["undrainNode"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/store": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Count what the store holds
     * @description Counting stops at 10,000 rows of a kind.
     */
    get: operations["getStore"];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  "/v1/admin/store/sweep": {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** End now what is due, and remove what is over */
    post: operations["sweepStore"];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
}
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    Problem: {
      /** @example urn:holdfast:problem:unknown-session */
      type: string;
      title: string;
      status: number;
      detail: string;
      /** @description The rule of docs/protocol.md that was broken */
      rule?: string;
    };
    Login: {
      code: string;
    } | {
      token: string;
    };
    SessionPage: {
      sessions: components["schemas"]["SessionSummary"][];
      /** @description The cursor of the next part, which may be shorter than asked for, or empty; null: this was the last */
      next: string | null;
    };
    SessionSummary: {
      id: string;
      /** @description Empty where nobody is authenticated */
      principal: string;
      /**
       * @description With a conduit; without one; without one and in no node's memory; over and remembered
       * @enum {string}
       */
      state: "attached" | "detached" | "parked" | "ended";
      /**
       * @description Null once the session ended. Ephemeral sessions are known to their own node alone
       * @enum {string|null}
       */
      durability: "durable" | "ephemeral" | null;
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      createdAt: number;
      /** @description The node that has its conduit */
      node: string | null;
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      detachedAt: number | null;
      /**
       * @description When a session message last moved in either direction
       * @example 1767225600000
       */
      movedAt: number | null;
      ended: {
        /** @enum {string} */
        reason:
          | "unavailable"
          | "draining"
          | "rate-limited"
          | "too-many-sessions"
          | "no-slots"
          | "handshake-timeout"
          | "keepalive-timeout"
          | "slow-consumer"
          | "protocol-error"
          | "unknown-session"
          | "stale-token"
          | "expired"
          | "closed"
          | "diverged"
          | "settings-changed"
          | "challenge-used"
          | "token-reuse"
          | "idle"
          | "ended"
          | "superseded"
          | "malformed"
          | "unsupported-version"
          | "forbidden"
          | "unauthorized"
          | "authorisation-expired"
          | "frame-too-big";
        detail: string;
        /**
         * @description Milliseconds since the Unix epoch
         * @example 1767225600000
         */
        at: number;
      } | null;
    };
    SessionDetail: components["schemas"]["SessionSummary"] & {
      connections: components["schemas"]["ConnectionView"][];
      counters: {
        /** @description Messages taken from the client and committed */
        received: number;
        /** @description Messages for the client that are committed */
        sent: number;
        /** @description How many of them the client has */
        acked: number;
        unackedBytes: number;
        /** @description What the unacked messages count for under delivery.bounded */
        unackedCost: number;
        /** @description Messages and calls that were taken and are not done */
        work: number;
        /** @description What they, and what connections keep and have waiting, count for under delivery.bounded */
        heldBytes: number;
      } | null;
      /** @description The last attachments, the oldest first */
      history: components["schemas"]["HistoryEntry"][];
    };
    ConnectionView: {
      id: number;
      service: string;
      /**
       * @description Opened by the server, or by the client, and not answered; open; ended by the client while its messages are being handled
       * @enum {string}
       */
      phase: "opening" | "offered" | "open" | "ending";
      /** @description Calls of the client's in flight */
      calls: number;
      /** @description Calls of the service's in flight */
      callsToClient: number;
      /** @description Uploads and downloads that are open */
      channels: number;
      /** @description Messages that were taken and are not handled */
      held: number;
      /** @description Messages that wait for the client's credit */
      waiting: number;
      /** @description What the service keeps with the connection */
      keptBytes: number;
    };
    HistoryEntry: {
      /** @enum {string} */
      kind: "attached";
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      at: number;
      node: string;
    } | {
      /** @enum {string} */
      kind: "resumed";
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      at: number;
      node: string;
      replayed: number;
    } | {
      /** @enum {string} */
      kind: "detached";
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      at: number;
      /** @enum {string} */
      reason:
        | "unavailable"
        | "draining"
        | "rate-limited"
        | "too-many-sessions"
        | "no-slots"
        | "handshake-timeout"
        | "keepalive-timeout"
        | "slow-consumer"
        | "protocol-error"
        | "unknown-session"
        | "stale-token"
        | "expired"
        | "closed"
        | "diverged"
        | "settings-changed"
        | "challenge-used"
        | "token-reuse"
        | "idle"
        | "ended"
        | "superseded"
        | "malformed"
        | "unsupported-version"
        | "forbidden"
        | "unauthorized"
        | "authorisation-expired"
        | "frame-too-big"
        | "broke"
        | "node-lost";
    };
    Ended: {
      session: string;
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      endedAt: number;
    };
    Broke: {
      session: string;
      /** @description False: there was no conduit */
      broken: boolean;
    };
    Pushed: {
      session: string;
      connection: number;
      /** @description The session message's number */
      sequence: number;
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      committedAt: number;
      /** @description It was sent by an earlier request with this key */
      repeated: boolean;
    };
    PushMessage: {
      /** @description The message, in the JSON form of docs/protocol.md, frame.body */
      body:
        | {
          [key: string]: unknown;
        }
        | unknown[]
        | string
        | number
        | boolean
        | null;
    };
    Principal: {
      principal: string;
      /** @description Those that have not ended; of ephemeral ones, those of the node that answers */
      sessions: number;
      /** @description Unless its credentials say otherwise */
      sessionLimit: number;
      blocked: {
        detail: string;
        /**
         * @description Milliseconds since the Unix epoch
         * @example 1767225600000
         */
        at: number;
      } | null;
    };
    Blocked: components["schemas"]["Principal"] & {
      /** @description Sessions that lost their conduit, on the nodes that answered */
      broken: number;
      /** @description Nodes that gave no answer in time: conduits may be open there. Ask again until it is empty */
      unreached: {
        node: string;
        /** @description The process */
        boot: string;
      }[];
    };
    Operation: {
      operation: string;
      /**
       * @description A node runs it; its outcome is kept; its node was lost, and it may have had effects or not
       * @enum {string}
       */
      state: "running" | "finished" | "indeterminate";
      /** @description Of its argument: a call with another one is a conflict */
      fingerprint: string;
      /**
       * @description When it is forgotten; null: nothing is stored of it yet
       * @example 1767225600000
       */
      expiresAt: number | null;
      /** @description Who runs it */
      node: {
        boot: string;
        name: string | null;
        /** @description False: it was lost, and callers are told indeterminate */
        live: boolean;
      } | null;
      outcome: {
        ok: boolean;
        /** @description Of the failure */
        code: string | null;
        /** @description The size of the answer */
        bytes: number;
      } | null;
    };
    /** @description Of a principal; or of a session, where nobody is authenticated */
    OperationName: {
      principal: string;
      service: string;
      method: string;
      key: string;
    } | {
      session: string;
      service: string;
      method: string;
      key: string;
    };
    Forgotten: {
      operation: string;
      /** @enum {string} */
      was: "running" | "finished" | "indeterminate";
    };
    Services: {
      services: {
        name: string;
        /** @description Open in this node's memory */
        connections: number;
      }[];
    };
    Node: {
      node: string;
      /** @description The process; new at every start */
      boot: string;
      region: string | null;
      /**
       * @description Milliseconds since the Unix epoch
       * @example 1767225600000
       */
      startedAt: number;
      draining: boolean;
      /** @description In this node's memory */
      sessions: {
        attached: number;
        detached: number;
        /** @description Of those who watch this node; in none of the other counts */
        operators: number;
      };
      conduits: number;
      /** @description Messages and calls that were taken and are not done */
      work: number;
      /** @description Operations that run here */
      operations: number;
      upstreamSockets: number;
      /** @description Since the node's start */
      counts: {
        newSessions: number;
        resumed: number;
        messagesIn: number;
        messagesOut: number;
        replayed: number;
        /** @description Handshakes that were refused */
        refused: components["schemas"]["ReasonCount"][];
        /** @description Sessions that ended */
        ended: components["schemas"]["ReasonCount"][];
      };
      /** @description Bytes */
      memory: {
        rss: number;
        heapUsed: number;
      };
      settings: {
        name: string;
        /** @description Null: a secret, or not set */
        value: string | null;
        set: boolean;
        doc: string;
      }[];
    };
    ReasonCount: {
      /** @enum {string} */
      reason:
        | "unavailable"
        | "draining"
        | "rate-limited"
        | "too-many-sessions"
        | "no-slots"
        | "handshake-timeout"
        | "keepalive-timeout"
        | "slow-consumer"
        | "protocol-error"
        | "unknown-session"
        | "stale-token"
        | "expired"
        | "closed"
        | "diverged"
        | "settings-changed"
        | "challenge-used"
        | "token-reuse"
        | "idle"
        | "ended"
        | "superseded"
        | "malformed"
        | "unsupported-version"
        | "forbidden"
        | "unauthorized"
        | "authorisation-expired"
        | "frame-too-big";
      count: number;
    };
    Draining: {
      draining: boolean;
    };
    Store: {
      /** @description The size of the store's file; null where it is not a file */
      bytes: number | null;
      rows: {
        session: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
        connection: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
        outbox: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
        deadline: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
        attached: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
        operation: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
        data: {
          rows: number;
          /** @description There are more than that */
          capped: boolean;
        };
      };
      /** @description Since this node's start */
      committer: {
        atomics: number;
        writes: number;
        mutations: number;
        conflicts: number;
        unknown: number;
        stagedPuts: number;
      };
    };
    Swept: {
      tookMs: number;
    };
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
  logIn: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        "application/json": components["schemas"]["Login"];
      };
    };
    responses: {
      /** @description Logged in */
      204: {
        headers: {
          "set-cookie": string;
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The body is too large */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The body is not application/json */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  logOut: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Logged out */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  listSessions: {
    parameters: {
      query?: {
        /** @description At most so many sessions */
        limit?: number;
        /** @description The `next` of the part before */
        cursor?: string;
        /** @description Whose sessions; empty: anonymous ones. Operators' own, of `holdfast:operator`, are listed only so */
        principal?: string;
        state?: "attached" | "detached" | "parked" | "ended";
        /** @description The name of the node that has the conduit, or the id of its process */
        node?: string;
        /** @description A service that one of its connections is for */
        service?: string;
        /** @description Created at least so many milliseconds ago */
        minAge?: number;
        /** @description Created at most so many milliseconds ago */
        maxAge?: number;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description A part of the listing */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["SessionPage"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  getSession: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The session's public id */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description The session */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["SessionDetail"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  endSession: {
    parameters: {
      query?: {
        /** @description What the client is told beside the reason `ended` */
        detail?: string;
      };
      header?: never;
      path: {
        /** @description The session's public id */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It has ended */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Ended"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description It is not in a state for that */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  breakConduit: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The session's public id */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It has no conduit now */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Broke"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description It is not in a state for that */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  pushMessage: {
    parameters: {
      query?: never;
      header: {
        /** @description A repeat under the same key is answered and not sent again; kept for 24 hours */
        "idempotency-key": string;
      };
      path: {
        /** @description The session's public id */
        id: string;
        /** @description The id of an open connection of the session */
        connection: number;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        "application/json": components["schemas"]["PushMessage"];
      };
    };
    responses: {
      /** @description It is committed */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Pushed"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description It is not in a state for that */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The body is too large */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The body is not application/json */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  getPrincipal: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The `sub` of its tokens */
        principal: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description The principal */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Principal"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  blockPrincipal: {
    parameters: {
      query?: {
        /** @description What the client is told beside the reason `forbidden` */
        detail?: string;
      };
      header?: never;
      path: {
        /** @description The `sub` of its tokens */
        principal: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is blocked */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Blocked"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description It is not in a state for that */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  unblockPrincipal: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The `sub` of its tokens */
        principal: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is not blocked */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Principal"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  findOperation: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        "application/json": components["schemas"]["OperationName"];
      };
    };
    responses: {
      /** @description The operation */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Operation"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The body is too large */
      413: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The body is not application/json */
      415: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  getOperation: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The operation's id, which its lookup gives */
        operation: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description The operation */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Operation"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  forgetOperation: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description The operation's id, which its lookup gives */
        operation: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is forgotten */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Forgotten"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description There is no such thing */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description It is not in a state for that */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  listServices: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description The services */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Services"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  getNode: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description The node */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Node"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  drainNode: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It drains */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Draining"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  undrainNode: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It takes sessions */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Draining"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  getStore: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description The counts */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Store"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
  sweepStore: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is done */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/json": components["schemas"]["Swept"];
        };
      };
      /** @description The request does not fit this description */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description Not authenticated */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The admin API is off, or the request comes from another site */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
      /** @description The store gives no answer, or nothing is known of the outcome; ask again */
      503: {
        headers: {
          /** @description Seconds */
          "retry-after": string;
          [name: string]: unknown;
        };
        content: {
          "application/problem+json": components["schemas"]["Problem"];
        };
      };
    };
  };
}
