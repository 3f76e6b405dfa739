/** What a foreign client is told, what it is given, and what it counts. */

/** A message as JSON text has it: name first. */
export type Wire = readonly [name: string, ...fields: unknown[]];

const CONDUIT_NAMES = ["established", "refused", "ack", "ping", "pong", "goaway", "close", "volatile"];

/** True for session messages: all that are not named as those of a conduit. */
export function isNumbered([name]: Wire): boolean {
  return !CONDUIT_NAMES.includes(name);
}

/** What `established` says. */
export interface Established {
  readonly challenge: string;
  readonly session: string;
  readonly token: string;
  readonly resumed: boolean;
  readonly received: number;
  readonly sent: number;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  readonly limits: { readonly windowMessages: number; readonly windowBytes: number };
}

/** What a {@link ForeignClient} saw. */
export interface ForeignCounts {
  dials: number;
  established: number;
  resumed: number;
  replayed: number;
  /** Session messages dropped because they had been taken before (`delivery.dedupe`). */
  duplicates: number;
  acksSent: number;
  acksReceived: number;
  pings: number;
  /** Conduits that an abandoned `start` of this very client superseded. */
  ghosts: number;
  goaways: number;
  /** Acks and session messages that came on a conduit after it was replaced. */
  fromReplaced: number;
}

/** Nothing seen yet. */
export function noCounts(): ForeignCounts {
  return {
    dials: 0,
    established: 0,
    resumed: 0,
    replayed: 0,
    duplicates: 0,
    acksSent: 0,
    acksReceived: 0,
    pings: 0,
    ghosts: 0,
    goaways: 0,
    fromReplaced: 0,
  };
}

/** How a client's conduits are made and for how long it is patient; milliseconds. */
export interface ForeignOptions {
  /** Where to dial next. */
  readonly url: () => string;
  /** How long an answer to `start` may take (default 2,000). */
  readonly answer?: number;
  /** The longest wait before a dial (default 400). */
  readonly backoff?: number;
}
