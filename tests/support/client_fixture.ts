/** A client whose server, clock and randomness a test holds in its hands, and a record of what its application hears. */

import type { ConnectOptions, KeyValueStorage, Session, SessionEventName } from "../../src/client/mod.ts";
import { connect } from "../../src/client/mod.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { FakeServer } from "./fake_server.ts";
import { SeededRandom } from "./seeded_random.ts";

const EVENTS: readonly SessionEventName[] = [
  "connecting",
  "connected",
  "resumed",
  "detached",
  "lost",
  "repeated",
  "taken-over",
  "ended",
  "credentials",
  "error",
];

export interface ClientFixture {
  readonly session: Session;
  readonly server: FakeServer;
  readonly clock: FakeClock;
  /** Names of the events so far, in order. */
  readonly heard: string[];
  /** What came with the events of one name. */
  details(name: SessionEventName): unknown[];
}

/** A client that has dialled and not been answered. */
export async function client(
  options: ConnectOptions & { readonly server?: FakeServer; readonly clock?: FakeClock } = {},
): Promise<ClientFixture> {
  const { server = new FakeServer(), clock = new FakeClock(), ...rest } = options;
  const session = connect("http://edge.test", {
    dial: server.dial,
    random: new SeededRandom(1),
    ...rest,
    clock,
  });
  const events: { readonly name: SessionEventName; readonly details: unknown }[] = [];
  for (const name of EVENTS) session.on(name, (details) => void events.push({ name, details }));
  await settle();
  return {
    session,
    server,
    clock,
    get heard() {
      return events.map(({ name }) => name);
    },
    details: (name) => events.filter((event) => event.name === name).map(({ details }) => details),
  };
}

/** A client whose session is established, with a connection to `echo` that is accepted. */
export async function attachedClient(options: Parameters<typeof client>[0] = {}) {
  const fixture = await client(options);
  const connection = fixture.session.open("echo");
  const line = await fixture.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  const { session, server, clock } = fixture;
  return { fixture, session, server, clock, connection, line };
}

/** A storage in memory that a test can look into, stall and break. */
export class TestStorage implements KeyValueStorage {
  readonly values = new Map<string, string>();
  /** Every operation, in order. */
  readonly operations: string[] = [];
  /** Thrown by the next writes, while set. */
  failure: Error | null = null;
  /** Writes wait for {@link release}. */
  held = false;
  #waiting: (() => void)[] = [];

  /** @param asynchronous Answers with promises. */
  constructor(readonly asynchronous = false) {}

  get(key: string): string | null | Promise<string | null> {
    this.operations.push("get");
    const value = this.values.get(key) ?? null;
    return this.asynchronous ? Promise.resolve(value) : value;
  }

  set(key: string, value: string): void | Promise<void> {
    this.operations.push("set");
    const write = () => {
      if (this.failure !== null) throw this.failure;
      this.values.set(key, value);
    };
    if (!this.asynchronous) return write();
    if (!this.held) return Promise.resolve().then(write);
    return new Promise<void>((resolve) => void this.#waiting.push(resolve)).then(write);
  }

  remove(key: string): void | Promise<void> {
    this.operations.push("remove");
    this.values.delete(key);
    if (this.asynchronous) return Promise.resolve();
  }

  /** Lets the writes that wait complete. */
  async release(): Promise<void> {
    for (const resolve of this.#waiting.splice(0)) resolve();
    await settle();
  }

  /** What is stored, parsed. */
  get stored(): Record<string, unknown> | null {
    const [value] = this.values.values();
    return value === undefined ? null : JSON.parse(value);
  }
}
