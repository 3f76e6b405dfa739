/** An echo on @replit/river, a `stream` procedure; the codec is its MessagePack one. */

import { createServer as createHttpServer } from "node:http";
import { load } from "../packages.ts";
import { RIVER_OPTIONS } from "../river_options.ts";
import { answer } from "./answer.ts";
import { portOf, serveSide } from "./side.ts";

interface Output {
  push(result: unknown): void;
}

interface Router {
  createServer(transport: unknown, services: unknown): unknown;
  Ok(payload: unknown): unknown;
  Procedure: { stream(definition: unknown): unknown };
  ServiceSchema: { define(procedures: unknown): unknown };
}

const { createServer, Ok, Procedure, ServiceSchema } = await load<Router>("@replit/river");
const { BinaryCodec } = await load<{ BinaryCodec: unknown }>("@replit/river/codec");
const { WebSocketServerTransport } = await load<
  { WebSocketServerTransport: new (sockets: unknown, id: string, options: unknown) => unknown }
>("@replit/river/transport/ws/server");
const { WebSocketServer } = await load<{ WebSocketServer: new (options: unknown) => unknown }>("ws");
const { Type } = await load<
  { Type: { Object(fields: unknown): unknown; String(): unknown; Never(): unknown } }
>("@sinclair/typebox");

const http = createHttpServer();
const text = Type.Object({ text: Type.String() });
const service = ServiceSchema.define({
  echo: Procedure.stream({
    input: text,
    output: text,
    errors: Type.Never(),
    async handler(_context: unknown, input: AsyncIterable<{ text: string }>, output: Output) {
      for await (const { text } of input) answer(text, (echo) => output.push(Ok({ text: echo })));
    },
  }),
});
const transport = new WebSocketServerTransport(new WebSocketServer({ server: http }), "SERVER", {
  ...RIVER_OPTIONS,
  codec: BinaryCodec,
});
createServer(transport, { bench: service });
const port = portOf();
http.listen(port, "127.0.0.1", () => serveSide(`ws://127.0.0.1:${port}`));
