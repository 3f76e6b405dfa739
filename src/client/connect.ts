/** The way in: where the client takes the platform's time, randomness and WebSocket, unless it is given others. */

import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { RequestedSettings } from "../protocol/messages.ts";
import { systemClock } from "../system/clock.ts";
import { systemRandom } from "../system/random.ts";
import type { Session } from "./api.ts";
import type { ClientSettings } from "./client_model.ts";
import { LiveSession } from "./live_session.ts";
import { checkMetadata } from "./names.ts";
import type { ClientStorage, ConnectOptions, KeyValueStorage } from "./options.ts";
import { watchPage } from "./page_signals.ts";
import type { RunnerHost } from "./runner_ports.ts";
import { exponentialBackoff } from "./reconnect_policy.ts";
import { dialWebSocket, socketUrl } from "./web_socket_dialer.ts";

/**
 * Connects to a server. Returns at once; the session comes to be, resumes and reconnects by itself until it is closed.
 *
 * Add listeners in the same turn and they hear everything.
 *
 * @param url `http:`, `https:`, `ws:` or `wss:`; without a path `/v1/connect` is used.
 * @param options Where to keep the session's state, how it is encoded, when to reconnect.
 * @throws TypeError or RangeError for a url or an option that cannot be.
 */
export function connect(url: string, options: ConnectOptions = {}): Session {
  const host = hostOf(url, options);
  return new LiveSession(host, options.serve ?? [], options.probe === false ? () => () => {} : watchPage);
}

/** What a session's runner is given. @throws As {@link connect}. */
export function hostOf(url: string, options: ConnectOptions): RunnerHost {
  const dialled = socketUrl(url);
  return {
    url: dialled,
    subprotocol: options.encoding === "json" ? "holdfast.v1.json" : "holdfast.v1.msgpack",
    settings: settingsFrom(options),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    dial: options.dial ?? dialWebSocket,
    storage: options.storage === undefined ? null : asKeyValueStorage(options.storage),
    storageKey: options.storageKey ?? `holdfast ${dialled}`,
    auth: options.auth ?? null,
    startAnew: options.startAnewWhenLost ?? false,
  };
}

function settingsFrom(options: ConnectOptions): ClientSettings {
  const windowMessages = atLeastOne(
    options.windowMessages ?? DEFAULT_LIMITS.windowMessages,
    "windowMessages",
  );
  const windowBytes = atLeastOne(options.windowBytes ?? DEFAULT_LIMITS.windowBytes, "windowBytes");
  const storedBytes = atLeastOne(options.storedBytes ?? DEFAULT_LIMITS.storedBytes, "storedBytes");
  checkMetadata(options.metadata);
  const { durability } = options;
  const requested: RequestedSettings = {
    ...(durability === undefined ? {} : { durability }),
    windowMessages,
    windowBytes,
  };
  return {
    requested,
    metadata: options.metadata,
    ownWindow: { messages: windowMessages, bytes: windowBytes },
    storedBytes,
    stored: options.storage !== undefined,
    authenticated: options.auth !== undefined,
    // Without credentials a key ends with its session: the call would run a second time.
    repeatsOperations: options.auth !== undefined && options.startAnewWhenLost === true,
    reconnect: options.reconnect ?? exponentialBackoff(),
  };
}

function atLeastOne(value: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} must be an integer above 0, not ${value}`);
  }
  return value;
}

function asKeyValueStorage(storage: ClientStorage): KeyValueStorage {
  if (!("getItem" in storage)) return storage;
  return {
    get: (key) => storage.getItem(key),
    set: (key, value) => storage.setItem(key, value),
    remove: (key) => storage.removeItem(key),
  };
}
