/** What a server process serves before a test measures its memory: in a new one the heap has not found its size. */

import { connect } from "../../src/client/mod.ts";
import type { ServerProcess } from "./server_process.ts";

/** Sessions that come, say something, and go; so many at once. */
export async function serveSessions(server: ServerProcess, count: number, atOnce: number): Promise<void> {
  for (let served = 0; served < count; served += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, async () => {
      const session = connect(server.url, { durability: "ephemeral" });
      const echo = session.open("echo");
      for (let n = 0; n < 20; n++) await echo.send(`message ${n}`);
      await echo.opened;
      await session.close();
    }));
  }
}
