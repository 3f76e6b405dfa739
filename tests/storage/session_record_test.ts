/** Records come back as they were, and those of another layout are not guessed at. */

import assert from "node:assert/strict";
import { pack } from "../../src/protocol/pack.ts";
import {
  type CoreRecord,
  decodeChallenge,
  decodeIdentity,
  decodeRecord,
  encodeChallenge,
  encodeCore,
  encodeIdentity,
  encodeTombstone,
  type Tombstone,
} from "../../src/storage/session_record.ts";
import { aSession } from "../support/stored_sessions.ts";

const MOST = Number.MAX_SAFE_INTEGER;

function core(fields: Partial<CoreRecord> = {}): CoreRecord {
  return {
    attempt: { boot: "b", epoch: 1, flush: 2 },
    attachedTo: null,
    deadline: 5,
    identity: new Uint8Array([1, 2]),
    tokens: { current: null, successors: ["a"], retired: ["b", "c"] },
    received: 3,
    acked: 4,
    detachedAt: 9,
    movedAt: 10,
    highestOwn: 2,
    highestPeer: 7,
    segments: [{ first: 5, last: 9, bytes: 100, epoch: 1, flush: 2, parts: 1 }],
    tail: new Uint8Array([9, 9]),
    work: [{ epoch: 1, flush: 2, parts: 1 }],
    spill: { epoch: 1, flush: 1, parts: 3 },
    pendingAt: "b",
    ...fields,
  };
}

Deno.test("a core comes back as it was, also with the largest numbers", () => {
  const large = core({
    attempt: { boot: "b".repeat(22), epoch: MOST, flush: MOST },
    attachedTo: "b",
    deadline: null,
    detachedAt: null,
    received: MOST,
    acked: MOST,
    segments: [
      { first: MOST - 1, last: MOST, bytes: MOST, epoch: MOST, flush: MOST, parts: MOST },
      { first: 1, last: 2, bytes: 3, epoch: 4, flush: 5, parts: 6 },
    ],
    tail: new Uint8Array(0),
    work: [],
    spill: null,
    pendingAt: null,
  });
  for (const record of [core(), large]) {
    assert.deepEqual(decodeRecord(encodeCore(record)), { kind: "session", core: record });
  }
});

Deno.test("two commits never make equal cores, whatever else is equal", () => {
  const values = [{ boot: "b", epoch: 1, flush: 2 }, { boot: "c", epoch: 1, flush: 2 }, {
    boot: "b",
    epoch: 2,
    flush: 2,
  }, {
    boot: "b",
    epoch: 1,
    flush: 3,
  }].map((attempt) => encodeCore(core({ attempt })).join());
  assert.equal(new Set(values).size, 4);
});

// @rule end.close
Deno.test("a tombstone comes back as it was", () => {
  const tombstone: Tombstone = {
    attempt: { boot: "b", epoch: 1, flush: 2 },
    reason: "expired",
    detail: "no conduit for 5 ms",
    at: 1,
    until: 2,
    deadline: 3,
    principal: "",
    createdAt: 7,
    tokens: { current: "t", successors: [], retired: [] },
  };
  assert.deepEqual(decodeRecord(encodeTombstone(tombstone)), { kind: "tombstone", tombstone });
});

Deno.test("identity and challenges come back as they were", () => {
  const { id, principal, createdAt, challenge, provisionalUntil, settings } = aSession({ idleTimeout: 7 });
  const identity = { id, principal, createdAt, challenge, provisionalUntil, settings };
  assert.deepEqual(decodeIdentity(encodeIdentity(identity)), identity);
  assert.deepEqual(decodeChallenge(encodeChallenge("s", 7)), { session: "s", at: 7 });
});

Deno.test("a record of another layout, or a damaged one, is refused and not guessed at", () => {
  assert.throws(() => decodeRecord(pack([99, "b", 1, 1])), /layout 99/);
  const bytes = encodeCore(core());
  for (const length of [0, 1, 10, bytes.length - 1]) {
    assert.throws(() => decodeRecord(bytes.slice(0, length)));
  }
});
