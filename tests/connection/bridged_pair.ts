/** Two applications with a bridge between them: a client on its near side, a server on its far side, each with its ledger. */

import assert from "node:assert/strict";
import {
  type BridgeSide,
  type BridgeState,
  ended,
  heard,
  newBridge,
  next,
  passed,
  refused,
} from "../../src/connection/bridge_state.ts";
import * as mux from "../../src/connection/mux_state.ts";
import { refusesCall, relay } from "../../src/connection/relay_state.ts";
import type { SessionMessage, SessionPayload } from "../../src/protocol/messages.ts";
import { Half, type PairAct } from "./mux_pair.ts";

/** What may wait in a bridge for each channel: little, so that it is reached. */
const CREDIT = 16;

/** What is under way to a side of the bridge; each message is looked at when it is sent. */
class Arriving extends Array<SessionMessage> {
  sent: (message: SessionMessage) => void = () => {};

  override push(...messages: SessionMessage[]): number {
    for (const message of messages) this.sent(message);
    return super.push(...messages);
  }
}

/** The bridge's connection on one side, and what it says there. */
class Side {
  readonly arriving = new Arriving();
  #seq = 0;

  constructor(readonly mux: mux.MuxState, readonly peer: Half) {}

  send(payload: SessionPayload): void {
    this.peer.arriving.push({ ...payload, seq: ++this.#seq, cost: 1 });
  }
}

export class BridgedPair {
  readonly client = new Half("client");
  readonly server = new Half("server");
  // Neither side of the bridge is what runs out of room first.
  readonly near = new Side(mux.newMux("server", 100), this.client);
  readonly far = new Side(mux.newMux("client", 100), this.server);
  readonly #bridges = new Map<number, BridgeState>();
  /** What each application granted the other in all, by connection and channel. */
  readonly granted = { client: new Map<string, number>(), server: new Map<string, number>() };

  constructor() {
    for (
      const [half, side, other] of [[this.client, this.near, this.server], [
        this.server,
        this.far,
        this.client,
      ]] as const
    ) {
      // Of its peer an application needs what is under way to it, and what it has sent.
      half.peer = { arriving: side.arriving, sent: other.sent, got: other.got } as unknown as Half;
    }
    this.near.arriving.sent = (message) => this.#granting("client", message);
    this.far.arriving.sent = (message) => this.#granting("server", message);
  }

  /** With a connection that is open. */
  static connected(): BridgedPair {
    const pair = new BridgedPair();
    pair.client.emit(mux.open(pair.client.mux, "s"));
    pair.settle();
    for (const id of [...pair.server.pending]) pair.server.accept(id);
    return pair;
  }

  perform(act: PairAct): void {
    if (act.what === "open" && act.side === "server") return;
    if (act.what === "deliver") {
      const side = act.yes ? "near" : "far";
      for (let i = 0; i < act.count; i++) this.#cross(side);
      if (act.also) this.#speak(act.pick % 2 === 0 ? "near" : "far", act.count);
    }
    const half = this[act.side];
    half.now += act.pick;
    half.perform(act);
    this.#check();
  }

  settle(): void {
    while (this.#underWay() || this.#waits()) {
      for (const side of ["near", "far"] as const) {
        this.#cross(side);
        this.#speak(side, 1);
      }
      this.client.deliver();
      this.server.deliver();
    }
  }

  finish(): void {
    const both = [this.client, this.server];
    this.settle();
    for (const id of [...this.server.pending]) this.server.accept(id);
    this.settle();
    for (const half of both) half.handleAll();
    this.settle();
    for (const half of both) half.takeAll();
    this.settle();
    for (const half of both) half.checkLive();
    this.settle();
    for (const half of both) half.answerAll();
    this.settle();
    for (const half of both) half.checkNoCalls();
    for (const { calls } of this.near.mux.connections.values()) assert.equal(calls?.channels.size ?? 0, 0);
    for (const [id, bridge] of this.#bridges) {
      if (!this.near.mux.connections.has(id)) continue;
      const kept = (["near", "far"] as const).map((side) => [bridge[side].calls.size, bridge[side].bytes]);
      assert.deepEqual(kept, [[0, 0], [0, 0]], "nothing is left of calls");
    }
    for (const { id } of this.client.connections) this.client.emit(mux.end(this.client.mux, id));
    this.settle();
    for (const { mux } of [...both, this.near, this.far]) assert.equal(mux.connections.size, 0);
  }

  #underWay(): boolean {
    return [this.near, this.far, this.client, this.server].some(({ arriving }) => arriving.length > 0);
  }

  #waits(): boolean {
    return [...this.#bridges.values()].some((bridge) =>
      next(bridge, "near") !== undefined || next(bridge, "far") !== undefined
    );
  }

  /** One side of the bridge hears the next message, and the other says what is due. */
  #cross(from: BridgeSide): void {
    const message = this[from].arriving.shift();
    if (message === undefined) return;
    const outcome = mux.receive(this[from].mux, message);
    assert.notEqual(outcome.kind, "violation", outcome.kind === "violation" ? outcome.violation.detail : "");
    if (outcome.kind === "offered") {
      assert.ok(message.kind === "open");
      const { bridge, messageCredit } = newBridge(message.messageCredit, undefined, CREDIT);
      this.#bridges.set(outcome.connection, bridge);
      const opening = messageCredit === undefined ? {} : { messageCredit };
      const open = mux.open(this.far.mux, outcome.service, opening);
      assert.equal(open.connection, outcome.connection);
      return this.far.send(open);
    }
    const bridge = this.#bridges.get(message.connection);
    if (bridge === undefined) return;
    if (outcome.kind === "ended") ended(bridge, from, outcome);
    else heard(bridge, from, message, outcome);
  }

  /** Says what waits for a side, at most so much of it on each connection. */
  #speak(to: BridgeSide, most: number): void {
    for (const [connection, bridge] of this.#bridges) {
      for (let said = next(bridge, to), i = 0; said !== undefined && i < most; said = next(bridge, to), i++) {
        const state = this[to].mux;
        if (said.kind !== "accept" && said.kind !== "end" && refusesCall(state, { ...said, connection })) {
          refused(bridge, to);
          continue;
        }
        const payloads = said.kind === "accept"
          ? mux.accept(
            state,
            connection,
            said.messageCredit === undefined ? {} : { messageCredit: said.messageCredit },
          )
          : said.kind === "end"
          ? [mux.reject(state, connection, said.reason ?? "", "") ?? mux.end(state, connection, said.reason)]
          : relay(state, { ...said, connection });
        passed(bridge, to);
        for (const payload of payloads) if (payload !== null) this[to].send(payload);
      }
    }
  }

  #granting(by: "client" | "server", message: SessionMessage): void {
    const grant = (channel: number, items: number) => {
      const key = `${message.connection}/${channel}`;
      this.granted[by].set(key, (this.granted[by].get(key) ?? 0) + items);
    };
    if (message.kind === "credit") grant(message.channel, message.additional);
    else if ((message.kind === "open" || message.kind === "accept") && message.messageCredit !== undefined) {
      grant(0, message.messageCredit);
    } else if (message.kind === "call") {
      const { download, credit = 16 } = message.options ?? {};
      if (download !== undefined) grant(download, credit);
    }
  }

  /** No side is granted what the other side has not granted, and what waits in between is bounded. */
  #check(): void {
    for (const bridge of this.#bridges.values()) {
      for (const { waiting, flows } of [bridge.near, bridge.far]) {
        for (const channel of flows.keys()) {
          const held = waiting.filter((said) =>
            channel === 0 ? said.kind === "message" : said.kind === "item" && said.channel === channel
          );
          assert.ok(held.length <= CREDIT, `${held.length} wait for channel ${channel}`);
        }
      }
    }
    for (const [half, by] of [[this.client, "server"], [this.server, "client"]] as const) {
      for (const [connection, channel, allowed] of half.allowed.entries()) {
        // An upload begins with sixteen, whoever receives it.
        const upload = (channel % 2 === 1) === (half.mux.side === "client") && channel > 0;
        const granted = (this.granted[by].get(`${connection}/${channel}`) ?? 0) + (upload ? 16 : 0);
        assert.ok(allowed <= granted, `${allowed} allowed on ${connection}/${channel}, ${granted} granted`);
      }
    }
  }
}
