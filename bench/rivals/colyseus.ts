/** Colyseus' own client: one room for all clients, reconnection by token. */

import { Conversation, MISSED_AFTER_MS } from "./conversation.ts";
import { load } from "./packages.ts";
import { later } from "./servers/answer.ts";

interface Room {
  readonly reconnectionToken: string;
  readonly reconnection: { enabled: boolean };
  readonly connection: { close(code?: number): void };
  onMessage(type: string, listener: (text: string) => void): void;
  onLeave(listener: () => void): void;
  send(type: string, text: string): void;
  leave(consented: boolean): Promise<unknown>;
}

interface Client {
  joinOrCreate(name: string): Promise<Room>;
  reconnect(token: string): Promise<Room>;
}

/** What is sent to a client that is away goes nowhere. */
export class Colyseus extends Conversation {
  #client: Client | undefined;
  #room: Room | undefined;
  #token = "";

  override async open(): Promise<void> {
    const { Client } = await load<{ Client: new (url: string) => Client }>("@colyseus/sdk");
    this.#client = new Client(this.place.url);
    this.#enter(await this.#client.joinOrCreate("echo"));
  }

  override cut(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.connection.close();
  }

  override async resume(): Promise<boolean> {
    const client = this.#client!;
    try {
      this.#enter(await client.reconnect(this.#token));
      return true;
    } catch (error) {
      // Refused by a server that answers: the seat is not there any more. Anything else is for another attempt.
      if (typeof (error as { code?: unknown }).code !== "number") throw error;
      this.#enter(await client.joinOrCreate("echo"));
      return false;
    }
  }

  override async close(): Promise<void> {
    const room = this.#room;
    this.#room = undefined;
    await room?.leave(true);
  }

  protected override deliver(texts: readonly string[]): void {
    for (const text of texts) this.#room?.send("text", text);
  }

  protected override async missed(texts: readonly string[], first: number): Promise<void> {
    this.#room?.send("text", later(this.number, first, texts.length));
    this.cut();
    await new Promise((resolve) => setTimeout(resolve, MISSED_AFTER_MS));
  }

  #enter(room: Room): void {
    room.reconnection.enabled = false;
    this.#room = room;
    this.#token = room.reconnectionToken;
    room.onMessage("text", (text) => {
      if (this.#room === room) this.took(text);
    });
    room.onLeave(() => {
      if (this.#room !== room) return;
      this.#room = undefined;
      this.broke();
    });
  }
}
