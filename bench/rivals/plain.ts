/** A WebSocket and nothing else: the floor. */

import { Conversation } from "./conversation.ts";

/** What was under way when its socket broke is gone. */
export class Plain extends Conversation {
  #socket: WebSocket | undefined;

  override open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.place.url.replace(/^http/, "ws"));
      socket.onopen = () => {
        this.opened = performance.now();
        this.#socket = socket;
        resolve();
      };
      socket.onmessage = ({ data }) => {
        if (this.#socket === socket) this.took(data);
      };
      socket.onclose = () => {
        reject(new Error("the server cannot be reached"));
        if (this.#socket !== socket) return;
        this.#socket = undefined;
        this.broke();
      };
    });
  }

  override cut(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  override async resume(): Promise<boolean> {
    await this.open();
    return false;
  }

  override close(): Promise<void> {
    this.cut();
    return Promise.resolve();
  }

  protected override deliver(texts: readonly string[]): void {
    for (const text of texts) this.#socket?.send(text);
  }

  /** There is nobody who could keep anything: what would have been missed counts as never sent. */
  protected override missed(texts: readonly string[]): Promise<void> {
    this.sent -= texts.length;
    this.cut();
    return Promise.resolve();
  }
}
