/** The SDK and `HoldfastSocket`, bundled, in Node 22: the oldest Node that has a WebSocket. Fetched from the npm registry. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installed } from "../support/npm_program.ts";
import { ServerProcess } from "../support/server_process.ts";

const NODE = "22";
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What Node runs: numbers through a server that is killed on the way, and a socket to an upstream that echoes. */
const PROGRAM = `
import { connect } from "./client.mjs";
import { HoldfastSocket } from "./socket.mjs";

const [url, count] = [process.argv[2], Number(process.argv[3])];
const session = connect(url, { reconnect: () => 50 });
let resumes = 0;
session.on("resumed", () => resumes++);

const Socket = HoldfastSocket.over(session, "upstream:mirror");
const socket = new Socket("ws://any/");
socket.binaryType = "arraybuffer";
await new Promise((resolve) => socket.onopen = resolve);
const heard = [];
const both = new Promise((resolve) => socket.onmessage = ({ data }) => {
  heard.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
  if (heard.length === 2) resolve();
});
socket.send("text");
socket.send(new Uint8Array([1, 2, 3]));
await both;
const closed = new Promise((resolve) => socket.onclose = ({ code, reason }) => resolve([code, reason]));
socket.close(4000, "done");
const closing = await closed;

const echo = session.open("echo");
const numbers = [];
const sending = (async () => {
  for (let n = 0; n < count; n++) {
    await echo.send(n);
    if (n === count / 2) console.log("half");
  }
})();
for await (const n of echo) {
  numbers.push(n);
  if (numbers.length === count) break;
}
await sending;
await session.close();
const inOrder = numbers.every((n, i) => n === i);
console.log(JSON.stringify({ heard, closing, inOrder, resumed: resumes > 0 }));
`;

const found = await installed("node", NODE);
if ("missing" in found) console.warn(`Node ${NODE} cannot be had: ${found.missing}`);

Deno.test({
  name:
    `Node ${NODE}: the SDK's numbers come once and in order though the server is killed, and a socket mirrors`,
  ignore: "missing" in found,
  async fn() {
    const folder = await Deno.makeTempDir();
    const mirror = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.binaryType = "arraybuffer";
      socket.onmessage = ({ data }) => socket.send(data);
      return response;
    });
    const server = await ServerProcess.start({
      HOLDFAST_UPSTREAMS: `mirror=ws://127.0.0.1:${mirror.addr.port}/`,
    });
    try {
      await bundled("src/client/mod.ts", join(folder, "client.mjs"));
      await bundled("src/client/holdfast_socket.ts", join(folder, "socket.mjs"));
      await Deno.writeTextFile(join(folder, "program.mjs"), PROGRAM);
      const child = new Deno.Command("program" in found ? found.program : "", {
        args: [join(folder, "program.mjs"), server.url, "2000"],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      let printed = "";
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        printed += text;
        if (printed !== "half\n") continue;
        await server.kill();
        await server.restart();
      }
      assert.equal((await child.status).code, 0);
      const told = { heard: ["text", [1, 2, 3]], closing: [4000, "done"], inOrder: true, resumed: true };
      assert.deepEqual(JSON.parse(printed.replace("half\n", "")), told);
    } finally {
      await server.dispose();
      await mirror.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function bundled(entry: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", "-o", to, join(ROOT, entry)],
    cwd: ROOT,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
