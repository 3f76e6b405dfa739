/** A client that calls, by the protocol alone: on top of `TestClient`, which numbers, keeps and resumes. */

import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { CallOptions, Message, SessionMessage } from "../../src/protocol/messages.ts";
import { settle } from "./fake_clock.ts";
import { TestClient } from "./raw_peer.ts";
import type { TestNode } from "./test_node.ts";

/** What a call came to. */
export interface Answered {
  readonly ok: boolean;
  readonly value: BodyValue;
  readonly code: string | undefined;
}

export class CallClient extends TestClient {
  /** Every session message that came, in order, each once. */
  readonly came: SessionMessage[] = [];
  #requests = 0;
  #channels = -1;

  /** Connects, and opens connection 1 to a service. */
  static async open(node: TestNode, service: string, settings?: ConstructorParameters<typeof TestClient>[0]) {
    const client = new CallClient(settings);
    await client.connect(node);
    client.openTo(service);
    await settle();
    return client;
  }

  openTo(service: string, connection = 1, messageCredit?: number): void {
    const credit = messageCredit === undefined ? {} : { messageCredit };
    this.say({ kind: "open", connection, service, ...credit });
  }

  protected override noted(message: Message): void {
    if ("seq" in message) this.came.push(message);
  }

  /** Calls a method on connection 1. @returns The request's number. */
  call(method: string, value: BodyValue, options?: CallOptions, connection = 1): number {
    const request = ++this.#requests;
    const body = encodeBody(value);
    this.say({
      kind: "call",
      connection,
      request,
      method,
      body,
      ...(options === undefined ? {} : { options }),
    });
    return request;
  }

  /** The next channel id of a client. */
  channel(): number {
    return this.#channels += 2;
  }

  /** The answer to a request; undefined while there is none. */
  answer(request: number, connection = 1): Answered | undefined {
    const answers = this.came.flatMap((m) =>
      m.kind === "response" && m.request === request && m.connection === connection ? [m] : []
    );
    if (answers.length > 1) throw new Error(`request ${request} was answered ${answers.length} times`);
    const [response] = answers;
    if (response === undefined) return undefined;
    const value = decodeBody(response.body);
    const code = response.ok ? undefined : (value as { readonly code: string }).code;
    return { ok: response.ok, value, code };
  }

  /** Calls, and gives what it came to by the time all is settled. */
  async ask(method: string, value: BodyValue, options?: CallOptions): Promise<Answered | undefined> {
    const request = this.call(method, value, options);
    await settle();
    return this.answer(request);
  }

  /** The items of a channel, in order. */
  items(channel: number): BodyValue[] {
    return this.came.flatMap((m) => m.kind === "item" && m.channel === channel ? [decodeBody(m.body)] : []);
  }

  /** The kinds of what came, in order. */
  get kinds(): string[] {
    return this.came.map(({ kind }) => kind);
  }
}
