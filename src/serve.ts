/**
 * A node as a program: what it is set to, what it says, and how it stops.
 *
 * @module
 */

import { compose, type Pages, StartError } from "./composition.ts";
import { describeError, JsonLog } from "./observe/json_log.ts";
import type { Service } from "./service/service.ts";
import { readSettings } from "./settings.ts";
import { systemClock } from "./system/clock.ts";

export type { Pages } from "./composition.ts";
export type { Service } from "./service/service.ts";

/** What `sysexits.h` calls a wrong configuration. */
const EXIT_CONFIG = 78;

/** Within this a signal is the first one again: a terminal signals a whole group, and `deno task` passes it on once more. */
const SAME_SIGNAL_MS = 500;

/** What a node serves beside what its settings ask for. All is optional. */
export interface ServeOptions {
  /** Your services; each has a name of its own. */
  readonly services?: readonly Service[];
  /** Your pages, in place of Holdfast's: asked for every path that is none of its own. */
  readonly pages?: Pages;
  /** Settings by their names, as in the environment, whose word counts more. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A node that serves. */
export interface ServedNode {
  /** `http://HOST:PORT`. */
  readonly url: string;
  /** Stops it as a signal does, but the process goes on. Never rejects. */
  stop(): Promise<void>;
}

/**
 * Serves a node of Holdfast with these services, as what this process is for.
 *
 * Settings come from the environment. The addresses are printed, the log goes to stderr; SIGINT and SIGTERM stop gracefully and exit
 * with 0, and a second one, half a second later or more, at once. An error that nobody caught is logged, and the node goes on.
 *
 * A node that cannot start says so in one line on stderr and exits: with 78 for a wrong setting, else with 1.
 *
 * @returns Resolves when it listens.
 * @throws TypeError (as a rejection) for two services of one name.
 *
 * @example
 * ```ts ignore
 * import * as z from "zod";
 * import { defineService, method } from "./service/mod.ts";
 * import { serve } from "./serve.ts";
 *
 * await serve({
 *   services: [
 *     defineService({ name: "hello", methods: { greet: method({ input: z.string(), output: z.string() }, (name) => `Hello ${name}`) } }),
 *   ],
 * });
 * ```
 */
export async function serve(options: ServeOptions = {}): Promise<ServedNode> {
  const env = { ...options.settings, ...Deno.env.toObject() };
  const read = readSettings(env);
  if (!read.ok) {
    console.error(read.message);
    Deno.exit(EXIT_CONFIG);
  }
  const { settings, warnings } = read;
  const encoder = new TextEncoder();
  const log = new JsonLog({
    level: settings.logLevel,
    clock: systemClock,
    write: (line) => void Deno.stderr.writeSync(encoder.encode(line)),
  });
  for (const warning of warnings) log.warn("setting_unknown", { warning });

  // A last resort: whatever gets here is a defect, but not a reason to drop everybody's sessions.
  let escaped = 0;
  for (const kind of ["error", "unhandledrejection"] as const) {
    globalThis.addEventListener(kind, (event) => {
      event.preventDefault();
      const thrown = event instanceof PromiseRejectionEvent ? event.reason : (event as ErrorEvent).error;
      log.error("escaped_error", { kind, count: ++escaped, error: describeError(thrown) });
    });
  }

  const { services = [], pages } = options;
  const node = await compose(settings, { env, log, services, pages }).catch(refuse);
  let stopping: Promise<void> | undefined;
  let askedAt = 0;
  const stop = () => stopping ??= node.stop();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      const now = systemClock.now();
      if (stopping !== undefined) {
        if (now - askedAt < SAME_SIGNAL_MS) return;
        Deno.exit(signal === "SIGINT" ? 130 : 143);
      }
      askedAt = now;
      log.info("stopping", { signal });
      await stop();
      Deno.exit(0);
    });
  }
  const { hostname, port } = await node.listen().catch(async (error) => {
    await stop();
    return refuse(error);
  });
  const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  console.log(`holdfast listening on ${url}`);
  // Good once, and nowhere else: it is in no log.
  if (node.code !== null) console.log(`holdfast admin at ${url}/admin#code=${node.code}`);
  return { url, stop };
}

function refuse(error: unknown): never {
  if (!(error instanceof StartError)) throw error;
  console.error(error.message);
  Deno.exit(1);
}
