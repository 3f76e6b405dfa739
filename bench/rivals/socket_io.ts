/** socket.io's own client, with connection state recovery. */

import { Conversation, MISSED_AFTER_MS } from "./conversation.ts";
import { load } from "./packages.ts";
import { later } from "./servers/answer.ts";

interface ClientSocket {
  readonly recovered: boolean;
  readonly connected: boolean;
  readonly io: { readonly engine: { close(): void } };
  on(event: "text", listener: (text: string) => void): void;
  on(event: "disconnect", listener: () => void): void;
  once(event: "connect", listener: () => void): void;
  once(event: "connect_error", listener: (error: Error) => void): void;
  off(event: "connect" | "connect_error"): void;
  emit(event: "text", text: string): void;
  connect(): void;
  disconnect(): void;
}

type Io = (url: string, options: unknown) => ClientSocket;

/** Messages that are emitted while it is away wait in the client, as socket.io has it; those under way are not repeated. */
export class SocketIo extends Conversation {
  #socket: ClientSocket | undefined;
  #away = false;

  override async open(): Promise<void> {
    const { io } = await load<{ io: Io }>("socket.io-client");
    const socket = io(this.place.url, {
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      autoConnect: false,
    });
    this.#socket = socket;
    socket.on("text", (text) => this.took(text));
    socket.on("disconnect", () => {
      if (!this.#away) this.broke();
    });
    await this.#connect();
  }

  override cut(): void {
    this.#away = true;
    this.#socket?.io.engine.close();
  }

  override async resume(): Promise<boolean> {
    await this.#connect();
    return this.#socket?.recovered ?? false;
  }

  override close(): Promise<void> {
    this.#away = true;
    this.#socket?.disconnect();
    return Promise.resolve();
  }

  protected override deliver(texts: readonly string[]): void {
    for (const text of texts) this.#socket?.emit("text", text);
  }

  protected override async missed(texts: readonly string[], first: number): Promise<void> {
    this.#socket?.emit("text", later(this.number, first, texts.length));
    this.cut();
    await new Promise((resolve) => setTimeout(resolve, MISSED_AFTER_MS));
  }

  #connect(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return Promise.reject(new Error("it was never opened"));
    return new Promise((resolve, reject) => {
      socket.off("connect");
      socket.off("connect_error");
      socket.once("connect", () => {
        this.#away = false;
        resolve();
      });
      socket.once("connect_error", reject);
      socket.connect();
    });
  }
}
