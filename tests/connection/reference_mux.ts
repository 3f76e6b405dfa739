/**
 * What a server's multiplexer must make of whatever arrives and whatever its side does: a model that remembers every id
 * there ever was, and that says beforehand what must come of a message. Slow, simple, and written from the rules alone.
 */

import type { MuxOutcome } from "../../src/connection/mux_state.ts";
import type { SessionPayload } from "../../src/protocol/messages.ts";

/** Small, so that they are reached. */
export const MOST_CONNECTIONS = 4;
export const MOST_CALLS = 5;
const EARLY = 16;

/** Credit of one direction, seen from whoever sends. */
interface Flow {
  readonly initial: number;
  left: number;
  /** Consumed by the side that receives, and granted beyond the first. */
  consumed: number;
  granted: number;
}

interface KnownChannel {
  readonly ours: boolean;
  readonly flow: Flow;
  open: boolean;
}

interface KnownCall {
  state: "running" | "decided" | "over";
  ok: boolean;
  readonly upload: number | undefined;
  readonly download: number | undefined;
}

interface Known {
  /** `ending`: the other side ended it, and this side still handles what came before. */
  phase: "offered" | "opening" | "open" | "ending" | "gone";
  early: number;
  earlyCalls: number;
  /** Messages that are being handled, or wait to be. */
  held: number;
  /** Of plain messages, where the receiving side gave a credit. */
  says: Flow | null;
  hears: Flow | null;
  readonly theirs: Map<number, KnownCall>;
  readonly ours: Map<number, KnownCall>;
  readonly channels: Map<number, KnownChannel>;
}

const flow = (initial: number, used = 0): Flow => ({
  initial,
  left: initial - used,
  consumed: 0,
  granted: initial,
});
const highest = (ids: Iterable<number>) => Math.max(0, ...ids);
const ofParity = (ids: Iterable<number>, odd: boolean) => [...ids].filter((id) => (id % 2 === 1) === odd);

export class ReferenceMux {
  readonly ids = new Map<number, Known>();

  get live(): [number, Known][] {
    return [...this.ids].filter(([, { phase }]) => phase !== "gone");
  }

  highestOf(odd: boolean): number {
    return highest(ofParity(this.ids.keys(), odd));
  }

  /** What receiving a message must come to, and, unless that is a violation, then has. */
  receive(message: SessionPayload): MuxOutcome["kind"] {
    if (message.kind === "open") return this.#opened(message);
    const { connection: id, kind } = message;
    const known = this.ids.get(id);
    if (known === undefined || known.phase === "gone") {
      return id > 0 && id <= this.highestOf(id % 2 === 1) ? "dropped" : "violation";
    }
    if (known.phase === "ending") return "dropped";
    const speaks = kind === "accept" || kind === "reject" || kind === "end";
    if (known.phase === "opening" && !speaks) return "violation";
    switch (kind) {
      case "accept":
        if (known.phase !== "opening") return "dropped";
        known.phase = "open";
        if (message.messageCredit !== undefined) known.says = flow(message.messageCredit, known.early);
        return "accepted";
      case "reject":
        if (known.phase !== "opening") return "dropped";
        known.phase = "gone";
        return "ended";
      case "end":
        if (known.phase === "open" && known.held > 0) {
          known.phase = "ending";
          for (const call of [...known.theirs.values(), ...known.ours.values()]) this.#over(known, call);
          return "ending";
        }
        known.phase = "gone";
        return "ended";
      case "message":
        if (message.malformed !== undefined) {
          known.phase = "gone";
          return "answer";
        }
        if (known.phase === "offered" && known.early === EARLY || known.hears?.left === 0) return "violation";
        if (known.phase === "offered") known.early++;
        if (known.hears !== null) known.hears.left--;
        return "message";
      case "call":
        return this.#called(known, message);
      case "response":
      case "cancel": {
        const calls = kind === "response" ? known.ours : known.theirs;
        const call = calls.get(message.request);
        if (call === undefined || call.state === "over") {
          return message.request > 0 && message.request <= highest(calls.keys()) ? "dropped" : "violation";
        }
        if (kind === "cancel") return "cancelled";
        if (call.download !== undefined && known.channels.get(call.download)!.open) return "violation";
        this.#over(known, call);
        return "answered";
      }
      case "item":
      case "finish":
      case "reset":
      case "credit":
        return this.#onChannel(known, message);
      default:
        return message satisfies never;
    }
  }

  #opened({ connection: id, messageCredit }: SessionPayload & { readonly kind: "open" }): MuxOutcome["kind"] {
    if (id % 2 === 0 || id <= this.highestOf(true)) return "violation";
    const taken = this.live.length < MOST_CONNECTIONS;
    const known = newKnown(taken ? "offered" : "gone");
    if (messageCredit !== undefined) known.says = flow(messageCredit);
    this.ids.set(id, known);
    return taken ? "offered" : "answer";
  }

  #called(
    known: Known,
    { request, options: { upload, download, credit = 16 } = {} }: SessionPayload & { readonly kind: "call" },
  ): MuxOutcome["kind"] {
    if (known.phase === "offered" && known.earlyCalls === EARLY) return "violation";
    if (request <= highest(known.theirs.keys()) || running(known.theirs) === MOST_CALLS) return "violation";
    const top = highest(ofParity(known.channels.keys(), true));
    for (const channel of [upload, download]) {
      if (channel !== undefined && (channel % 2 === 0 || channel <= top)) return "violation";
    }
    if (upload !== undefined && upload === download) return "violation";
    if (known.phase === "offered") known.earlyCalls++;
    known.theirs.set(request, { state: "running", ok: true, upload, download });
    if (upload !== undefined) known.channels.set(upload, { ours: false, flow: flow(16), open: true });
    if (download !== undefined) known.channels.set(download, { ours: true, flow: flow(credit), open: true });
    return "called";
  }

  #onChannel(
    known: Known,
    message: Extract<SessionPayload, { readonly kind: "item" | "finish" | "reset" | "credit" }>,
  ): MuxOutcome["kind"] {
    const { channel: id, kind } = message;
    if (id === 0) {
      if (kind !== "credit") return "violation";
      if (known.says === null) return "dropped";
      return add(known.says, message.additional) ? "messages_credited" : "violation";
    }
    const channel = known.channels.get(id);
    if (channel === undefined || !channel.open) {
      return id <= highest(ofParity(known.channels.keys(), id % 2 === 1)) ? "dropped" : "violation";
    }
    if (channel.ours !== (kind === "credit")) return "violation";
    switch (kind) {
      case "credit":
        return add(channel.flow, message.additional) ? "credited" : "violation";
      case "item":
        if (channel.flow.left === 0) return "violation";
        channel.flow.left--;
        return "item";
      default:
        channel.open = false;
        return "channel_over";
    }
  }

  /** Opens one from this side. @returns Its id. */
  open(messageCredit: number | undefined): number {
    const id = this.highestOf(false) + 2;
    const known = newKnown("opening");
    if (messageCredit !== undefined) known.hears = flow(messageCredit);
    this.ids.set(id, known);
    return id;
  }

  /** What this side then says; nothing if it may not. */
  accept(id: number, messageCredit: number | undefined): string[] {
    const known = this.ids.get(id);
    if (known?.phase !== "offered") return [];
    known.phase = "open";
    if (messageCredit !== undefined) known.hears = flow(messageCredit, known.early);
    const said = ["accept"];
    for (const call of known.theirs.values()) {
      if (call.state === "decided") said.push(...this.#told(known, call));
    }
    return said;
  }

  reject(id: number): string[] {
    const known = this.ids.get(id);
    if (known?.phase !== "offered") return [];
    known.phase = "gone";
    return ["reject"];
  }

  end(id: number): string[] {
    const known = this.ids.get(id);
    if (known === undefined || known.phase === "gone") return [];
    const said = known.phase === "ending" ? [] : ["end"];
    known.phase = "gone";
    return said;
  }

  /** A message that came is not handled at once. @returns False where there can be none. */
  hold(id: number): boolean {
    const known = this.ids.get(id);
    if (known?.phase !== "offered" && known?.phase !== "open") return false;
    known.held++;
    return true;
  }

  /** The oldest of them was handled. @returns True if that was the last thing there was to do on the connection. */
  handled(id: number): boolean {
    const known = this.ids.get(id);
    if (known === undefined || known.held === 0) return false;
    known.held--;
    if (known.phase !== "ending" || known.held > 0) return false;
    known.phase = "gone";
    return true;
  }

  say(id: number): boolean {
    const known = this.ids.get(id);
    if (known?.phase === "opening") {
      if (known.early === EARLY) return false;
      known.early++;
      return true;
    }
    if (known?.phase !== "open" || known.says?.left === 0) return false;
    if (known.says !== null) known.says.left--;
    return true;
  }

  /** @returns The request and its channels; null if there may be no more calls. */
  call(id: number, wants: { readonly upload: boolean; readonly download: boolean }, credit: number) {
    const known = this.ids.get(id);
    if (known === undefined || known.phase !== "opening" && known.phase !== "open") return null;
    if (running(known.ours) === MOST_CALLS || known.phase === "opening" && known.earlyCalls === EARLY) {
      return null;
    }
    if (known.phase === "opening") known.earlyCalls++;
    const request = highest(known.ours.keys()) + 1;
    const next = () => highest(ofParity(known.channels.keys(), false)) + 2;
    const upload = wants.upload ? next() : undefined;
    if (upload !== undefined) known.channels.set(upload, { ours: true, flow: flow(16), open: true });
    const download = wants.download ? next() : undefined;
    if (download !== undefined) known.channels.set(download, { ours: false, flow: flow(credit), open: true });
    known.ours.set(request, { state: "running", ok: true, upload, download });
    return { request, upload, download };
  }

  cancel(id: number, request: number): boolean {
    const known = this.ids.get(id);
    return known !== undefined && known.phase !== "gone" && known.ours.get(request)?.state === "running";
  }

  respond(id: number, request: number, ok: boolean): string[] {
    const known = this.ids.get(id);
    const call = known?.theirs.get(request);
    if (known === undefined || call?.state !== "running" || known.phase === "gone") return [];
    call.state = "decided";
    call.ok = ok;
    return known.phase === "offered" ? [] : this.#told(known, call);
  }

  send(id: number, channel: number): boolean {
    const found = this.#channel(id, channel);
    if (found === null || !found.ours || found.flow.left === 0) return false;
    found.flow.left--;
    return true;
  }

  endChannel(id: number, channel: number): boolean {
    const found = this.#channel(id, channel);
    if (found === null || !found.ours) return false;
    found.open = false;
    return true;
  }

  /** Consumes what has come, at most so many. @returns What must be granted. */
  consume(id: number, channel: number, most: number): { readonly items: number; readonly grant: number } {
    const found = channel === 0 ? this.#hears(id) : this.#channel(id, channel);
    if (found === null || found.ours) return { items: 0, grant: 0 };
    const { flow } = found;
    const items = Math.min(most, flow.granted - flow.left - flow.consumed);
    if (items === 0) return { items, grant: 0 };
    flow.consumed += items;
    const outstanding = flow.granted - flow.consumed;
    const grant = outstanding <= flow.initial / 2 ? flow.initial - outstanding : 0;
    flow.granted += grant;
    flow.left += grant;
    return { items, grant };
  }

  #hears(id: number): KnownChannel | null {
    const known = this.ids.get(id);
    return known?.phase !== "open" || known.hears === null
      ? null
      : { ours: false, flow: known.hears, open: true };
  }

  #channel(id: number, channel: number): KnownChannel | null {
    const known = this.ids.get(id);
    if (known?.phase !== "opening" && known?.phase !== "open") return null;
    const found = known.channels.get(channel);
    return found?.open === true ? found : null;
  }

  #told(known: Known, call: KnownCall): string[] {
    const open = call.download !== undefined && known.channels.get(call.download)!.open;
    this.#over(known, call);
    return [...open ? [call.ok ? "finish" : "reset"] : [], "response"];
  }

  #over(known: Known, call: KnownCall): void {
    call.state = "over";
    for (const id of [call.upload, call.download]) if (id !== undefined) known.channels.get(id)!.open = false;
  }
}

function newKnown(phase: Known["phase"]): Known {
  return {
    ...{ phase, early: 0, earlyCalls: 0, held: 0, says: null, hears: null },
    ...{ theirs: new Map(), ours: new Map(), channels: new Map() },
  };
}

function running(calls: ReadonlyMap<number, KnownCall>): number {
  return [...calls.values()].filter(({ state }) => state !== "over").length;
}

function add(flow: Flow, additional: number): boolean {
  if (!Number.isSafeInteger(flow.left + additional)) return false;
  flow.left += additional;
  return true;
}
