/** Requests and answers of `node:http` as those of the platform. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";

/** The request cannot be one: its target or a header is malformed. */
export class MalformedRequest extends Error {}

/**
 * The request as a `Request`.
 *
 * @param body A stream is not touched.
 * @throws MalformedRequest if the target is none, or a header has a value that `Headers` refuses.
 */
export function toRequest(
  incoming: IncomingMessage,
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null = null,
): Request {
  const headers = new Headers();
  try {
    for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
      headers.append(incoming.rawHeaders[at]!, incoming.rawHeaders[at + 1]!);
    }
    return new Request(targetUrl(incoming.url ?? "", headers.get("host")), {
      method: incoming.method ?? "GET",
      headers,
      body,
    });
  } catch (error) {
    if (error instanceof TypeError) throw new MalformedRequest(error.message, { cause: error });
    throw error;
  }
}

/** Routes look at the path; the Host decides about origins and is judged there, so a malformed one gets a name here. */
function targetUrl(target: string, host: string | null): URL {
  if (!target.startsWith("/")) return new URL(target);
  const named = URL.parse(`http://${host ?? ""}`);
  return new URL(`${named?.origin ?? "http://localhost"}${target}`);
}

/** Sends an answer through `node:http`. @param close Ends the connection after it. */
export async function respond(outgoing: ServerResponse, response: Response, close = false): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer());
  const fields = fieldsOf(response, body.byteLength, outgoing.req.method === "HEAD");
  if (close) fields.push("connection", "close");
  outgoing.writeHead(response.status, fields);
  outgoing.end(body);
}

/**
 * An answer as bytes of HTTP/1.1, for a connection that `node:http` no longer looks after, and which ends with it.
 *
 * @param head The request was a HEAD: its answer has no body.
 */
export async function rawAnswer(response: Response, head = false): Promise<Uint8Array> {
  const body = new Uint8Array(await response.arrayBuffer());
  const fields = fieldsOf(response, body.byteLength, head);
  const lines = [`HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ""}`];
  for (let at = 0; at < fields.length; at += 2) {
    // One `Connection` only: what it says beside the end of the connection is not lost.
    if (fields[at] === "connection") fields[at + 1] += ", close";
    lines.push(`${fields[at]}: ${fields[at + 1]}`);
  }
  if (!response.headers.has("connection")) lines.push("connection: close");
  lines.push("", "");
  const text = new TextEncoder().encode(lines.join("\r\n"));
  if (head) return text;
  const answer = new Uint8Array(text.byteLength + body.byteLength);
  answer.set(text);
  answer.set(body, text.byteLength);
  return answer;
}

/** Names and values in turn; `Set-Cookie` as often as it was set. */
function fieldsOf(response: Response, bodyBytes: number, head: boolean): string[] {
  const fields: string[] = [];
  let length = false;
  for (const [name, value] of response.headers) {
    fields.push(name, value);
    length ||= name === "content-length";
  }
  const bodyless = response.status === 204 || response.status === 304;
  if (!length && !bodyless && !head) fields.push("content-length", String(bodyBytes));
  return fields;
}
