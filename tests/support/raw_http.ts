/** HTTP by hand over TCP: any header, any bytes after it. */

/** An answer's head and, where the server closed after it, its body. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What a client without faults sends to become a WebSocket. */
export const UPGRADE_HEADERS: { readonly [name: string]: string } = {
  "Connection": "Upgrade",
  "Upgrade": "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "AAECAwQFBgcICQoLDA0ODw==",
};

const END_OF_HEAD = "\r\n\r\n";

/**
 * Sends one request and reads the answer to its end.
 *
 * @param headers `Host` is the address unless it is given here.
 */
export async function request(
  address: { readonly hostname: string; readonly port: number },
  path: string,
  headers: { readonly [name: string]: string },
  method = "GET",
): Promise<RawAnswer> {
  const connection = await Deno.connect({ hostname: address.hostname, port: address.port });
  try {
    await connection.write(head(address, path, headers, method));
    return await readAnswer(connection);
  } finally {
    connection.close();
  }
}

/** Upgrades and leaves the connection open, for bytes that no WebSocket library would send. @throws if it is refused. */
export async function upgrade(
  address: { readonly hostname: string; readonly port: number },
  subprotocol: string,
): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: address.hostname, port: address.port });
  const headers = { ...UPGRADE_HEADERS, "Sec-WebSocket-Protocol": subprotocol };
  await connection.write(head(address, "/v1/connect", headers, "GET"));
  const { status } = await readAnswer(connection);
  if (status === 101) return connection;
  connection.close();
  throw new Error(`the upgrade was answered with ${status}`);
}

function head(
  address: { readonly hostname: string; readonly port: number },
  path: string,
  headers: { readonly [name: string]: string },
  method: string,
): Uint8Array {
  const complete = { Host: `${address.hostname}:${address.port}`, ...headers };
  const lines = Object.entries(complete).map(([name, value]) => `${name}: ${value}`);
  return new TextEncoder().encode([`${method} ${path} HTTP/1.1`, ...lines].join("\r\n") + END_OF_HEAD);
}

async function readAnswer(connection: Deno.TcpConn): Promise<RawAnswer> {
  const decoder = new TextDecoder();
  const piece = new Uint8Array(16 * 1024);
  let text = "";
  for (;;) {
    const at = text.indexOf(END_OF_HEAD);
    if (at >= 0) {
      const answer = parse(text.slice(0, at), text.slice(at + END_OF_HEAD.length));
      const length = Number(answer.headers.get("content-length") ?? "0");
      if (answer.body.length >= length) return answer;
    }
    const read = await connection.read(piece);
    if (read === null) {
      throw new Error(`the server closed in the middle of its answer: ${JSON.stringify(text)}`);
    }
    text += decoder.decode(piece.subarray(0, read), { stream: true });
  }
}

function parse(head: string, body: string): RawAnswer {
  const [first = "", ...lines] = head.split("\r\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(first.split(" ")[1]), headers, body };
}
