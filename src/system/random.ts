/** Randomness as a port, so that a test can repeat a run. */

/** A source of random bytes; the system one is cryptographically strong. */
export interface Random {
  /**
   * Gives bytes that nobody can predict.
   *
   * @returns `length` new random bytes.
   */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/** The platform's cryptographic random source. */
export const systemRandom: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/** A number in 0 … 1 (1 excluded), for jitter. */
export function fraction(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return ((a << 24 | b << 16 | c << 8 | d) >>> 0) / 2 ** 32;
}

/** 256 bits as base64url: a resume token, or a challenge. */
export function secret(random: Random): string {
  return base64url(random.bytes(32));
}

/** 128 bits as base64url: an id that is public. */
export function publicId(random: Random): string {
  return base64url(random.bytes(16));
}

/** RFC 4648, section 5, without padding. */
export function base64url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
