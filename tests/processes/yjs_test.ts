/** Collaborative editing with unchanged libraries, through a real server: neither editor's provider notices a cut. */

import assert from "node:assert/strict";
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import * as Y from "yjs";
import { HoldfastSocket } from "../../src/client/holdfast_socket.ts";
import { CutSession } from "../support/cut_session.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { yjsServer } from "../support/yjs_server.ts";

const CUTS = 50;
/** Edits before each cut, of each editor. */
const EDITS = 10;
/** How long the last edits may take to arrive, milliseconds. */
const CALM_MS = 20_000;

/** One person who writes words into a shared text. */
class Editor implements Disposable {
  readonly document = new Y.Doc();
  readonly text: Y.Text = this.document.getText("text");
  readonly noticed: string[] = [];
  /** Resolves when the server's document is here. */
  readonly synced: Promise<void>;
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #socket: HocuspocusProviderWebsocket;
  readonly #provider: HocuspocusProvider;
  #words = 0;

  constructor(name: string, line: CutSession, random: SeededRandom) {
    this.#name = name;
    this.#random = random;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#socket = new HocuspocusProviderWebsocket({
      url: "ws://any.example/",
      WebSocketPolyfill: HoldfastSocket.over(line.session, "upstream:docs"),
      maxAttempts: 1,
      onConnect: () => void this.noticed.push("connect"),
      onClose: ({ event }) => {
        this.noticed.push(`close ${event.code}`);
        reject(new Error(`closed with ${event.code} ${event.reason}`));
      },
    });
    this.#provider = new HocuspocusProvider({
      websocketProvider: this.#socket,
      name: "shared",
      document: this.document,
      onSynced: () => resolve(),
      onConnect: () => void this.noticed.push("connect"),
      onDisconnect: () => void this.noticed.push("disconnect"),
    });
    this.#provider.attach();
  }

  /** Writes a word somewhere. */
  write(): void {
    this.text.insert(this.#random.int(this.text.length + 1), `${this.#name}${this.#words++};`);
  }

  [Symbol.dispose](): void {
    this.#provider.destroy();
    this.#socket.destroy();
    this.document.destroy();
  }
}

Deno.test("two editors converge, the line of each cut 50 times: no edit is lost, and no library notices", async () => {
  await using docs = await yjsServer();
  const server = await ServerProcess.start({ HOLDFAST_UPSTREAMS: `docs=${docs.url}` });
  try {
    await using one = await CutSession.with(server);
    await using two = await CutSession.with(server);
    const random = new SeededRandom(20_261);
    using a = new Editor("a", one, random.fork());
    using b = new Editor("b", two, random.fork());
    const work = async (editor: Editor, line: CutSession) => {
      for (let cut = 0; cut < CUTS; cut++) {
        for (let edit = 0; edit < EDITS; edit++) editor.write();
        const over = line.cut();
        for (let edit = 0; edit < EDITS; edit++) editor.write();
        await over;
      }
    };
    await Promise.all([a.synced, b.synced]);
    await Promise.all([work(a, one), work(b, two)]);
    await whenEqual(a, b);
    // Every letter of every word is there once, whatever words were written into others.
    for (const name of ["a", "b"]) assert.equal(a.text.toString().split(name).length - 1, 2 * CUTS * EDITS);
    assert.deepEqual([a.noticed, b.noticed], [["connect", "connect"], ["connect", "connect"]]);
    assert.equal(docs.connections, 2);
    assert.ok(one.resumed >= CUTS && two.resumed >= CUTS);
  } finally {
    await server.dispose();
  }
});

/** Resolves when both have the same text, with all that either wrote. */
async function whenEqual(a: Editor, b: Editor): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const complete = 4 * CUTS * EDITS;
  const look = () => {
    const text = a.text.toString();
    if (text === b.text.toString() && text.split(";").length - 1 === complete) resolve();
  };
  const timer = setTimeout(() => reject(new Error("the editors do not converge")), CALM_MS);
  a.document.on("update", look);
  b.document.on("update", look);
  look();
  await promise.finally(() => clearTimeout(timer));
}
