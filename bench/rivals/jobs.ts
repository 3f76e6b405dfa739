/**
 * What a generator process is asked for and what it answers: its one argument and its last line of output, as JSON. Before
 * it comes a line that says when it did what a profile is to show, `windows` and JSON.
 */

/** The systems that are measured beside each other, the floor first. */
export const CONTENDERS = [
  "bare",
  "ephemeral",
  "durable",
  "socket.io",
  "river",
  "colyseus",
  "mosquitto-qos1",
  "mosquitto-qos2",
  "jetstream",
  "jetstream-publish",
] as const;

/** One of {@link CONTENDERS}. */
export type Contender = typeof CONTENDERS[number];

/** Each message comes back and is answered by the next one; times in milliseconds. */
export interface EchoJob {
  readonly kind: "echo";
  readonly sessions: number;
  /** Per session. */
  readonly inFlight: number;
  readonly warmUp: number;
  readonly duration: number;
  /** The server's process. */
  readonly pid: number;
}

/** `inFlight` messages in all move over all sessions in turn, so that each session is used and none is favoured. */
export interface GrowthJob {
  readonly kind: "growth";
  readonly sessions: number;
  /** In all. */
  readonly inFlight: number;
  /** How long opening all sessions may take. */
  readonly within: number;
  readonly warmUp: number;
  readonly duration: number;
  readonly pid: number;
}

/** Sessions that are opened, used once and held until a line says `drop`, then until one says `stop`. */
export interface HoldJob {
  readonly kind: "hold";
  readonly sessions: number;
  /** The first session's number; others of the same run must not meet it. */
  readonly from: number;
}

/** One session is cut off `times` times and misses `missed` messages each time. */
export interface BreakJob {
  readonly kind: "break";
  readonly times: number;
  readonly missed: number;
}

/** All sessions are cut off, miss `missed` messages each and come back at once, `dials` of them at the same time. */
export interface StormJob {
  readonly kind: "storm";
  readonly sessions: number;
  readonly missed: number;
  readonly dials: number;
  /** The server's process. */
  readonly pid: number;
}

/** The server is killed under load; somebody starts it again on the same port with the same files. */
export interface KillJob {
  readonly kind: "kill";
  readonly sessions: number;
  /** Per session. */
  readonly inFlight: number;
  readonly before: number;
  readonly pid: number;
}

/** Any of them. */
export type Job = EchoJob | GrowthJob | HoldJob | BreakJob | StormJob | KillJob;

/** The one argument of a generator. */
export interface Assignment {
  readonly contender: Contender;
  readonly url: string;
  readonly job: Job;
}

/** What an {@link EchoJob} or a {@link GrowthJob} measured. */
export interface Pace {
  readonly perSecond: number;
  /** Round trip, milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of the server's and the generator's processor time per round trip. */
  readonly serverCost: number;
  readonly generatorCost: number;
}

/** Messages that did not do as they should, over all sessions. */
export interface Faults {
  /** Sent, or due, and never there. */
  readonly lost: number;
  /** There more than once. */
  readonly doubled: number;
  /** There after a later one. */
  readonly late: number;
  /** Sessions that the system had to begin anew. */
  readonly forgotten: number;
}

/** What a {@link BreakJob}, a {@link StormJob} or a {@link KillJob} measured; milliseconds. */
export interface Recovery extends Faults {
  readonly sessions: number;
  readonly p50: number;
  readonly p99: number;
  /** When the last one was done. */
  readonly all: number;
  /** For a break, where the client can tell: medians from the dial to an open socket, and to a session that is there. */
  readonly opened?: number;
  readonly established?: number;
  /** For a storm: microseconds of the server's and the generator's processor time per session. */
  readonly serverCost?: number;
  readonly generatorCost?: number;
}
