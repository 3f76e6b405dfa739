/** Channels of calls: items under credit, in order, with an end that says how it ended, for either side. */

import assert from "node:assert/strict";
import * as mux from "../../src/connection/mux_state.ts";
import { INITIAL_CREDIT } from "../../src/connection/channel_state.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import {
  arrives,
  BODY,
  broke,
  broken,
  called,
  calling,
  FAILED,
  finished,
  granted,
  inFlight,
  item,
  kinds,
  offered,
  OK,
  opening,
  serving,
} from "./mux_fixture.ts";

/** A server with call 1 in flight: upload 1, download 3. */
function streaming(credit?: number): mux.MuxState {
  const state = serving();
  const options = { upload: 1, download: 3, ...(credit === undefined ? {} : { credit }) };
  assert.equal(mux.receive(state, called(1, options)).kind, "called");
  return state;
}

/** The client of it. */
function asking(credit?: number): mux.MuxState {
  const state = calling();
  mux.call(state, 1, "m", BODY, {
    upload: true,
    download: true,
    ...(credit === undefined ? {} : { credit }),
  });
  return state;
}

/** How many items a side may send on a channel in one go. */
function sendable(state: mux.MuxState, channel: number): number {
  let items = 0;
  for (; mux.sendItem(state, 1, channel, BODY) !== null; items++) {
    assert.ok(items < 1_000);
  }
  return items;
}

// @rule channel.credit
Deno.test("either side sends sixteen items against its first credit and none without", () => {
  for (const [state, channel] of [[asking(), 1], [streaming(), 3]] as const) {
    assert.ok(mux.hasCredit(state, 1, channel));
    assert.equal(sendable(state, channel), INITIAL_CREDIT);
    assert.equal(INITIAL_CREDIT, 16);
    assert.ok(!mux.hasCredit(state, 1, channel));
  }
});

// @rule channel.credit
Deno.test("the call says the first credit of its download; of its upload it is sixteen whatever the call says", () => {
  for (const credit of [0, 1, 5, 100]) {
    assert.equal(sendable(streaming(credit), 3), credit);
    assert.equal(sendable(asking(credit), 1), INITIAL_CREDIT);
    const client = asking(credit);
    for (let i = 0; i < credit; i++) assert.equal(mux.receive(client, item(3)).kind, "item");
    assert.equal(broken(mux.receive(client, item(3))), "channel.credit");
  }
});

// @rule channel.credit
Deno.test("an item without credit is a violation", () => {
  for (const [state, channel] of [[streaming(), 1], [asking(), 3]] as const) {
    for (let i = 0; i < INITIAL_CREDIT; i++) assert.equal(mux.receive(state, item(channel)).kind, "item");
    assert.equal(broken(mux.receive(state, item(channel))), "channel.credit");
  }
});

// @rule channel.credit
Deno.test("grants add up, and the sender hears of each", () => {
  for (const [state, channel] of [[asking(), 1], [streaming(), 3]] as const) {
    assert.equal(sendable(state, channel), 16);
    for (const additional of [2, 0, 3]) {
      const outcome = mux.receive(state, granted(channel, additional));
      assert.ok(outcome.kind === "credited");
      assert.deepEqual([outcome.connection, outcome.channel, outcome.call.request], [1, channel, 1]);
    }
    assert.equal(sendable(state, channel), 5);
  }
});

// @rule channel.credit
Deno.test("a grant that no count can hold is a violation", () => {
  assert.equal(broken(mux.receive(streaming(), granted(3, Number.MAX_SAFE_INTEGER - 15))), "channel.credit");
  assert.equal(mux.receive(streaming(), granted(3, Number.MAX_SAFE_INTEGER - 16)).kind, "credited");
  assert.equal(mux.receive(streaming(Number.MAX_SAFE_INTEGER), granted(3, 0)).kind, "credited");
  assert.equal(broken(mux.receive(streaming(Number.MAX_SAFE_INTEGER), granted(3, 1))), "channel.credit");
});

// @rule channel.credit
Deno.test("more is granted when half was consumed, and may then be sent", () => {
  for (const [state, channel] of [[streaming(), 1], [asking(), 3]] as const) {
    for (let i = 0; i < 16; i++) mux.receive(state, item(channel));
    for (let i = 0; i < 7; i++) assert.equal(mux.consumeItems(state, 1, channel), null);
    assert.deepEqual(mux.consumeItems(state, 1, channel), {
      kind: "credit",
      connection: 1,
      channel,
      additional: 8,
    });
    for (let i = 0; i < 8; i++) assert.equal(mux.receive(state, item(channel)).kind, "item");
    assert.equal(broken(mux.receive(state, item(channel))), "channel.credit");
  }
});

// @rule channel.credit
Deno.test("the credit of one channel is nothing to another, nor to plain messages", () => {
  const client = calling();
  for (let i = 0; i < 2; i++) mux.call(client, 1, "m", BODY, { upload: true });
  assert.equal(sendable(client, 1), 16);
  mux.receive(client, granted(1, 4));
  assert.equal(sendable(client, 3), 16);
  assert.equal(sendable(client, 1), 4);
  assert.ok(mux.maySend(client, 1));
});

// @rule channel.order
Deno.test("each item is handed on as it comes, with its call and its body", () => {
  const server = streaming();
  for (const word of ["a", "b", "c"]) {
    const body = encodeBody(word);
    const outcome = mux.receive(server, arrives({ kind: "item", connection: 1, channel: 1, body }));
    assert.ok(outcome.kind === "item");
    assert.deepEqual(
      [outcome.connection, outcome.call.request, outcome.channel, outcome.body],
      [1, 1, 1, body],
    );
  }
  assert.deepEqual(mux.sendItem(server, 1, 3, BODY), {
    kind: "item",
    connection: 1,
    channel: 3,
    body: BODY,
  });
});

// @rule channel.order
Deno.test("a channel has one direction: items, finish and reset against it, and credit along it, are violations", () => {
  for (const [state, receives, sends] of [[streaming, 1, 3], [asking, 3, 1]] as const) {
    for (const message of [item(sends), finished(sends), broke(sends), granted(receives, 1)]) {
      assert.equal(broken(mux.receive(state(), message)), "channel.order", message.kind);
    }
    assert.equal(mux.sendItem(state(), 1, receives, BODY), null);
    assert.equal(mux.endChannel(state(), 1, receives, null), null);
    assert.equal(mux.consumeItems(state(), 1, sends, 16), null);
    assert.ok(!mux.hasCredit(state(), 1, receives));
  }
});

// @rule channel.order
Deno.test("a call with one channel has that one direction only", () => {
  const server = serving();
  mux.receive(server, called(1, { upload: 1 }));
  mux.receive(server, called(2, { download: 3 }));
  assert.equal(mux.sendItem(server, 1, 1, BODY), null);
  assert.equal(broken(mux.receive(server, item(3))), "channel.order");
  assert.equal(broken(mux.receive(server, granted(1, 1))), "channel.order");
});

// @rule channel.finish
Deno.test("a finish ends a channel normally, once; its call goes on", () => {
  const client = asking();
  assert.deepEqual(mux.endChannel(client, 1, 1, null), { kind: "finish", connection: 1, channel: 1 });
  assert.equal(mux.endChannel(client, 1, 1, null), null);
  assert.equal(mux.endChannel(client, 1, 1, "r"), null);
  assert.equal(mux.sendItem(client, 1, 1, BODY), null);
  assert.deepEqual(inFlight(client), { incoming: [], outgoing: [1], channels: [3] });
  const server = streaming();
  const outcome = mux.receive(server, finished(1));
  assert.ok(outcome.kind === "channel_over");
  assert.deepEqual(
    [outcome.connection, outcome.call.request, outcome.channel, outcome.reason],
    [1, 1, 1, null],
  );
  assert.deepEqual(inFlight(server), { incoming: [1], outgoing: [], channels: [3] });
});

// @rule channel.reset
Deno.test("a reset ends a channel with a reason, which is no normal end", () => {
  const client = asking();
  assert.deepEqual(mux.endChannel(client, 1, 1, "gone"), {
    kind: "reset",
    connection: 1,
    channel: 1,
    reason: "gone",
  });
  assert.equal(mux.sendItem(client, 1, 1, BODY), null);
  const server = streaming();
  const outcome = mux.receive(server, broke(1, ""));
  assert.ok(outcome.kind === "channel_over");
  assert.equal(outcome.reason, "", "not null, even where the peer gives no word");
  assert.deepEqual(inFlight(server), { incoming: [1], outgoing: [], channels: [3] });
});

// @rule channel.order
// @rule frame.ids
Deno.test("what comes for a channel after its end is dropped, whoever ended it", () => {
  for (const [make, receives, sends] of [[streaming, 1, 3], [asking, 3, 1]] as const) {
    for (const over of [finished, broke]) {
      const state = make();
      mux.receive(state, over(receives));
      for (const late of [item(receives), finished(receives), broke(receives), granted(receives, 1)]) {
        assert.equal(mux.receive(state, late).kind, "dropped");
      }
    }
    for (const reason of [null, "r"]) {
      const state = make();
      mux.endChannel(state, 1, sends, reason);
      for (const late of [granted(sends, 1), granted(sends, Number.MAX_SAFE_INTEGER)]) {
        assert.equal(mux.receive(state, late).kind, "dropped");
      }
    }
  }
});

// @rule channel.credit
Deno.test("items that are consumed after the end of their channel grant nothing", () => {
  const server = streaming();
  for (let i = 0; i < 16; i++) mux.receive(server, item(1));
  mux.receive(server, finished(1));
  assert.equal(mux.consumeItems(server, 1, 1, 16), null);
});

// @rule frame.ids
Deno.test("a message for a channel above the highest, or never given, is a violation", () => {
  for (const channel of [1, 2, 3, 4, 99]) {
    for (const message of [item(channel), finished(channel), broke(channel), granted(channel, 1)]) {
      assert.equal(broken(mux.receive(serving(), message)), "frame.ids");
      assert.equal(broken(mux.receive(calling(), message)), "frame.ids");
    }
  }
  const [server, client] = [streaming(), asking()];
  for (const channel of [2, 4, 5, 7]) {
    assert.equal(broken(mux.receive(server, item(channel))), "frame.ids");
    assert.equal(broken(mux.receive(client, item(channel))), "frame.ids");
  }
  // Of a gap nobody can tell that it was never open.
  const gap = serving();
  mux.receive(gap, called(1, { upload: 5 }));
  for (const channel of [1, 3]) assert.equal(mux.receive(gap, item(channel)).kind, "dropped");
});

// @rule frame.ids
Deno.test("channels are those of their connection", () => {
  const server = streaming();
  mux.receive(server, arrives({ kind: "open", connection: 3, service: "echo" }));
  mux.accept(server, 3);
  assert.equal(broken(mux.receive(server, { ...item(1), connection: 3 })), "frame.ids");
});

// @rule connection.early
Deno.test("items of an early call flow under their credit before the accept, and count as nothing else", () => {
  const client = opening();
  mux.call(client, 1, "m", BODY, { upload: true });
  assert.equal(sendable(client, 1), 16);
  assert.equal(mux.endChannel(client, 1, 1, null)?.kind, "finish");
  const server = offered();
  mux.receive(server, called(1, { upload: 1 }));
  for (let i = 0; i < 16; i++) assert.equal(mux.receive(server, item(1)).kind, "item");
  assert.equal(broken(mux.receive(server, item(1))), "channel.credit");
});

// @rule channel.finish
// @rule channel.reset
Deno.test("the server may call with channels too", () => {
  const [client, server] = [calling(), serving()];
  const { payload } = mux.call(server, 1, "watch", BODY, { upload: true, download: true, credit: 2 });
  const outcome = mux.receive(client, arrives(payload));
  assert.ok(outcome.kind === "called");
  assert.deepEqual([outcome.call.upload?.id, outcome.call.download?.id], [2, 4]);
  assert.equal(sendable(client, 4), 2);
  assert.equal(sendable(server, 2), 16);
  assert.equal(mux.receive(server, item(4)).kind, "item");
  assert.equal(mux.receive(client, item(2)).kind, "item");
  assert.equal(mux.consumeItems(server, 1, 4)?.kind, "credit");
  assert.deepEqual(kinds(mux.respond(client, 1, 1, FAILED)), ["reset", "response"]);
  assert.deepEqual(mux.respond(client, 1, 1, OK), []);
});
