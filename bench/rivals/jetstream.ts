/** NATS JetStream through npm's `nats`: texts are published to a stream in files, and a durable consumer gets them back. */

import { Conversation } from "./conversation.ts";
import { load } from "./packages.ts";

interface JetStreamMessage {
  readonly data: Uint8Array;
  ack(): void;
}

interface Messages extends AsyncIterable<JetStreamMessage> {
  stop(): void;
}

interface Streams {
  add(config: unknown): Promise<unknown>;
}

interface JetStreamManager {
  readonly streams: Streams;
  readonly consumers: { add(stream: string, config: unknown): Promise<unknown> };
}

interface JetStream {
  publish(subject: string, data: Uint8Array, options?: unknown): Promise<unknown>;
  readonly consumers: {
    get(stream: string, name: string): Promise<{ consume(options?: unknown): Promise<Messages> }>;
  };
}

interface Connection {
  jetstream(): JetStream;
  jetstreamManager(): Promise<JetStreamManager>;
  closed(): Promise<unknown>;
  isClosed(): boolean;
  close(): Promise<void>;
}

interface Nats {
  connect(options: unknown): Promise<Connection>;
}

const STREAM = "BENCH";
const subjectOf = (number: number) => `bench.${number}`;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * What was handed to a client that is gone is handed out again after this; by default 30 s. Shorter where clients are cut
 * off, so that it is not taken for lost; not elsewhere, where a slow client would get it twice. Nanoseconds.
 */
const REDELIVERED_AFTER_NS = 1_000_000_000;

const CONNECT = { reconnect: false, noEcho: true, timeout: 5_000 };

async function connect(url: string): Promise<Connection> {
  const nats = await load<Nats>("nats");
  return await nats.connect({ ...CONNECT, servers: url.replace(/^\w+:\/\//, "") });
}

/** The stream of each server, made once. */
const streams = new Map<string, Promise<void>>();

function makeStream(url: string, connection: Connection): Promise<void> {
  let made = streams.get(url);
  if (made === undefined) streams.set(url, made = addStream(connection));
  return made;
}

async function addStream(connection: Connection): Promise<void> {
  const manager = await connection.jetstreamManager();
  // A process that measured the same server before may have made it; the same configuration is no error.
  await manager.streams.add({ name: STREAM, subjects: ["bench.*"], storage: "file" });
}

/** Who publishes what is to be missed, one for all conversations of a process. */
let publisher: Promise<Connection> | undefined;

/** One client with a durable consumer of its own subject. What was not acked is published again, under the same id. */
export class JetStreamConversation extends Conversation {
  #connection: Connection | undefined;
  #stream: JetStream | undefined;
  readonly #unacked = new Map<string, string>();

  override async open(): Promise<void> {
    const connection = await this.#connect();
    await makeStream(this.place.url, connection);
    const manager = await connection.jetstreamManager();
    await manager.consumers.add(STREAM, {
      durable_name: `c${this.number}`,
      filter_subject: subjectOf(this.number),
      ack_policy: "explicit",
      ...this.place.breaks ? { ack_wait: REDELIVERED_AFTER_NS } : {},
    });
    await this.#consume();
  }

  override cut(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    void connection?.close();
  }

  override async resume(): Promise<boolean> {
    await this.#connect();
    await this.#consume();
    for (const [id, text] of this.#unacked) this.#publish(id, text);
    return true;
  }

  override async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  protected override deliver(texts: readonly string[]): void {
    for (const text of texts) {
      const id = text.replace(/\.+$/, "");
      this.#unacked.set(id, text);
      this.#publish(id, text);
    }
  }

  protected override async missed(texts: readonly string[]): Promise<void> {
    const connection = await (publisher ??= connect(this.place.url));
    this.cut();
    const stream = connection.jetstream();
    await Promise.all(
      texts.map((text) => stream.publish(subjectOf(this.number), encoder.encode(text))),
    );
  }

  async #connect(): Promise<Connection> {
    const connection = await connect(this.place.url);
    this.#connection = connection;
    this.#stream = connection.jetstream();
    void connection.closed().then(() => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      this.broke();
    });
    return connection;
  }

  async #consume(): Promise<void> {
    const connection = this.#connection;
    const consumer = await this.#stream!.consumers.get(STREAM, `c${this.number}`);
    const messages = await consumer.consume({ max_messages: 500 });
    void (async () => {
      for await (const message of messages) {
        if (this.#connection !== connection) return;
        message.ack();
        this.took(decoder.decode(message.data));
      }
    })();
  }

  #publish(id: string, text: string): void {
    const connection = this.#connection;
    this.#stream?.publish(subjectOf(this.number), encoder.encode(text), { msgID: id }).then(
      () => void this.#unacked.delete(id),
      (error) => {
        // A break is told elsewhere, and what it left unacked is published again.
        if (connection?.isClosed() === false) this.fail(`publish: ${error.message}`);
      },
    );
  }
}

/** Publishes to a stream and awaits each ack, many at a time, from one client; nothing comes back but acks. */
export class JetStreamPublisher extends Conversation {
  #connection: Connection | undefined;

  override async open(): Promise<void> {
    this.#connection = await connect(this.place.url);
    await makeStream(this.place.url, this.#connection);
  }

  override cut(): void {
    throw new Error("a publisher has nothing to take up");
  }

  override resume(): Promise<boolean> {
    return Promise.reject(new Error("a publisher has nothing to take up"));
  }

  override async close(): Promise<void> {
    await this.#connection?.close();
  }

  protected override deliver(texts: readonly string[]): void {
    const stream = this.#connection!.jetstream();
    for (const text of texts) {
      stream.publish(subjectOf(this.number), encoder.encode(text)).then(
        () => this.took(text),
        (error) => this.fail(`publish: ${error.message}`),
      );
    }
  }

  protected override missed(): Promise<void> {
    return Promise.reject(new Error("a publisher misses nothing"));
  }
}
