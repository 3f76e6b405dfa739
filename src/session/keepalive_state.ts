/** Keepalive of one conduit, for either side: when to ping, and when to give the conduit up. Rules `keepalive.*`. */

/** Both in milliseconds. */
export interface KeepaliveSettings {
  readonly interval: number;
  readonly timeout: number;
}

export interface KeepaliveState {
  heardAt: number;
  spokeAt: number;
  /** The ping that was not answered yet. */
  outstanding: { readonly nonce: number; readonly lostAt: number } | null;
  nonce: number;
}

/** A conduit that was just established. */
export function newKeepalive(now: number): KeepaliveState {
  return { heardAt: now, spokeAt: now, outstanding: null, nonce: 0 };
}

/** Sends a ping of one's own accord, to be answered within `timeout` milliseconds; its nonce. */
export function probe(state: KeepaliveState, timeout: number, now: number): number {
  state.nonce++;
  state.outstanding = { nonce: state.nonce, lostAt: now + timeout };
  state.spokeAt = now;
  return state.nonce;
}

/** An answer; a wrong nonce is ignored (`keepalive.ping`). */
export function answered(state: KeepaliveState, nonce: number): void {
  if (state.outstanding?.nonce === nonce) state.outstanding = null;
}

/** When the state must be looked at again. */
export function keepaliveDueAt(state: KeepaliveState, settings: KeepaliveSettings): number {
  return state.outstanding?.lostAt ?? Math.min(state.heardAt, state.spokeAt) + settings.interval;
}

/** What is due: nothing, a ping, or giving up the conduit. A `ping` counts as sent. */
export function keepaliveDue(
  state: KeepaliveState,
  settings: KeepaliveSettings,
  now: number,
): { readonly kind: "nothing" } | { readonly kind: "ping"; readonly nonce: number } | {
  readonly kind: "lost";
} {
  if (now < keepaliveDueAt(state, settings)) return { kind: "nothing" };
  if (state.outstanding !== null) return { kind: "lost" };
  return { kind: "ping", nonce: probe(state, settings.timeout, now) };
}

/** True if nothing at all was heard for `interval + timeout` (`keepalive.silence`). */
export function isSilent(state: KeepaliveState, settings: KeepaliveSettings, now: number): boolean {
  return now >= state.heardAt + settings.interval + settings.timeout;
}
