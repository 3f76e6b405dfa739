/** A log that a test reads, and that fails the test on an error line nobody expected. */

import type { Log, LogFields, LogLevel } from "../../src/observe/log.ts";

/** One line that was logged. */
export interface TestLogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

/** A {@link Log} that keeps its lines. End each test that has one with `log.verify()`. */
export class TestLog implements Log {
  readonly lines: TestLogLine[] = [];
  readonly #expected = new Set<string>();

  debug(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "debug", event, fields });
  }

  info(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "info", event, fields });
  }

  warn(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", event, fields });
  }

  error(event: string, fields: LogFields = {}): void {
    this.lines.push({ level: "error", event, fields });
  }

  /** The lines of one event, in order. */
  of(event: string): TestLogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** States that this event is logged as an error at least once, any number of times. */
  expectError(event: string): void {
    this.#expected.add(event);
  }

  /** @throws Error if an error line was not expected, or an expected one never came. */
  verify(): void {
    const errors = this.lines.filter((line) => line.level === "error");
    const unexpected = errors.filter((line) => !this.#expected.has(line.event));
    if (unexpected.length > 0) {
      throw new Error(`unexpected error lines in the log:\n${unexpected.map(printed).join("\n")}`);
    }
    const missing = [...this.#expected].filter((event) => !errors.some((line) => line.event === event));
    if (missing.length > 0) {
      throw new Error(`expected error lines that were never logged: ${missing.join(", ")}`);
    }
  }
}

function printed(line: TestLogLine): string {
  return `${line.event} ${JSON.stringify(line.fields)}`;
}
