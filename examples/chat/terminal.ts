/**
 * The chat in a terminal: each line you type is said, each entry is printed.
 *
 * `deno run --allow-net examples/chat/terminal.ts ada lobby http://127.0.0.1:8080`
 */

import { connect } from "../../src/client/mod.ts";
import { enter, type Place } from "./visit.ts";

const [name = "somebody", room = "lobby", url = "http://127.0.0.1:8080"] = Deno.args;
const session = connect(url);
session.on("detached", () => console.log("* the line is broken"));
session.on("resumed", () => console.log("* the line is there again"));
session.on("lost", ({ reason }) => console.log(`* the session is lost: ${reason}`));

const visit = enter(
  session,
  { name, room } as Place,
  ({ id, name, text }) => console.log(`${id} ${name}: ${text}`),
);
visit.over.catch((error: Error) => {
  console.error(error.message);
  Deno.exit(1);
});

let rest = "";
for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + piece).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) if (line.trim() !== "") await visit.say(line);
}
await session.close();
