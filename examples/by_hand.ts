/**
 * Speak the protocol by hand: each line you type is sent as one JSON message, each message that comes is printed.
 *
 * `deno run --allow-net examples/by_hand.ts ws://127.0.0.1:8080/v1/connect`
 */

const [url = "ws://127.0.0.1:8080/v1/connect"] = Deno.args;
const socket = new WebSocket(url, ["holdfast.v1.json"]);
socket.onmessage = ({ data }) => console.log(String(data).replaceAll(/^/gm, "< "));
socket.onerror = () => console.error(`no answer from ${url}`);
socket.onclose = ({ code, reason }) => {
  console.log(`closed: ${code} ${reason}`);
  Deno.exit();
};
socket.onopen = async () => {
  let rest = "";
  for await (const piece of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) socket.send(line);
  }
  socket.close();
};
