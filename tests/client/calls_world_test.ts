/** Calls of the SDK to a real service, while conduits break, pages are reloaded and nodes are lost. */

import assert from "node:assert/strict";
import { connect, type Connection, type Dial, type Session } from "../../src/client/mod.ts";
import type { ContractOf } from "../../src/protocol/contract.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import type { MemoryPipe } from "../../src/conduit/memory_conduit.ts";
import { demoService } from "../../src/service/demo.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestStorage } from "../support/client_fixture.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestNode } from "../support/test_node.ts";

type Demo = Connection<ContractOf<ReturnType<typeof demoService>>>;

/** What the application keeps with its connection, in the turns in which it changes. */
interface Kept {
  /** Calls that were made so far, and those that have no answer yet. */
  readonly made: number;
  readonly open: readonly number[];
  /** How far the download was consumed; null once it was over. */
  readonly ticks: number | null;
}

const TICKS = 300;

/** A page that is reloaded at any moment, and nodes that come and go. */
class World {
  readonly clock = new FakeClock();
  readonly random: SeededRandom;
  readonly storage: TestStorage;
  readonly store = new MemorySessionStore({ clock: this.clock });
  readonly troubles: string[] = [];
  node: TestNode;
  pipe: MemoryPipe | null = null;
  page = 0;
  session: Session;
  connection: Demo;
  kept: Kept = { made: 0, open: [], ticks: 0 };
  uploads = 0;

  constructor(seed: number, readonly encoding: "msgpack" | "json") {
    this.random = new SeededRandom(seed);
    this.storage = new TestStorage(seed % 2 === 0);
    this.node = this.newNode();
    [this.session, this.connection] = this.begin();
  }

  newNode(): TestNode {
    return new TestNode({
      clock: this.clock,
      store: this.store,
      services: [demoService({ clock: this.clock })],
      limits: { concurrentCalls: 8 },
    });
  }

  /** A page comes to be: it goes on where the one before it was. */
  begin(): [Session, Demo] {
    const page = ++this.page;
    const alive = () => page === this.page;
    const dial: Dial = (_url, [subprotocol], handler) => {
      const { pipe, end } = this.node.dial(subprotocol as Subprotocol);
      if (alive()) this.pipe = pipe;
      else pipe.stall();
      let open = true;
      end.listen({
        onFrame: (frame) => open && alive() ? handler.onFrame(frame) : undefined,
        onClose: (code, reason) => {
          open = false;
          if (alive()) handler.onClose(code, reason);
        },
      });
      queueMicrotask(() => open && alive() && handler.onOpen());
      return end;
    };
    const storage = {
      get: (key: string) => this.storage.get(key),
      set: (key: string, value: string) => alive() ? this.storage.set(key, value) : undefined,
      remove: (key: string) => alive() ? this.storage.remove(key) : undefined,
    };
    const { encoding, clock, random } = this;
    const session = connect("http://edge.test", { encoding, clock, random: random.fork(), dial, storage });
    for (const trouble of ["lost", "ended", "taken-over", "error"] as const) {
      session.on(trouble, (details) => {
        if (alive()) this.troubles.push(`${trouble} ${JSON.stringify(details)}`);
      });
    }
    const connection: Demo = this.connection = session.open<ReturnType<typeof demoService>>("demo");
    void session.ready.then(() => {
      if (!alive()) return;
      this.kept = connection.kept as unknown as Kept ?? { made: 0, open: [], ticks: 0 };
      for (const n of this.kept.open) this.add(n);
      if (this.kept.ticks !== null) void this.follow();
    });
    return [session, connection];
  }

  reload(): void {
    this.pipe?.break();
    [this.session, this.connection] = this.begin();
  }

  keep(kept: Partial<Kept>): void {
    this.kept = { ...this.kept, ...kept };
    this.connection.keep(this.kept as unknown as { readonly [name: string]: number });
  }

  /** New calls, each to a total of its own. */
  produce(count: number): void {
    if (this.connection.id === 0) return;
    for (let i = 0; i < count; i++) {
      const n = this.kept.made + 1;
      this.keep({ made: n, open: [...this.kept.open, n] });
      this.add(n);
    }
  }

  /** Its total is 1 afterwards: it ran once, however often it was sent. */
  add(n: number): void {
    const { page } = this;
    this.connection.call("add", { name: `total-${n}`, by: 1 }).then((total) => {
      if (page !== this.page) return;
      if (total !== 1) this.troubles.push(`call ${n} came to ${total}`);
      this.keep({ open: this.kept.open.filter((other) => other !== n) });
    }, (error) => {
      if (page === this.page) this.troubles.push(`call ${n}: ${error}`);
    });
  }

  /** Every tick once and in order, over all pages. */
  async follow(): Promise<void> {
    const { page, connection } = this;
    try {
      for await (const tick of connection.download("ticks", { count: TICKS, interval: 40 }, { credit: 16 })) {
        if (page !== this.page) return;
        if (tick !== this.kept.ticks! + 1) this.troubles.push(`tick ${tick} after ${this.kept.ticks}`);
        this.keep({ ticks: tick });
      }
      if (page === this.page) this.keep({ ticks: null });
    } catch (error) {
      if (page === this.page) this.troubles.push(`ticks: ${error}`);
    }
  }

  /** Comes to its sum, or is told that nobody knows. */
  upload(): void {
    const { page, connection } = this;
    if (connection.id === 0) return;
    this.uploads++;
    connection.upload("sum", null, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
      .then(
        (sum) => {
          this.uploads--;
          if (sum !== 210) this.troubles.push(`a sum of ${sum}`);
        },
        (error) => {
          this.uploads--;
          if (page === this.page && error.code !== "indeterminate") this.troubles.push(`upload: ${error}`);
        },
      );
  }

  async crash(): Promise<void> {
    await this.node.crash();
    this.node = this.newNode();
  }

  replaceNode(): void {
    const { node } = this;
    this.node = this.newNode();
    void node.registry.drain();
  }
}

for (const encoding of ["msgpack", "json"] as const) {
  // @rule resume.stored-client
  // @rule channel.resume
  // @rule call.restart
  Deno.test(`breaks, stalls, reloads and lost nodes at random: each call runs once and is answered, each item comes once (${encoding})`, async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const world = new World(seed, encoding);
      const { random, clock } = world;
      await settle();
      for (let act = 0; act < 40; act++) {
        world.produce(random.int(5));
        const what = random.int(14);
        if (what === 0) world.pipe?.break();
        else if (what === 1) world.pipe?.stall();
        else if (what === 2) world.reload();
        else if (what === 3) await world.crash();
        else if (what === 4) world.session.breakConduit();
        else if (what === 5) world.replaceNode();
        else if (what === 6) world.upload();
        await clock.advance(random.pick([0, 0, 1, 60, 700, 15_000]));
      }
      await clock.advance(180_000);
      assert.deepEqual(world.troubles, [], `seed ${seed}`);
      assert.deepEqual(world.kept, { made: world.kept.made, open: [], ticks: null }, `seed ${seed}`);
      assert.equal(world.session.unacked, 0, `seed ${seed}`);
      assert.deepEqual((world.storage.stored as { calls: unknown }).calls, [], `seed ${seed}`);
      const closed = world.session.close();
      await clock.advance(20_000);
      await closed;
      assert.equal(world.storage.stored, null);
    }
  });
}
