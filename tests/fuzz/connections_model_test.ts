/** The connections' machine against a model that remembers every id and nothing else. */

import fc from "fast-check";
import assert from "node:assert/strict";
import * as mux from "../../src/connection/mux_state.ts";
import type { SessionPayload } from "../../src/protocol/messages.ts";

const MOST = 4;
const EARLY = 16;
const BODY = Uint8Array.of(0xc0);

/** What one id went through; `early` counts the peer's messages before the accept. */
interface Known {
  phase: "offered" | "opening" | "open" | "gone";
  early: number;
}

type Action =
  | { readonly do: "receive"; readonly message: SessionPayload }
  | { readonly do: "accept" | "reject" | "end"; readonly id: number }
  | { readonly do: "open" };

const id = fc.integer({ min: 0, max: 14 });
const payload: fc.Arbitrary<SessionPayload> = fc.oneof(
  { weight: 4, arbitrary: id.map((connection) => ({ kind: "open", connection, service: "s" }) as const) },
  { weight: 6, arbitrary: id.map((connection) => ({ kind: "message", connection, body: BODY }) as const) },
  { weight: 2, arbitrary: id.map((connection) => ({ kind: "end", connection }) as const) },
  { weight: 2, arbitrary: id.map((connection) => ({ kind: "accept", connection }) as const) },
  id.map((connection) => ({ kind: "reject", connection, reason: "r", detail: "" }) as const),
  id.map((connection) => ({ kind: "cancel", connection, request: 1 }) as const),
  id.map((connection) => ({ kind: "credit", connection, channel: 1, additional: 1 }) as const),
  id.map((connection) => ({ kind: "call", connection, request: 1, method: "m", body: BODY }) as const),
  id.map((connection) => ({ kind: "message", connection, body: new Uint8Array(), malformed: "m" }) as const),
);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: payload.map((message) => ({ do: "receive", message }) as const) },
  { weight: 1, arbitrary: fc.constant({ do: "open" } as const) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("accept", "reject", "end"), id }, { noNullPrototype: true }),
  },
);

/** The server's side: its own ids are even, the client's odd. */
class Model {
  readonly ids = new Map<number, Known>();

  get live(): number {
    return [...this.ids.values()].filter(({ phase }) => phase !== "gone").length;
  }

  highest(parity: number): number {
    return Math.max(0, ...[...this.ids.keys()].filter((id) => id % 2 === parity));
  }

  /** What receiving a message must come to, and then has. */
  receive(message: SessionPayload): mux.MuxOutcome["kind"] {
    const { connection: id, kind } = message;
    const known = this.ids.get(id);
    if (kind === "open") {
      if (id % 2 === 0 || id <= this.highest(1)) return "violation";
      const offered = this.live < MOST;
      this.ids.set(id, { phase: offered ? "offered" : "gone", early: 0 });
      return offered ? "offered" : "answer";
    }
    if (known === undefined || known.phase === "gone") {
      return id > 0 && id <= this.highest(id % 2) ? "dropped" : "violation";
    }
    switch (kind) {
      case "message":
        if (message.malformed !== undefined) {
          known.phase = "gone";
          return "answer";
        }
        if (known.phase === "offered" && ++known.early > EARLY || known.phase === "opening") {
          return "violation";
        }
        return "message";
      case "accept":
        if (known.phase !== "opening") return "dropped";
        known.phase = "open";
        return "accepted";
      case "reject":
        if (known.phase !== "opening") return "dropped";
        known.phase = "gone";
        return "ended";
      case "end":
        known.phase = "gone";
        return "ended";
      case "call":
        return "answer";
      case "credit":
        return "violation";
      default:
        return "dropped";
    }
  }

  /** Whether this side may do so now; if so, it has. */
  perform(what: "accept" | "reject" | "end", id: number): boolean {
    const known = this.ids.get(id);
    if (known === undefined || known.phase === "gone") return false;
    if (what !== "end" && known.phase !== "offered") return false;
    known.phase = what === "accept" ? "open" : "gone";
    return true;
  }
}

// @rule frame.ids
// @rule connection.open
// @rule connection.early
// @rule connection.end
Deno.test("whatever arrives and whatever this side does, each id is offered once, ends once, and nothing is taken for it after", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
      const state = mux.newMux("server", MOST);
      const model = new Model();
      for (const each of actions) {
        if (each.do === "receive") {
          const expected = model.receive(each.message);
          const outcome = mux.receive(state, { ...each.message, seq: 1, cost: 1 });
          assert.equal(outcome.kind, expected, JSON.stringify(each.message));
          // The session is over; nothing is asked of the machine afterwards.
          if (outcome.kind === "violation") return;
        } else if (each.do === "open") {
          const { connection } = mux.open(state, "s");
          assert.equal(connection, model.highest(0) + 2);
          model.ids.set(connection, { phase: "opening", early: 0 });
        } else {
          const allowed = model.perform(each.do, each.id);
          const said = each.do === "accept"
            ? mux.accept(state, each.id)
            : each.do === "reject"
            ? mux.reject(state, each.id, "r", "")
            : mux.end(state, each.id);
          assert.equal(said !== null, allowed, JSON.stringify(each));
        }
        const live = [...model.ids].filter(([, { phase }]) => phase !== "gone").map(([id]) => id);
        assert.deepEqual([...state.connections.keys()].sort((a, b) => a - b), live.sort((a, b) => a - b));
      }
    }),
    { numRuns: 3_000 },
  );
});
