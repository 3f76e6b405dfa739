/** Attacks on a live process beside a session that must notice nothing. */

import assert from "node:assert/strict";
import { encodeConduit } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { Message } from "../../src/protocol/messages.ts";
import { msgpackCodec } from "../../src/protocol/msgpack_codec.ts";
import { ForeignClient } from "./foreign_client.ts";
import { newChallenge, RawConduit } from "./raw_conduit.ts";
import { ServerProcess } from "./server_process.ts";

/** Bytes. */
export const MIB = 1024 * 1024;

/** What the server may grow by, whatever it is sent; V8 keeps some of what it once needed. */
const GROWTH_BYTES = 200 * MIB;

/** How long a conduit may stay silent, milliseconds. */
export const HANDSHAKE_MS = 2_000;

/** Runs against one server on which a well-behaved session echoes all the time, and must notice nothing. */
export async function beside(
  run: (server: ServerProcess) => Promise<void>,
  environment: { readonly [name: string]: string } = {},
): Promise<void> {
  const server = await ServerProcess.start({
    HOLDFAST_HANDSHAKE_TIMEOUT: `${HANDSHAKE_MS}ms`,
    ...environment,
  });
  const bystander = new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect` });
  const producer = setInterval(() => bystander.produce(2), 10);
  try {
    bystander.start();
    await bystander.until("the first echoes", () => bystander.echoed > 10, 10_000);
    const before = await server.residentBytes();
    await run(server);
    const growth = await server.residentBytes() - before;
    console.log(
      `resident memory: ${Math.round(before / MIB)} MiB, then ${Math.round(growth / MIB)} MiB more`,
    );
    assert.ok(growth < GROWTH_BYTES, `resident memory grew by ${Math.round(growth / MIB)} MiB`);
    const sent = bystander.produced;
    await bystander.until("its echoes go on", () => bystander.echoed > sent, 10_000);
    assert.equal(
      bystander.counts.established,
      1,
      `the well-behaved session was disturbed: ${bystander.describe()}`,
    );
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
    const response = await fetch(`${server.url}/healthz`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
  } finally {
    clearInterval(producer);
    await bystander.stop();
    await server.dispose();
  }
}

const codec = msgpackCodec(DEFAULT_LIMITS);

/** Takes the next MessagePack message of a kind, dropping what comes before it. */
export async function nextBinary<K extends Message["kind"]>(
  conduit: RawConduit,
  kind: K,
): Promise<Extract<Message, { readonly kind: K }>> {
  for (;;) {
    const decoded = codec.decode(await conduit.nextFrame());
    assert.ok(decoded.ok, "the server sent what its own codec refuses");
    for (const message of decoded.messages) {
      if (message.kind === kind) return message as Extract<Message, { readonly kind: K }>;
    }
  }
}

/** A MessagePack session whose token is proven. */
export async function binarySession(server: ServerProcess): Promise<RawConduit> {
  const conduit = await RawConduit.open(server.url, "holdfast.v1.msgpack");
  conduit.send(encodeConduit({ kind: "start", version: 1, challenge: newChallenge() }));
  await nextBinary(conduit, "established");
  conduit.send(encodeConduit({ kind: "ack", received: 0 }));
  return conduit;
}

/** The same in JSON. */
export async function textSession(server: ServerProcess): Promise<RawConduit> {
  const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
  await conduit.establish();
  return conduit;
}
