/** What the page says about where the session stands and what happened to it. */

import type { Happening } from "./history_state.ts";

/** Where the session stands, for this page. Times are milliseconds since the Unix epoch. */
export type Standing =
  | { readonly kind: "connecting"; readonly attempt: number }
  | {
    readonly kind: "attached";
    readonly resumed: boolean;
    readonly replayed: number;
    readonly apart: number;
  }
  | { readonly kind: "detached"; readonly reason: string; readonly retryAt: number | null }
  | { readonly kind: "offline"; readonly until: number }
  | { readonly kind: "ending" }
  | { readonly kind: "lost" | "taken-over" | "ended"; readonly reason: string };

/** How a standing looks: its colour's name, the badge, one sentence, and whether the session is over here. */
export interface Shown {
  readonly tone: "attached" | "connecting" | "detached" | "over";
  readonly badge: string;
  readonly sentence: string;
  readonly over: boolean;
}

/** Puts a standing into words. @param now Milliseconds since the Unix epoch. */
export function show(standing: Standing, now: number): Shown {
  switch (standing.kind) {
    case "connecting":
      return {
        tone: "connecting",
        badge: "Connecting",
        sentence: standing.attempt > 1
          ? `Attempt ${standing.attempt} to reach the server. What you send meanwhile waits in the window.`
          : "Reaching the server.",
        over: false,
      };
    case "attached":
      return {
        tone: "attached",
        badge: standing.resumed ? "Resumed" : "Connected",
        sentence: standing.resumed
          ? `The same session on a new connection, after ${seconds(standing.apart)} without one; ` +
            `${count(standing.replayed, "message")} went out again, in order.`
          : "A new session. Break its connection below and see what happens.",
        over: false,
      };
    case "detached":
      return {
        tone: "detached",
        badge: "Detached",
        sentence: `The connection is gone (${standing.reason}); the session is not. ` +
          (standing.retryAt === null || standing.retryAt <= now
            ? "Trying again now."
            : `Next try in ${seconds(standing.retryAt - now)}.`),
        over: false,
      };
    case "offline":
      return {
        tone: "detached",
        badge: "Offline",
        sentence: `Staying away for another ${
          seconds(Math.max(0, standing.until - now))
        }. Messages are numbered and kept here meanwhile.`,
        over: false,
      };
    case "ending":
      return { tone: "connecting", badge: "Ending", sentence: "Waiting for the last acks.", over: false };
    case "lost":
      return {
        tone: "over",
        badge: "Session lost",
        sentence: `The server no longer has this session (${standing.reason}). Nothing is made up: ` +
          "what was in flight is not known to have arrived. A new one starts only when you say so.",
        over: true,
      };
    case "taken-over":
      return {
        tone: "over",
        badge: "Taken over",
        sentence: "Somebody else holds this session now, for example a copy of this tab. " +
          "This page stays away from it.",
        over: true,
      };
    case "ended":
      return {
        tone: "over",
        badge: "Ended",
        sentence: `The session is over (${standing.reason}). The numbers stay as they were.`,
        over: true,
      };
    default:
      return standing satisfies never;
  }
}

/** One line of the timeline. */
export function describe(happening: Happening): string {
  switch (happening.kind) {
    case "opened":
      return "New session";
    case "resumed":
      return `Resumed after ${seconds(happening.apart)}; ${count(happening.replayed, "message")} sent again`;
    case "detached":
      return `Detached: ${happening.reason}`;
    case "cut":
      return "You cut the wire";
    case "offline":
      return `You went offline for ${seconds(happening.duration)}`;
    case "reloaded":
      return "The page was loaded again";
    case "failed":
      return `The SDK reports: ${happening.error}`;
    case "over":
      return happening.how === "taken-over"
        ? "Taken over by somebody else"
        : `${happening.how === "lost" ? "Lost" : "Ended"}: ${happening.reason}`;
    default:
      return happening satisfies never;
  }
}

function seconds(milliseconds: number): string {
  return milliseconds < 1_000 ? `${Math.ceil(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
