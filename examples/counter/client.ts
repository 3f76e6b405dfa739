/**
 * Calls the service of `server.ts`, whatever happens to the connection or the server meanwhile.
 *
 * `deno run --allow-net examples/counter/client.ts http://127.0.0.1:8080`
 */

import { connect } from "../../src/client/mod.ts";
import type { counter } from "./server.ts";

const [url = "http://127.0.0.1:8080"] = Deno.args;
const session = connect(url);
session.on("detached", ({ retryIn }) => console.log(`detached: next try in ${retryIn} ms`));
session.on("resumed", () => console.log("resumed"));

const service = session.open<typeof counter>("counter"); // the type alone: none of the service's code
console.log(`total ${await service.call("add", 1)}`);
for await (const left of service.download("countdown", 5)) console.log(left);
console.log(`total ${await service.call("add", -1)}`);

await session.close();
