/**
 * Decides how many handshakes one address may make: new ones by the second, resumes more generously.
 *
 * An address whose resumes fail again and again is guessing, and counts as new from then on.
 */

/** Handshakes per second and address. A second's worth may come at once. */
export interface AddressRates {
  readonly fresh: number;
  readonly resumes: number;
}

/** Failed resumes after which an address's resumes count as new handshakes. */
export const FAILED_RESUMES = 10;

/** Failed resumes are forgotten when none followed for this long. Milliseconds. */
export const FORGIVEN_AFTER_MS = 60_000;

/** Addresses that are remembered; beyond it the one that was quiet longest is forgotten. */
export const MOST_ADDRESSES = 65_536;

interface Address {
  fresh: number;
  resumes: number;
  at: number;
  failed: number;
  failedAt: number;
}

/** All addresses, the one that was quiet longest first. */
export interface AddressState {
  readonly rates: AddressRates;
  readonly addresses: Map<string, Address>;
}

/** Nobody has come yet. */
export function newAddresses(rates: AddressRates): AddressState {
  return { rates, addresses: new Map() };
}

/**
 * Counts one handshake.
 *
 * @param now Milliseconds since the Unix epoch.
 * @returns Null if it may go on; otherwise in how many milliseconds another attempt is welcome.
 */
export function countHandshake(
  state: AddressState,
  address: string,
  kind: "fresh" | "resume",
  now: number,
): number | null {
  const seen = touch(state, address, now);
  const bucket = kind === "fresh" || seen.failed >= FAILED_RESUMES ? "fresh" : "resumes";
  if (seen[bucket] >= 1) {
    seen[bucket]--;
    return null;
  }
  return Math.ceil((1 - seen[bucket]) / state.rates[bucket] * 1000);
}

/** Counts a resume that was refused for its token or its credentials. */
export function countFailedResume(state: AddressState, address: string, now: number): void {
  const seen = touch(state, address, now);
  seen.failed++;
  seen.failedAt = now;
}

function touch(state: AddressState, address: string, now: number): Address {
  const { rates, addresses } = state;
  const known = addresses.get(address);
  addresses.delete(address);
  const seen = known ?? { ...rates, at: now, failed: 0, failedAt: now };
  // A clock that was set back gives nothing, and takes nothing.
  const passed = Math.max(0, now - seen.at) / 1000;
  seen.fresh = Math.min(rates.fresh, seen.fresh + passed * rates.fresh);
  seen.resumes = Math.min(rates.resumes, seen.resumes + passed * rates.resumes);
  seen.at = now;
  if (now - seen.failedAt >= FORGIVEN_AFTER_MS) seen.failed = 0;
  addresses.set(address, seen);
  if (addresses.size > MOST_ADDRESSES) {
    for (const oldest of addresses.keys()) {
      addresses.delete(oldest);
      break;
    }
  }
  return seen;
}
