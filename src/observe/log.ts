/** Logging as a port: JSON lines with a session or request id, and never a token. */

/** How much an operator should care. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a log line may carry. No token, credential or body ever goes in. */
export type LogFields = { readonly [key: string]: string | number | boolean | undefined };

/** Where log lines go. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  /** Something that should not happen; a test that did not expect it fails. */
  error(event: string, fields?: LogFields): void;
}
