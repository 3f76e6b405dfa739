/** Where each message's fields are, in both encodings: the table of `docs/protocol.md`, Messages. */

import { type MessageKind, TAG } from "./messages.ts";

/** The fields of one message after its tag. */
export interface Layout {
  readonly kind: MessageKind;
  readonly tag: number;
  /** Names in order. `*` is a map whose entries are fields of the message itself. */
  readonly fields: readonly string[];
  /** How many of them must be there; those after it may be absent or nil. */
  readonly required: number;
  /** Which of `fields` is the body; −1 for none. */
  readonly body: number;
  /** What `*` holds, in canonical order. */
  readonly entries: readonly string[];
}

function layout(kind: MessageKind, fields: string, entries = ""): Layout {
  const names = fields.split(" ");
  const plain = names.map((name) => name.replace("?", ""));
  return {
    kind,
    tag: TAG[kind],
    fields: plain,
    required: names.filter((name) => !name.endsWith("?")).length,
    body: plain.indexOf("body"),
    entries: entries === "" ? [] : entries.split(" "),
  };
}

/** The layout of each message; what ends in `?` may be absent. */
export const LAYOUTS: { readonly [K in MessageKind]: Layout } = {
  start: layout("start", "*", "version challenge resume auth metadata settings"),
  established: layout(
    "established",
    "*",
    "challenge session token resumed received sent durability resumeWindow keepalive limits node region",
  ),
  refused: layout("refused", "*", "challenge reason detail retryAfter"),
  ack: layout("ack", "received"),
  ping: layout("ping", "nonce"),
  pong: layout("pong", "nonce"),
  goaway: layout("goaway", "*", "reason after"),
  close: layout("close", "*", "reason detail"),
  volatile: layout("volatile", "connection body"),
  authorise: layout("authorise", "*", "auth"),
  authorised: layout("authorised", "*", "expires"),
  open: layout("open", "seq connection *", "service metadata messageCredit"),
  accept: layout("accept", "seq connection *", "metadata messageCredit schema"),
  reject: layout("reject", "seq connection *", "reason detail"),
  end: layout("end", "seq connection *", "reason detail"),
  message: layout("message", "seq connection body"),
  call: layout("call", "seq connection request method body options?"),
  response: layout("response", "seq connection request ok body metadata?"),
  cancel: layout("cancel", "seq connection request"),
  item: layout("item", "seq connection channel body"),
  finish: layout("finish", "seq connection channel"),
  reset: layout("reset", "seq connection channel *", "reason"),
  credit: layout("credit", "seq connection channel additional"),
};

/** The canonical order of the maps inside fields. One that is not here, `metadata`, keeps the order it has. */
export const NESTED: { readonly [field: string]: readonly string[] | undefined } = {
  resume: ["session", "token", "received", "sent"],
  settings: ["durability", "windowMessages", "windowBytes"],
  keepalive: ["interval", "timeout"],
  limits: ["frameBytes", "bodyBytes", "windowMessages", "windowBytes", "connections", "concurrentCalls"],
  options: ["operation", "timeout", "upload", "download", "credit", "metadata"],
};

const BY_TAG: readonly (Layout | undefined)[] = Array.from(
  { length: 1 + Math.max(...Object.values(TAG)) },
  (_, tag) => Object.values(LAYOUTS).find((layout) => layout.tag === tag),
);

/** The layout of the message with this tag; undefined if this version has none. */
export function layoutOfTag(tag: number): Layout | undefined {
  return BY_TAG[tag];
}

/** The layout of the message with this JSON name; undefined if this version has none. */
export function layoutOfName(name: string): Layout | undefined {
  return Object.hasOwn(LAYOUTS, name) ? LAYOUTS[name as MessageKind] : undefined;
}
