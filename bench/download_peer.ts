/** A peer that takes one endless download of the bench's own service, and grants credit in steps. */

import { encodeBody } from "../src/protocol/body.ts";
import type { Durability, SessionMessage } from "../src/protocol/messages.ts";
import { TestBody } from "./body.ts";
import { CONNECTION, type PeerOptions, SessionPeer } from "./peers.ts";

const CHANNEL = 1;

/** How the method of the service makes its items. */
export type ItemSource = "async" | "sync";

/**
 * Grants when half of what it first granted has come, as `channel.credit` wants; `inFlight` is what it first grants. What it
 * records is the time from a grant until each of its items is there.
 */
export class DownloadPeer extends SessionPeer {
  readonly #method: ItemSource;
  readonly #body: TestBody;
  #came = 0;
  #granted = 0;
  /** Of the grants that items are still to come for. */
  readonly #grants: { readonly upTo: number; readonly at: number }[] = [];

  constructor(options: PeerOptions, durability: Durability, method: ItemSource) {
    super(options, "items", { durability, noDelay: true });
    this.#method = method;
    this.#body = new TestBody(options.bytes, options.number);
  }

  /** Items that are granted and have not come. */
  override get outstanding(): number {
    return this.#granted - this.#came;
  }

  protected override sendNext(count: number, now: number): void {
    if (count === 0) return;
    const { bytes, number: peer } = this.options;
    if (this.#granted === 0) {
      this.session.put({
        ...{ kind: "call", connection: CONNECTION, request: 1, method: this.#method },
        body: encodeBody({ bytes, peer }),
        options: { download: CHANNEL, credit: count },
      });
    } else {
      this.session.put({ kind: "credit", connection: CONNECTION, channel: CHANNEL, additional: count });
    }
    this.#granted += count;
    this.#grants.push({ upTo: this.#granted, at: now });
    this.session.flush();
  }

  override frameTaken(now: number): void {
    const { inFlight } = this.options;
    if (this.refilling && this.outstanding * 2 <= inFlight) this.sendNext(inFlight - this.outstanding, now);
  }

  protected override answered(message: SessionMessage, now: number): number {
    if (message.kind !== "item" || message.channel !== CHANNEL) {
      this.fail(`the server says ${message.kind}`);
      return 0;
    }
    const index = this.#came++;
    if (this.#came > this.#granted) this.fail(`item ${this.#came} of ${this.#granted} granted`);
    const wrong = this.#body.mismatch(message.body, index);
    if (wrong !== null) this.fail(wrong);
    while (this.#grants[0] !== undefined && this.#grants[0].upTo <= index) this.#grants.shift();
    this.options.meter.record(now - (this.#grants[0]?.at ?? now));
    return 1;
  }
}
