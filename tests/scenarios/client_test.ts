import assert from "node:assert/strict";
import type { BodyValue, Dial, Session } from "../../src/client/mod.ts";
import { connect } from "../../src/client/mod.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestStorage } from "../support/client_fixture.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestNode } from "../support/test_node.ts";
import type { MemoryPipe } from "../../src/conduit/memory_conduit.ts";

/** A client that dials a real node through memory, and can be reloaded, and a node that can be lost. */
class World {
  readonly clock = new FakeClock();
  readonly random: SeededRandom;
  readonly storage: TestStorage;
  readonly store = new MemorySessionStore({ clock: this.clock });
  node: TestNode;
  pipe: MemoryPipe | null = null;
  /** What the application should never see. */
  readonly troubles: string[] = [];
  session: Session;
  /** Pages so far: what an earlier one still does is of no account. */
  page = 0;

  constructor(seed: number, readonly encoding: "msgpack" | "json") {
    this.storage = new TestStorage(seed % 2 === 0);
    this.random = new SeededRandom(seed);
    this.node = new TestNode({ clock: this.clock, store: this.store });
    this.session = this.connect();
  }

  connect(): Session {
    this.page++;
    const { page } = this;
    const dial: Dial = (_url, [subprotocol], handler) => {
      const { pipe, end } = this.node.dial(subprotocol as Subprotocol);
      // A page that is gone dials no more.
      if (page !== this.page) pipe.stall();
      else this.pipe = pipe;
      let open = true;
      end.listen({
        onFrame: (frame) => open && page === this.page ? handler.onFrame(frame) : undefined,
        onClose: (code, reason) => {
          open = false;
          if (page === this.page) handler.onClose(code, reason);
        },
      });
      queueMicrotask(() => {
        if (open && page === this.page) handler.onOpen();
      });
      return end;
    };
    // A page that is gone writes no more.
    const storage = {
      get: (key: string) => this.storage.get(key),
      set: (key: string, value: string) => page === this.page ? this.storage.set(key, value) : undefined,
      remove: (key: string) => page === this.page ? this.storage.remove(key) : undefined,
    };
    const session = connect("http://edge.test", {
      encoding: this.encoding,
      clock: this.clock,
      random: this.random.fork(),
      dial,
      storage,
    });
    for (const trouble of ["lost", "ended", "taken-over", "error"] as const) {
      session.on(trouble, (details) => {
        if (page === this.page) this.troubles.push(`${trouble} ${JSON.stringify(details)}`);
      });
    }
    return session;
  }

  reload(): void {
    // First the old page is gone, then there is a new one.
    this.pipe?.break();
    this.session = this.connect();
  }

  /** The node is drained while another one takes its sessions. */
  replaceNode(): void {
    const { node } = this;
    this.node = new TestNode({ clock: this.clock, store: this.store });
    void node.registry.drain();
  }

  async crash(): Promise<void> {
    await this.node.crash();
    this.node = new TestNode({ clock: this.clock, store: this.store });
  }
}

/** Numbers messages, and checks that each comes back once and in order; all of its state is kept with the connection. */
async function run(world: World): Promise<() => { sent: number; echoed: number }> {
  const connection = world.session.open("echo");
  const { page } = world;
  await world.session.ready;
  const tally = { sent: 0, echoed: 0, ...connection.kept as Record<string, number> | undefined };
  const keep = () => connection.keep({ ...tally });
  const consume = async () => {
    for await (const value of connection) {
      if (page !== world.page) return;
      if (value !== tally.echoed + 1) {
        world.troubles.push(`echo ${JSON.stringify(value)} after ${tally.echoed}`);
      }
      tally.echoed++;
      keep();
    }
  };
  consume().catch((error) => {
    if (page === world.page) world.troubles.push(`consumer ${error}`);
  });
  await settle();
  send = (count: number) => {
    for (let n = 0; n < count; n++) {
      connection.send(++tally.sent as BodyValue).catch((error) => {
        if (page === world.page) world.troubles.push(`send ${error}`);
      });
    }
    keep();
  };
  return () => ({ ...tally });
}

let send: (count: number) => void = () => {};

for (const encoding of ["msgpack", "json"] as const) {
  // @rule resume.stored-client
  // @rule resume.repeat
  Deno.test(`breaks, stalls, reloads and lost nodes at random: every message is echoed once and in order (${encoding})`, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = new World(seed, encoding);
      const { random, clock } = world;
      let tally = await run(world);
      for (let act = 0; act < 60; act++) {
        send(random.int(8));
        const what = random.int(12);
        if (what === 0) world.pipe?.break();
        else if (what === 1) world.pipe?.stall();
        else if (what === 2) {
          world.reload();
          tally = await run(world);
        } else if (what === 3) await world.crash();
        else if (what === 4) world.session.breakConduit();
        else if (what === 5) world.replaceNode();
        await clock.advance(random.pick([0, 0, 1, 60, 700, 20_000]));
      }
      await clock.advance(120_000);
      const { sent, echoed } = tally();
      assert.deepEqual(world.troubles, [], `seed ${seed}`);
      assert.equal(echoed, sent, `seed ${seed}`);
      assert.equal(world.session.unacked, 0, `seed ${seed}`);
      const closed = world.session.close();
      await clock.advance(20_000);
      await closed;
      assert.equal(world.storage.stored, null);
      world.node.log.verify();
    }
  });
}
