/**
 * The ids of the rules that a peer can break. `docs/protocol.md` holds their text; `close.detail` names them.
 */
export type RuleId =
  | "frame.batch"
  | "frame.body"
  | "frame.cost"
  | "frame.header"
  | "frame.ids"
  | "frame.unknown"
  | "handshake.first"
  | "handshake.challenge"
  | "delivery.ack"
  | "delivery.bounded"
  | "delivery.gap"
  | "delivery.window"
  | "connection.early"
  | "connection.open"
  | "connection.credit"
  | "call.limit"
  | "call.once"
  | "channel.credit"
  | "channel.order";

/** What a peer did wrong: the rule it broke and, for a person, how. A value, never thrown. */
export interface Violation {
  /** The rule that was broken. */
  readonly rule: RuleId;
  /** How, for a person. */
  readonly detail: string;
}

/** Builds a {@link Violation}. */
export function violation(rule: RuleId, detail: string): Violation {
  return { rule, detail };
}
