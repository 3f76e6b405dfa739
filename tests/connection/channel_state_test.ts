/** Credit of one direction of one channel, for either end. */

import fc from "fast-check";
import assert from "node:assert/strict";
import {
  addCredit,
  consume,
  INITIAL_CREDIT,
  newReceiving,
  newSending,
  receiveOne,
  spend,
} from "../../src/connection/channel_state.ts";

// @rule channel.credit
Deno.test("a sender spends what it was granted and not one item more", () => {
  const sending = newSending(3);
  assert.deepEqual([1, 2, 3, 4].map(() => spend(sending)), [true, true, true, false]);
  assert.deepEqual(sending, { credit: 0, sent: 3 });
});

// @rule channel.credit
Deno.test("grants add up, to what was left and to each other", () => {
  const sending = newSending(3);
  spend(sending);
  assert.ok(addCredit(sending, 5) && addCredit(sending, 0) && addCredit(sending, 7));
  assert.deepEqual(sending, { credit: 14, sent: 1 });
});

// @rule channel.credit
Deno.test("a grant beyond what a count can hold is refused and changes nothing", () => {
  const sending = newSending(1);
  assert.ok(!addCredit(sending, Number.MAX_SAFE_INTEGER));
  assert.deepEqual(sending, { credit: 1, sent: 0 });
  assert.ok(addCredit(sending, Number.MAX_SAFE_INTEGER - 1));
  assert.equal(sending.credit, Number.MAX_SAFE_INTEGER);
  assert.ok(!addCredit(sending, 1));
});

// @rule channel.credit
Deno.test("a receiver takes what it granted and not one item more", () => {
  const receiving = newReceiving(2);
  assert.deepEqual([1, 2, 3].map(() => receiveOne(receiving)), [true, true, false]);
  assert.equal(receiving.received, 2);
});

// @rule channel.credit
Deno.test("a receiver grants when half, or 64, was consumed, and then back to what it granted first", () => {
  for (const initial of [1, 2, 3, INITIAL_CREDIT, 17, 1000]) {
    const receiving = newReceiving(initial);
    const half = Math.min(64, Math.ceil(initial / 2));
    for (let i = 1; i <= initial; i++) receiveOne(receiving);
    for (let i = 1; i < half; i++) assert.equal(consume(receiving), 0, `${i} of ${initial}`);
    assert.equal(consume(receiving), half, `${half} of ${initial}`);
    assert.equal(receiving.granted, initial + half);
    assert.equal(receiving.granted - receiving.consumed, initial);
  }
});

// @rule channel.credit
Deno.test("items consumed together are granted together", () => {
  const receiving = newReceiving(INITIAL_CREDIT);
  for (let i = 0; i < INITIAL_CREDIT; i++) receiveOne(receiving);
  assert.equal(consume(receiving, 3), 0);
  assert.equal(consume(receiving, 11), 14);
  assert.equal(consume(receiving, 2), 0);
});

// @rule connection.credit
Deno.test("what was used before the credit was known counts against it", () => {
  assert.deepEqual(newSending(20, 5), { credit: 15, sent: 5 });
  const receiving = newReceiving(20, 19);
  assert.deepEqual([receiveOne(receiving), receiveOne(receiving)], [true, false]);
});

// @rule channel.credit
Deno.test("between two ends nothing is ever refused, what is outstanding never passes the first grant, and nobody waits for ever", () => {
  const step = fc.constantFrom("send" as const, "deliver" as const, "consume" as const, "grant" as const);
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step), (initial, steps) => {
    const sending = newSending(initial);
    const receiving = newReceiving(initial);
    let items = 0;
    const grants: number[] = [];
    const perform = (what: typeof steps[number]) => {
      if (what === "send" && spend(sending)) items++;
      if (what === "deliver" && items > 0) {
        items--;
        assert.ok(receiveOne(receiving));
      }
      if (what === "consume" && receiving.consumed < receiving.received) {
        const grant = consume(receiving);
        if (grant > 0) grants.push(grant);
      }
      if (what === "grant") assert.ok(addCredit(sending, grants.shift() ?? 0));
      assert.ok(receiving.granted - receiving.consumed <= initial);
      assert.ok(sending.credit >= 0);
    };
    steps.forEach(perform);
    // Everything that is under way arrives and is consumed: then the sender may go on.
    while (items > 0) perform("deliver");
    while (receiving.consumed < receiving.received) perform("consume");
    while (grants.length > 0) perform("grant");
    assert.ok(spend(sending));
  }));
});
