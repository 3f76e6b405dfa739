/** How routes get an address, and the platform's own way to give them one. */

import type { Connection } from "./connect.ts";

/** What is served. */
export interface Routes {
  fetch(request: Request, connection: Connection): Response | Promise<Response>;
}

/** Where to listen. */
export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
}

/** An address that is listened on. */
export interface Listener {
  readonly hostname: string;
  readonly port: number;
  /**
   * Takes no more connections; WebSockets that are open stay. The platform's own server cannot, and goes on taking them until
   * {@link shutdown}.
   */
  refuse(): void;
  /** Takes no more connections and ends those that are left. */
  shutdown(): Promise<void>;
}

/** Serves routes by `Deno.serve`. @throws Error if the address cannot be had. */
export async function listenNatively(routes: Routes, { hostname, port }: ListenOptions): Promise<Listener> {
  const listening = Promise.withResolvers<Deno.NetAddr>();
  const server = Deno.serve(
    { hostname, port, onListen: listening.resolve },
    (request, { remoteAddr }) => routes.fetch(request, { remoteAddr }),
  );
  const address = await listening.promise;
  return {
    hostname: address.hostname,
    port: address.port,
    refuse() {},
    shutdown: () => server.shutdown(),
  };
}
