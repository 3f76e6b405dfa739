/**
 * Counts through the service `echo`, one number a second, whatever happens to the connection or the server meanwhile.
 *
 * `deno run --allow-net examples/count.ts http://127.0.0.1:8080`
 */

import { connect } from "../src/client/mod.ts";

const [url = "http://127.0.0.1:8080"] = Deno.args;
const session = connect(url);
session.on("connected", ({ session }) => console.log(`connected: session ${session}`));
session.on("detached", ({ retryIn }) => console.log(`detached: next try in ${retryIn} ms`));
session.on("resumed", ({ replayed }) => console.log(`resumed: ${replayed} sent again`));
session.on("lost", ({ reason }) => console.log(`lost: ${reason}`));

const echo = session.open("echo");

async function count(upTo: number) {
  for (let number = 1; number <= upTo; number++) {
    await echo.send(number);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

const counting = count(12);
for await (const number of echo) {
  console.log(`echo ${number}`);
  if (number === 12) break;
}
await counting;
await session.close();
