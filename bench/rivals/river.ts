/** @replit/river's own client: one `stream` procedure that lives across reconnects. */

import { Conversation, MISSED_AFTER_MS } from "./conversation.ts";
import { load } from "./packages.ts";
import { RIVER_OPTIONS } from "./river_options.ts";
import { later } from "./servers/answer.ts";

interface Status {
  readonly status: "connect" | "disconnect";
}

interface Transport {
  reconnectOnConnectionDrop: boolean;
  readonly connections: Map<string, { close(): void }>;
  connect(to: string): Promise<void>;
  addEventListener(event: "connectionStatus" | "sessionStatus", handler: (event: Status) => void): void;
  destroy(): void;
}

interface Socket {
  addEventListener(event: "error", listener: () => void): void;
}

interface Input {
  push(message: { text: string }): void;
}

type Stream = [Input, AsyncIterable<{ ok: boolean; payload: { text: string } }>, () => void];

interface Client {
  readonly bench: { readonly echo: { stream(): Promise<Stream> } };
}

interface Router {
  createClient(transport: Transport, to: string, options: unknown): Client;
}

const SERVER = "SERVER";
/** A dial that is not answered by a handshake. Milliseconds. */
const DIAL_MS = 5_000;

/** The session, and the stream in it, are river's; after a loss the stream is opened anew. */
export class River extends Conversation {
  #transport: Transport | undefined;
  #client: Client | undefined;
  #input: Input | undefined;
  #away = false;
  #lost = false;
  #connected: () => void = () => {};
  #refused: () => void = () => {};

  override async open(): Promise<void> {
    const { createClient } = await load<Router>("@replit/river");
    const { BinaryCodec } = await load<{ BinaryCodec: unknown }>("@replit/river/codec");
    const { WebSocketClientTransport } = await load<
      { WebSocketClientTransport: new (dial: unknown, id: string, options: unknown) => Transport }
    >("@replit/river/transport/ws/client");
    const { WebSocket } = await load<{ WebSocket: new (url: string) => Socket }>("ws");
    const dial = () => {
      const socket = new WebSocket(this.place.url);
      socket.addEventListener("error", () => this.#refused());
      return Promise.resolve(socket);
    };
    const transport = new WebSocketClientTransport(
      dial,
      `client-${this.number}-${performance.timeOrigin}`,
      {
        ...RIVER_OPTIONS,
        codec: BinaryCodec,
        baseIntervalMs: 0,
        maxJitterMs: 0,
        attemptBudgetCapacity: 1000,
      },
    );
    transport.reconnectOnConnectionDrop = false;
    transport.addEventListener("connectionStatus", ({ status }) => {
      if (status === "connect") return this.#connected();
      if (!this.#away) this.broke();
    });
    transport.addEventListener("sessionStatus", ({ status }) => {
      if (status === "disconnect") this.#lost = true;
    });
    this.#transport = transport;
    this.#client = createClient(transport, SERVER, { eagerlyConnect: false, connectOnInvoke: false });
    await this.#connect();
    await this.#stream();
  }

  override cut(): void {
    this.#away = true;
    this.#transport?.connections.get(SERVER)?.close();
  }

  override async resume(): Promise<boolean> {
    await this.#connect();
    if (!this.#lost) return true;
    this.#lost = false;
    await this.#stream();
    return false;
  }

  override close(): Promise<void> {
    this.#away = true;
    this.#transport?.destroy();
    return Promise.resolve();
  }

  protected override deliver(texts: readonly string[]): void {
    for (const text of texts) this.#input?.push({ text });
  }

  protected override async missed(texts: readonly string[], first: number): Promise<void> {
    this.#input?.push({ text: later(this.number, first, texts.length) });
    // The client's input is an asynchronous iterator: it is on the wire some turns later.
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.cut();
    await new Promise((resolve) => setTimeout(resolve, MISSED_AFTER_MS));
  }

  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no handshake in ${DIAL_MS} ms`)), DIAL_MS);
      this.#connected = () => {
        clearTimeout(late);
        this.#away = false;
        resolve();
      };
      this.#refused = () => {
        clearTimeout(late);
        reject(new Error("the server cannot be reached"));
      };
      this.#transport?.connect(SERVER).catch(this.#refused);
    });
  }

  async #stream(): Promise<void> {
    const [input, output] = await this.#client!.bench.echo.stream();
    this.#input = input;
    void (async () => {
      for await (const { ok, payload } of output) if (ok) this.took(payload.text);
    })();
  }
}
