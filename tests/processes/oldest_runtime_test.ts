/** The oldest Deno that the server runs on, fetched from the npm registry. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ForeignClient } from "../support/foreign_client.ts";
import { installed } from "../support/npm_program.ts";
import { ServerProcess } from "../support/server_process.ts";

const OLDEST = "2.5.6";

const found = await installed("deno", OLDEST);
if ("missing" in found) console.warn(`Deno ${OLDEST} cannot be had: ${found.missing}`);
const runtime = "program" in found ? found.program : "";

for (const transport of ["native", "hardened"]) {
  Deno.test({
    name:
      `Deno ${OLDEST}, ${transport}: sessions survive a SIGKILL, and a store that is open is refused to others`,
    ignore: "missing" in found,
    async fn() {
      const directory = await Deno.makeTempDir();
      const environment = {
        HOLDFAST_KV: join(directory, "holdfast.sqlite3"),
        HOLDFAST_TRANSPORT: transport,
      };
      const server = await ServerProcess.start(environment, undefined, runtime);
      const client = new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect` });
      const through = async (what: string) => {
        client.produce(200);
        await client.until(what, () => client.echoed === client.produced && client.unacked === 0, 15_000);
      };
      try {
        client.start();
        await through("it echoes");
        const { code, stderr } = await ServerProcess.startsNot(environment, runtime);
        assert.equal(code, 1);
        assert.match(stderr, /is open in another process/);
        client.produce(200);
        await server.kill();
        await server.restart();
        await through("it echoes again");
        assert.equal(client.failure, null);
        assert.deepEqual([client.counts.established, client.counts.resumed], [2, 1]);
        assert.deepEqual(server.log.filter(({ level }) => level === "error"), []);
        assert.equal((await server.stop()).code, 0);
      } finally {
        await client.stop();
        await server.dispose();
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}
