/** The service `echo`: sends every message back on its connection. */

import type { Service } from "./service.ts";

/** Bodies are passed on undecoded; a volatile message comes back volatile. */
export const echo: Service = {
  name: "echo",
  onMessage: (connection, body) => connection.send(body),
  onVolatile: (connection, body) => connection.sendVolatile(body),
};
