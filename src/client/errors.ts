/** The one error class of the client. */

/** A session or a connection is over, or cannot do what was asked. */
export class HoldfastError extends Error {
  /** Distinguishes it from other errors, also across bundles. */
  override readonly name = "HoldfastError";
  /** One word: a reason of the protocol or of the application. */
  readonly reason: string;
  /** For a person; empty if there is nothing to say. */
  readonly detail: string;

  /**
   * Builds the error.
   *
   * @param reason One word.
   * @param detail For a person.
   */
  constructor(reason: string, detail: string) {
    super(detail === "" ? reason : `${reason}: ${detail}`);
    this.reason = reason;
    this.detail = detail;
  }
}
