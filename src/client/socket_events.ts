/** The events of a WebSocket, also where the platform does not have them all, and the attributes that listen to them. */

/** What a `CloseEvent` says. */
export interface CloseDetails {
  /** As in a `CloseEvent`. */
  readonly code: number;
  /** As in a `CloseEvent`. */
  readonly reason: string;
  /** As in a `CloseEvent`. */
  readonly wasClean: boolean;
}

/** Node had no `CloseEvent` before version 23. */
class OwnCloseEvent extends Event implements CloseEvent {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;

  constructor(type: string, { code, reason, wasClean }: CloseDetails) {
    super(type);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

/** Makes the event `close`. */
export function closeEvent(details: CloseDetails): CloseEvent {
  return typeof CloseEvent === "function"
    ? new CloseEvent("close", details)
    : new OwnCloseEvent("close", details);
}

/** What an attribute such as `onmessage` holds. */
export type SocketHandler<E extends Event> = ((this: WebSocket, event: E) => unknown) | null;

/** The listening side of a WebSocket. */
export abstract class SocketEvents extends EventTarget {
  readonly #handlers = new Map<string, SocketHandler<never>>();

  /** Listens to `open`. */
  get onopen(): SocketHandler<Event> {
    return this.#handler("open");
  }

  set onopen(handler: SocketHandler<Event>) {
    this.#handle("open", handler);
  }

  /** Listens to `message`. */
  get onmessage(): SocketHandler<MessageEvent> {
    return this.#handler("message");
  }

  set onmessage(handler: SocketHandler<MessageEvent>) {
    this.#handle("message", handler);
  }

  /** Listens to `error`; `close` follows. */
  get onerror(): SocketHandler<Event> {
    return this.#handler("error");
  }

  set onerror(handler: SocketHandler<Event>) {
    this.#handle("error", handler);
  }

  /** Listens to `close`. */
  get onclose(): SocketHandler<CloseEvent> {
    return this.#handler("close");
  }

  set onclose(handler: SocketHandler<CloseEvent>) {
    this.#handle("close", handler);
  }

  /** Listens to an event of a WebSocket. */
  override addEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (this: WebSocket, event: WebSocketEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Listens to any event. */
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
  }

  /** Listens no longer to an event of a WebSocket. */
  override removeEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (this: WebSocket, event: WebSocketEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  /** Listens no longer to any event. */
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener, options);
  }

  /** Each attribute's setter decides what its getter gives. */
  #handler<E extends Event>(type: string): SocketHandler<E> {
    return (this.#handlers.get(type) ?? null) as SocketHandler<E>;
  }

  /** Is called at the place of the attribute's first handler among the listeners, as the standard says. */
  #handle(type: string, handler: SocketHandler<never>): void {
    const known = this.#handlers.has(type);
    this.#handlers.set(type, typeof handler === "function" ? handler : null);
    if (known) return;
    super.addEventListener(type, (event) => {
      // Whoever extends this is the WebSocket.
      this.#handler(type)?.call(this as unknown as WebSocket, event);
    });
  }
}
