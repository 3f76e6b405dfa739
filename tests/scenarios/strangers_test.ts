/** What the store is asked for those who have not said who they are: only so much at once, whatever they claim. */

import assert from "node:assert/strict";
import { DEFAULT_STRANGERS } from "../../src/session/session_registry.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { newStart, RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

function world(options: TestNodeOptions = {}) {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const authenticator = new TestAuthenticator().grant("alice", "alice");
  const started = () =>
    new TestNode({ clock, store, authenticator, strangers: { ...DEFAULT_STRANGERS, reads: 1 }, ...options });
  return { store, started };
}

/** Claims a session with a token that is a guess and credentials that are wrong. */
function claim(node: TestNode, { session }: TestClient): RawPeer {
  const peer = new RawPeer(node);
  const resume = { session: session!, token: "t".repeat(43), received: 0, sent: 0 };
  peer.send(newStart({ auth: "mallory", resume }));
  return peer;
}

async function several(node: TestNode): Promise<TestClient[]> {
  const clients = Array.from({ length: 4 }, () => new TestClient({}, "alice"));
  for (const client of clients) await client.connect(node);
  await settle();
  return clients;
}

// @rule resume.refused
Deno.test("strangers who claim sessions of a lost node share the bound, also where that node is looked up", async () => {
  const { store, started } = world();
  const lost = started();
  const clients = await several(lost);
  await lost.crash();
  const node = started();
  let underWay = 0;
  let most = 0;
  store.onGet = ([key]) => {
    if (key![0] !== "session" && key![0] !== "node") return;
    store.failReads("hold");
    most = Math.max(most, ++underWay);
  };
  const peers = clients.map((client) => claim(node, client));
  for (await settle(); store.held > 0; await settle()) {
    underWay--;
    store.release(1);
  }
  for (const peer of peers) assert.equal(peer.of("refused")[0]?.reason, "unknown-session");
  assert.equal(most, 1);
  node.log.verify();
});

// @rule resume.refused
Deno.test("strangers who claim sessions that moved on share the bound, also where the node has to find out whose they are", async () => {
  const { store, started } = world();
  const before = started();
  const clients = await several(before);
  const after = started();
  for (const client of clients) await client.connect(after);
  await settle();
  /** How many sessions each atomic is about; all are held. */
  const asked: number[] = [];
  store.onAtomic = ({ checks }) => {
    store.failAtomics("hold");
    asked.push(checks.filter(({ key }) => key[0] === "session").length);
  };
  const peers = clients.map((client) => claim(before, client));
  for (await settle(); store.held > 0; await settle()) {
    assert.equal(store.held, 1);
    store.release();
  }
  assert.deepEqual(asked, clients.map(() => 1));
  for (const peer of peers) assert.equal(peer.of("refused")[0]?.reason, "unknown-session");
  before.log.verify();
});
