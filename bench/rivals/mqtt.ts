/** npm's `mqtt` client on MQTT 5 with a persistent session: what it publishes to its own topic comes back. */

import { Buffer } from "node:buffer";
import { Conversation, type Hearer, type Place } from "./conversation.ts";
import { load } from "./packages.ts";

interface Acknowledged {
  readonly sessionPresent: boolean;
}

interface MqttClient {
  readonly stream: { destroy(): void };
  on(event: "message", listener: (topic: string, payload: Uint8Array) => void): void;
  on(event: "close", listener: () => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  once(event: "connect", listener: (answer: Acknowledged) => void): void;
  once(event: "close", listener: () => void): void;
  removeListener(event: "connect" | "close", listener: unknown): void;
  publish(topic: string, payload: string, options: unknown): void;
  publishAsync(topic: string, payload: string, options: unknown): Promise<unknown>;
  subscribeAsync(topic: string, options: unknown): Promise<unknown>;
  reconnect(): void;
  endAsync(force: boolean): Promise<unknown>;
}

interface Mqtt {
  connect(url: string, options: unknown): MqttClient;
}

/** Seconds. */
const SESSION_EXPIRES = 600;

/** Who publishes what is to be missed, one for all conversations of a process. */
let publisher: Promise<MqttClient> | undefined;

/** One quality of service, for publishing and subscribing. */
export class MqttConversation extends Conversation {
  readonly #topic: string;
  #client: MqttClient | undefined;
  #away = true;

  constructor(place: Place, hearer: Hearer, private readonly qos: 1 | 2) {
    super(place, hearer);
    this.#topic = `bench/${place.number}`;
  }

  override async open(): Promise<void> {
    const { connect } = await mqtt();
    this.#client = connect(this.place.url, {
      protocolVersion: 5,
      clientId: `bench-${this.number}`,
      clean: false,
      properties: { sessionExpiryInterval: SESSION_EXPIRES, receiveMaximum: 65_535 },
      reconnectPeriod: 0,
    });
    const client = this.#client;
    client.on("message", (_topic, payload) => {
      if (!this.#away) this.took(Buffer.from(payload).toString("latin1"));
    });
    client.on("close", () => {
      if (this.#away) return;
      this.#away = true;
      this.broke();
    });
    // Each error is followed by `close`, which is what is acted upon.
    client.on("error", () => {});
    await this.#connected();
    await client.subscribeAsync(this.#topic, { qos: this.qos });
  }

  override cut(): void {
    this.#away = true;
    this.#client?.stream.destroy();
  }

  override async resume(): Promise<boolean> {
    const connected = this.#connected();
    this.#client?.reconnect();
    const present = await connected;
    // A broker that forgot the session forgot what it was subscribed to.
    if (!present) await this.#client?.subscribeAsync(this.#topic, { qos: this.qos });
    return present;
  }

  override async close(): Promise<void> {
    this.#away = true;
    await this.#client?.endAsync(true);
  }

  protected override deliver(texts: readonly string[]): void {
    for (const text of texts) this.#client?.publish(this.#topic, text, { qos: this.qos });
  }

  protected override async missed(texts: readonly string[]): Promise<void> {
    const client = await (publisher ??= publisherAt(this.place.url));
    this.cut();
    // The broker must have noticed, or the first ones leave for the old transport and wait for its end.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await Promise.all(texts.map((text) => client.publishAsync(this.#topic, text, { qos: this.qos })));
  }

  #connected(): Promise<boolean> {
    const client = this.#client!;
    return new Promise((resolve, reject) => {
      const refused = () => {
        client.removeListener("connect", taken);
        reject(new Error("the broker cannot be reached"));
      };
      const taken = ({ sessionPresent }: Acknowledged) => {
        client.removeListener("close", refused);
        this.#away = false;
        resolve(sessionPresent);
      };
      client.once("connect", taken);
      client.once("close", refused);
    });
  }
}

async function mqtt(): Promise<Mqtt> {
  const loaded = await load<{ default: Mqtt }>("mqtt");
  return loaded.default;
}

async function publisherAt(url: string): Promise<MqttClient> {
  const { connect } = await mqtt();
  const client = connect(url, { protocolVersion: 5, clean: true, reconnectPeriod: 0 });
  await new Promise<void>((resolve, reject) => {
    client.once("connect", () => resolve());
    client.on("error", reject);
  });
  return client;
}
