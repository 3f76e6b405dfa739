/** What happened to the session, as the timeline shows it. */

/** One thing that happened, and when. Times are milliseconds since the Unix epoch. */
export type Happening =
  | { readonly kind: "opened"; readonly at: number }
  | { readonly kind: "resumed"; readonly at: number; readonly replayed: number; readonly apart: number }
  | { readonly kind: "detached"; readonly at: number; readonly code: number; readonly reason: string }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "offline"; readonly at: number; readonly duration: number }
  | { readonly kind: "reloaded"; readonly at: number }
  | { readonly kind: "failed"; readonly at: number; readonly error: string }
  | {
    readonly kind: "over";
    readonly at: number;
    readonly how: "lost" | "taken-over" | "ended";
    readonly reason: string;
  };

/** The happenings of one session, oldest first; plain JSON. */
export interface History {
  entries: Happening[];
  /** How often the session was resumed, and what came again with it; counted beyond the entries that are kept. */
  resumes: number;
  replayed: number;
  attached: boolean;
  /** When the session last had a connection; `null` before its first. */
  apartSince: number | null;
}

/** A time in which the session had a connection, or had not. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly attached: boolean;
}

/** So many entries are kept; older ones fall out. */
export const KEPT_ENTRIES = 60;

/** A history before anything happened. */
export function newHistory(): History {
  return { entries: [], resumes: 0, replayed: 0, attached: false, apartSince: null };
}

/** The session got its first connection. */
export function opened(history: History, at: number): void {
  history.attached = true;
  append(history, { kind: "opened", at });
}

/** The session got another connection. @param replayed How many messages this side sends again. */
export function resumed(history: History, at: number, replayed: number): void {
  const apart = history.apartSince === null ? 0 : Math.max(0, at - history.apartSince);
  history.attached = true;
  history.resumes++;
  history.replayed += replayed;
  append(history, { kind: "resumed", at, replayed, apart });
}

/** The connection broke; a failed attempt to get another one changes nothing. */
export function detached(history: History, at: number, code: number, reason: string): void {
  if (history.attached) append(history, { kind: "detached", at, code, reason });
  leave(history, at);
}

/** The page was loaded again, and its connection went with the page that was there before. */
export function reloaded(history: History, at: number): void {
  append(history, { kind: "reloaded", at });
  leave(history, at);
}

/** Something that changes nothing about the connection by itself. */
export function noted(history: History, happening: Happening & { kind: "cut" | "offline" | "failed" }): void {
  append(history, happening);
}

/** The session is over for this page. */
export function over(
  history: History,
  at: number,
  how: "lost" | "taken-over" | "ended",
  reason: string,
): void {
  leave(history, at);
  append(history, { kind: "over", at, how, reason });
}

/**
 * When the session was attached and when not, between two times, as far as the entries reach back.
 *
 * Nothing is claimed about the time before the oldest entry.
 */
export function spans(history: History, from: number, to: number): Span[] {
  const found: Span[] = [];
  let since: number | undefined;
  let attached = false;
  const close = (until: number) => {
    if (since === undefined) return;
    const span = { from: Math.max(from, since), to: Math.min(to, until), attached };
    if (span.from < span.to) found.push(span);
  };
  for (const entry of history.entries) {
    const now = attachedAfter(entry);
    if (now === undefined) continue;
    close(entry.at);
    since = now === "nothing" ? undefined : entry.at;
    attached = now === "attached";
  }
  close(to);
  return found;
}

function attachedAfter(entry: Happening): "attached" | "apart" | "nothing" | undefined {
  switch (entry.kind) {
    case "opened":
    case "resumed":
      return "attached";
    case "detached":
    case "reloaded":
      return "apart";
    case "over":
      return "nothing";
    case "cut":
    case "offline":
    case "failed":
      return undefined;
    default:
      return entry satisfies never;
  }
}

function leave(history: History, at: number): void {
  if (history.attached) history.apartSince = at;
  history.attached = false;
}

function append(history: History, entry: Happening): void {
  history.entries.push(entry);
  if (history.entries.length > KEPT_ENTRIES) history.entries.shift();
}
