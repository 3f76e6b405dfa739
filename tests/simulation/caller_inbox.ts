/** What a simulated client takes of its server's answers, items, replies and credit, and what is wrong with them. */

import { decodeBody } from "../../src/protocol/body.ts";
import type { EncodedBody, SessionMessage } from "../../src/protocol/messages.ts";
import {
  type CallerConnection,
  type CallerState,
  type CallerWorld,
  forEachMessage,
  remove,
  takeReply,
} from "./caller_model.ts";
import { MESSAGE_CREDIT, REJECTED } from "./desk.ts";

/** Takes a message of the server. @returns What is wrong with it; null: nothing. */
export function receive(caller: CallerState, said: SessionMessage, world: CallerWorld): string | null {
  const connection = caller.connections.find(({ id }) => id === said.connection);
  // It was open once.
  if (connection === undefined) return null;
  if (said.kind === "accept") return accepted(connection, said.messageCredit ?? null);
  if (said.kind === "reject") return rejected(caller, connection, said.reason, world);
  if (!connection.accepted) return `${said.kind} on connection ${connection.id} before its accept`;
  switch (said.kind) {
    case "end":
      return ended(caller, connection, said.reason ?? "", world);
    case "message":
      return reply(connection, decodeBody(said.body) as { n: number; reply?: number });
    case "response":
      return answered(connection, said.request, said.ok, said.body, world);
    case "item":
    case "finish":
    case "reset":
      return fromDownload(connection, said);
    case "credit":
      return credited(connection, said.channel, said.additional);
    default:
      return `${said.kind} on connection ${connection.id}`;
  }
}

function accepted(connection: CallerConnection, messageCredit: number | null): string | null {
  if (connection.accepted) return "a second accept";
  if (messageCredit !== MESSAGE_CREDIT) return `an accept with a messageCredit of ${messageCredit}`;
  if (connection.refuse === "always") return "an accept of what its service rejects";
  connection.accepted = true;
  return null;
}

function rejected(
  caller: CallerState,
  connection: CallerConnection,
  reason: string,
  world: CallerWorld,
): string | null {
  if (connection.accepted || connection.refuse === "never" || reason !== REJECTED) {
    return `a reject of connection ${connection.id}: ${reason}`;
  }
  remove(caller, connection);
  for (const { id } of connection.calls) world.ledger.over(id, true);
  forEachMessage(
    caller,
    connection,
    world,
    ({ id }) => world.ledger.voided(id, "its connection was rejected"),
  );
  return null;
}

function ended(
  caller: CallerState,
  connection: CallerConnection,
  reason: string,
  world: CallerWorld,
): string | null {
  const expected = connection.service === "bank" ? "failed-precondition" : "service-failed";
  if (connection.fatal === null || reason !== expected) {
    return `an end of connection ${connection.id}: ${reason}`;
  }
  remove(caller, connection);
  for (const { id } of connection.calls) world.ledger.over(id, false);
  return null;
}

function reply(connection: CallerConnection, said: { n: number; reply?: number }): string | null {
  const { grant } = connection;
  if (grant !== null && ++grant.taken > grant.granted) return "a message without credit (connection.credit)";
  return takeReply(connection, said);
}

function answered(
  connection: CallerConnection,
  request: number,
  ok: boolean,
  body: EncodedBody,
  { ledger }: CallerWorld,
): string | null {
  const index = connection.calls.findIndex((call) => call.request === request);
  const [live] = index < 0 ? [] : connection.calls.splice(index, 1);
  if (live === undefined) {
    return `an answer to request ${request} of connection ${connection.id}, which waits for none`;
  }
  const { id, download, reset } = live;
  const value = decodeBody(body);
  const code = ok ? "" : (value as { readonly code: string }).code;
  if (download !== null) {
    if (!download.over) return `the answer to ${id} before the end of its download (call.once)`;
    if (ok === reset) {
      return `${id} was answered ${ok ? "ok" : code} after its download was ${reset ? "reset" : "finished"}`;
    }
    if (ok && download.moved !== download.count) {
      return `${download.moved} of ${download.count} items of ${id}`;
    }
  }
  ledger.answered(id, { ok, value, code });
  return null;
}

function fromDownload(
  connection: CallerConnection,
  said: SessionMessage & { readonly kind: "item" | "finish" | "reset" },
): string | null {
  const live = connection.calls.find(({ download }) => download?.channel === said.channel);
  const download = live?.download ?? null;
  if (live === undefined || download === null || download.over) {
    return `${said.kind} on channel ${said.channel}`;
  }
  if (said.kind !== "item") {
    download.over = true;
    live.reset = said.kind === "reset";
    return null;
  }
  if (download.moved >= download.granted) return `an item of ${live.id} without credit (channel.credit)`;
  const value = decodeBody(said.body);
  if (value !== ++download.moved) return `item ${value} of ${live.id} where ${download.moved} was next`;
  return null;
}

function credited(connection: CallerConnection, channel: number, additional: number): string | null {
  if (channel === 0) {
    connection.credit += additional;
    return connection.credit > MESSAGE_CREDIT ? `credit for ${connection.credit} messages` : null;
  }
  const live = connection.calls.find(({ upload }) => upload?.channel === channel);
  // It may be answered by now.
  if (live === undefined || live.upload === null) return null;
  live.upload.granted += additional;
  return null;
}
