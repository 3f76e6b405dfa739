/** Which authenticator the settings ask for. */

import type { Log } from "../observe/log.ts";
import type { Clock } from "../system/clock.ts";
import { type Authenticator, nobodyIsAuthenticated } from "./authenticator.ts";
import { JwksKeys, type JwksOptions } from "./jwks_runner.ts";
import { importSecret, JwtAuthenticator } from "./jwt_authenticator.ts";

/** Who may connect: the settings beginning with `HOLDFAST_AUTH` and `HOLDFAST_JWT`. */
export type AuthSettings =
  | { readonly kind: "none" }
  | {
    readonly kind: "jwt";
    readonly keys: TokenKeys;
    /** What `iss` must be. */
    readonly issuer: string;
    /** What `aud` must name. */
    readonly audience: string;
  };

/** What tokens are verified with. */
export type TokenKeys =
  | { readonly kind: "secret"; readonly secret: string }
  | { readonly kind: "jwks"; readonly url: string };

/** Makes it. A key set is not fetched before the first token needs it, so that a start does not depend on it. */
export async function authenticatorFor(
  settings: AuthSettings,
  ports: { readonly clock: Clock; readonly log: Log; readonly fetch: JwksOptions["fetch"] },
): Promise<Authenticator> {
  if (settings.kind === "none") return nobodyIsAuthenticated;
  const { keys, issuer, audience } = settings;
  const verifying = keys.kind === "secret"
    ? await importSecret(keys.secret)
    : new JwksKeys({ url: keys.url, ...ports });
  return new JwtAuthenticator(verifying, { issuer, audience }, ports.clock);
}
