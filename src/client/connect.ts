/** The way in. */

import type { Session } from "./api.ts";
import type { ConnectOptions } from "./options.ts";

/** Connects. (Being written.) */
export function connect(_url: string, _options: ConnectOptions = {}): Session {
  throw new Error("being written");
}
