/** The calls of one connection as its caller sees them, so that what is said next fits, or nearly does. */

import { decodeBody } from "../../src/protocol/body.ts";
import type { SessionMessage } from "../../src/protocol/messages.ts";

/** An upload begins with this credit (`channel.credit`). */
const UPLOAD_CREDIT = 16;
/** So many calls may be in flight before the connection is accepted (`connection.early`), and afterwards (`call.limit`). */
const EARLY = 16;
const MOST = 64;

/** What a call came to: `ok`, or its code. */
export interface FuzzedAnswer {
  readonly method: string;
  readonly outcome: string;
}

interface InFlight {
  readonly method: string;
  readonly channels: readonly number[];
}

/** See the top of this file. */
export class ConnectionCalls {
  readonly service: string;
  accepted = false;
  /** The highest request and channel that were given; −1: no channel yet. */
  request = 0;
  channel = -1;
  readonly #inFlight = new Map<number, InFlight>();
  /** Of each upload that was not ended, the items that may still be sent. */
  readonly #uploads = new Map<number, number>();
  readonly #downloads = new Set<number>();

  constructor(service: string) {
    this.service = service;
  }

  get requests(): number[] {
    return [...this.#inFlight.keys()];
  }

  get uploads(): number[] {
    return [...this.#uploads.keys()];
  }

  get downloads(): number[] {
    return [...this.#downloads];
  }

  /** Items that the server takes on an upload now. */
  creditOf(upload: number): number {
    return this.#uploads.get(upload) ?? 0;
  }

  /** Whether one call more is within what may be in flight. */
  get hasRoom(): boolean {
    return this.#inFlight.size < (this.accepted ? MOST : EARLY);
  }

  /** Notes what the caller said, mutated or not. */
  said(message: SessionMessage): void {
    switch (message.kind) {
      case "call": {
        if (message.request <= this.request) return;
        const { upload, download } = message.options ?? {};
        const channels = [upload, download].filter((id) => id !== undefined);
        this.request = message.request;
        this.channel = Math.max(this.channel, ...channels);
        this.#inFlight.set(message.request, { method: message.method, channels });
        if (upload !== undefined) this.#uploads.set(upload, UPLOAD_CREDIT);
        if (download !== undefined) this.#downloads.add(download);
        return;
      }
      case "item":
        this.#grant(message.channel, -1);
        return;
      case "finish":
      case "reset":
        this.#uploads.delete(message.channel);
    }
  }

  /** Notes what came, once. @returns What a call came to, if it is that. */
  heard(message: SessionMessage): FuzzedAnswer | null {
    switch (message.kind) {
      case "accept":
        this.accepted = true;
        return null;
      case "credit":
        this.#grant(message.channel, message.additional);
        return null;
      case "finish":
      case "reset":
        this.#downloads.delete(message.channel);
        return null;
      case "response": {
        const call = this.#inFlight.get(message.request);
        if (call === undefined) return null;
        this.#inFlight.delete(message.request);
        for (const id of call.channels) {
          this.#uploads.delete(id);
          this.#downloads.delete(id);
        }
        if (message.ok) return { method: call.method, outcome: "ok" };
        const { code } = decodeBody(message.body) as { readonly code: string };
        return { method: call.method, outcome: code };
      }
      default:
        return null;
    }
  }

  #grant(upload: number, items: number): void {
    const credit = this.#uploads.get(upload);
    if (credit !== undefined) this.#uploads.set(upload, credit + items);
  }
}
