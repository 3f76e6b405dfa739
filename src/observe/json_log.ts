/** The log as JSON lines, one object per line, for a collector to read. */

import type { Clock } from "../system/clock.ts";
import type { Log, LogFields, LogLevel } from "./log.ts";

const RANK: { readonly [level in LogLevel]: number } = { debug: 0, info: 1, warn: 2, error: 3 };

/** What a {@link JsonLog} needs. */
export interface JsonLogOptions {
  /** The least level that is written. */
  readonly level: LogLevel;
  readonly clock: Pick<Clock, "now">;
  /** Takes one line, newline included. */
  readonly write: (line: string) => void;
}

/**
 * Writes `{"time", "level", "event", …fields}`.
 *
 * The three leading names cannot be overwritten by a field; a field that is undefined is left out.
 */
export class JsonLog implements Log {
  readonly #options: JsonLogOptions;

  constructor(options: JsonLogOptions) {
    this.#options = options;
  }

  debug(event: string, fields?: LogFields): void {
    this.#line("debug", event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#line("info", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#line("warn", event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#line("error", event, fields);
  }

  #line(level: LogLevel, event: string, fields: LogFields | undefined): void {
    const { clock, write } = this.#options;
    if (RANK[level] < RANK[this.#options.level]) return;
    const head = { time: new Date(clock.now()).toISOString(), level, event };
    write(`${JSON.stringify({ ...head, ...fields, ...head })}\n`);
  }
}

/**
 * What a log line may say about something that was thrown: its kind, message and first place in the code.
 *
 * @param thrown Whatever was caught.
 */
export function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `thrown: ${String(thrown).slice(0, 300)}`;
  const place = thrown.stack?.split("\n").find((line) => /^\s+at /.test(line))?.trim() ?? "";
  return `${thrown.name}: ${thrown.message.slice(0, 300)} ${place}`.trim();
}
