/**
 * What one side must send when the other side and its own application do this and that; `README.md` explains the format.
 *
 * All of it is written by hand. Only the sequence numbers are put in by {@link numbered}.
 */

/** A message in the JSON encoding; here without its sequence number. */
export type JsonMessage = readonly unknown[];

export interface Scenario {
  readonly name: string;
  readonly rules: readonly string[];
  readonly side: "client" | "server";
  readonly settings?: { readonly connections?: number; readonly concurrentCalls?: number };
  readonly steps: readonly ScenarioStep[];
}

export type ScenarioStep =
  | { readonly send: readonly JsonMessage[] }
  | { readonly expect: readonly JsonMessage[] }
  | { readonly do: { readonly action: string; readonly [field: string]: unknown } }
  | { readonly hear: readonly { readonly event: string; readonly [field: string]: unknown }[] }
  | { readonly advance: number }
  | { readonly violation: string };

const send = (...messages: JsonMessage[]): ScenarioStep => ({ send: messages });
const expect = (...messages: JsonMessage[]): ScenarioStep => ({ expect: messages });
const nothing: ScenarioStep = { expect: [] };
const act = (action: string, fields: object = {}): ScenarioStep => ({ do: { action, ...fields } });
const hear = (...events: { event: string; [field: string]: unknown }[]): ScenarioStep => ({ hear: events });
const violation = (rule: string): ScenarioStep => ({ violation: rule });
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i + 1));

/** Connection 1, opened by the client and accepted by the server under test. */
const SERVING: readonly ScenarioStep[] = [
  send(["open", 1, { service: "s" }]),
  act("accept", { connection: 1 }),
  expect(["accept", 1, {}]),
];

/** Connection 1, opened by the client under test and accepted by the server. */
const USING: readonly ScenarioStep[] = [
  act("open", { service: "s" }),
  expect(["open", 1, { service: "s" }]),
  send(["accept", 1, {}]),
];

const failure = (code: string) => ({ code, message: "*" });
const accept = act("accept", { connection: 1 });
const say = (i: number) => act("message", { connection: 1, body: i });
const call = (options?: object) =>
  act("call", { connection: 1, method: "m", body: null, ...(options === undefined ? {} : { options }) });
const respond = (request: number, body: unknown = null) =>
  act("respond", { connection: 1, request, ok: true, body });
const fail = (request: number, code = "not-found") =>
  act("respond", { connection: 1, request, ok: false, body: { code, message: "no" } });
const item = (channel: number, body: unknown) => act("item", { connection: 1, channel, body });
const take = (channel: number, count: number) => act("take", { connection: 1, channel, count });
const heard = (event: string, fields: object) => ({ event, connection: 1, ...fields });

const CONNECTIONS: readonly Scenario[] = [
  {
    name: "a connection is opened, accepted, used and ended by the client",
    rules: ["connection.open", "connection.order", "connection.end"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s", metadata: { k: "v" } }], ["message", 1, "early"]),
      nothing,
      act("accept", { connection: 1, metadata: { m: "n" } }),
      expect(["accept", 1, { metadata: { m: "n" } }]),
      send(["message", 1, "later"], ["message", 1, null]),
      hear(
        { event: "offered", connection: 1, service: "s", metadata: { k: "v" } },
        heard("message", { body: "early" }),
        heard("message", { body: "later" }),
        heard("message", { body: null }),
      ),
      act("message", { connection: 1, body: [1, "two"] }),
      expect(["message", 1, [1, "two"]]),
      send(["end", 1, { reason: "done" }]),
      hear(heard("ended", { reason: "done" })),
      act("message", { connection: 1, body: "too late" }),
      nothing,
    ],
  },
  {
    name:
      "a connection is opened by the client under test, used, and ended by it; what still comes is dropped",
    rules: ["connection.open", "connection.end"],
    side: "client",
    steps: [
      act("open", { service: "s", metadata: { k: "v" } }),
      expect(["open", 1, { service: "s", metadata: { k: "v" } }]),
      send(["accept", 1, { metadata: { m: "n" } }], ["message", 1, "a"]),
      hear(heard("accepted", { metadata: { m: "n" } }), heard("message", { body: "a" })),
      say(1),
      act("end", { connection: 1, reason: "done", detail: "by the test" }),
      expect(["message", 1, 1], ["end", 1, { reason: "done", detail: "by the test" }]),
      send(["message", 1, "crossed"], ["call", 1, 1, "m", null], ["end", 1, {}]),
      hear(),
      nothing,
    ],
  },
  {
    name: "both sides open; the server's ids are even, and each side's go up by two",
    rules: ["frame.ids", "connection.open"],
    side: "server",
    steps: [
      act("open", { service: "a" }),
      act("open", { service: "b" }),
      expect(["open", 2, { service: "a" }], ["open", 4, { service: "b" }]),
      send(["open", 1, { service: "s" }], ["accept", 4, {}], ["reject", 2, {
        reason: "unknown-service",
        detail: "a",
      }]),
      act("message", { connection: 4, body: 1 }),
      expect(["message", 4, 1]),
      act("open", { service: "c" }),
      expect(["open", 6, { service: "c" }]),
    ],
  },
  {
    name: "an opened connection is rejected, with all that was sent early",
    rules: ["connection.open", "connection.early"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      say(1),
      call(),
      expect(["open", 1, { service: "s" }], ["message", 1, 1], ["call", 1, 1, "m", null]),
      send(["reject", 1, { reason: "unknown-service", detail: "no s" }]),
      hear(heard("rejected", { reason: "unknown-service", detail: "no s" })),
      say(2),
      nothing,
    ],
  },
  {
    name: "the application rejects a connection; what was and is sent to it is dropped",
    rules: ["connection.open", "connection.early", "frame.ids"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ["call", 1, 1, "m", null, { upload: 1 }]),
      act("reject", { connection: 1, reason: "forbidden", detail: "not you" }),
      expect(["reject", 1, { reason: "forbidden", detail: "not you" }]),
      send(["message", 1, 1], ["item", 1, 1, 1], ["cancel", 1, 1], ["end", 1, {}]),
      respond(1),
      nothing,
    ],
  },
  {
    name: "an accept or a reject that answers nothing pending is ignored",
    rules: ["connection.open"],
    side: "client",
    steps: [
      ...USING,
      hear(heard("accepted", {})),
      send(["accept", 1, {}], ["reject", 1, { reason: "r", detail: "" }]),
      hear(),
      say(1),
      expect(["message", 1, 1]),
    ],
  },
  {
    name: "too many connections are rejected at once; the id counts as used",
    rules: ["connection.open", "frame.ids"],
    side: "server",
    settings: { connections: 1 },
    steps: [
      ...SERVING,
      send(["open", 3, { service: "s" }], ["message", 3, "early"]),
      expect(["reject", 3, { reason: "too-many-connections", detail: "*" }]),
      send(["end", 1, {}], ["open", 5, { service: "s" }]),
      nothing,
      send(["open", 3, { service: "s" }]),
      violation("frame.ids"),
    ],
  },
  {
    name: "the accepting side speaks before its accept",
    rules: ["connection.open"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      expect(["open", 1, { service: "s" }]),
      send(["message", 1, "too early"]),
      violation("connection.open"),
    ],
  },
  {
    name: "the accepting side answers an early call before its accept",
    rules: ["connection.open"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      call(),
      expect(["open", 1, { service: "s" }], ["call", 1, 1, "m", null]),
      send(["response", 1, 1, true, null]),
      violation("connection.open"),
    ],
  },
  {
    name: "sixteen messages are sent before the accept; the others wait for it",
    rules: ["connection.early"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      ...times(18, say),
      expect(["open", 1, { service: "s" }], ...times(16, (i) => ["message", 1, i])),
      send(["accept", 1, {}]),
      expect(["message", 1, 17], ["message", 1, 18]),
    ],
  },
  {
    name: "sixteen calls are made before the accept; the others wait for it",
    rules: ["connection.early"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      ...times(18, () => call()),
      expect(["open", 1, { service: "s" }], ...times(16, (i) => ["call", 1, i, "m", null])),
      send(["accept", 1, {}]),
      expect(["call", 1, 17, "m", null], ["call", 1, 18, "m", null]),
    ],
  },
  {
    name: "a seventeenth message before the accept",
    rules: ["connection.early"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ...times(16, (i) => ["message", 1, i])),
      nothing,
      send(["message", 1, 17]),
      violation("connection.early"),
    ],
  },
  {
    name: "a seventeenth call before the accept",
    rules: ["connection.early"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ...times(16, (i) => ["call", 1, i, "m", null])),
      nothing,
      send(["call", 1, 17, "m", null]),
      violation("connection.early"),
    ],
  },
  {
    name: "sixteen messages and sixteen calls before the accept, and more after it",
    rules: ["connection.early"],
    side: "server",
    steps: [
      send(
        ["open", 1, { service: "s" }],
        ...times(16, (i) => ["message", 1, i]),
        ...times(16, (i) => ["call", 1, i, "m", null]),
      ),
      accept,
      expect(["accept", 1, {}]),
      send(["message", 1, 17], ["call", 1, 17, "m", null]),
      respond(17),
      expect(["response", 1, 17, true, null]),
    ],
  },
  {
    name: "ids may leave gaps, and what was once open is dropped",
    rules: ["frame.ids"],
    side: "server",
    steps: [
      send(["open", 7, { service: "s" }], ["open", 21, { service: "s" }]),
      act("accept", { connection: 21 }),
      expect(["accept", 21, {}]),
      send(["end", 7, {}], ["message", 7, 1], ["message", 5, 1], ["message", 21, "heard"]),
      hear(
        { event: "offered", connection: 7, service: "s" },
        { event: "offered", connection: 21, service: "s" },
        { event: "ended", connection: 7 },
        { event: "message", connection: 21, body: "heard" },
      ),
    ],
  },
  ...([
    ["an open with an even id from a client", ["open", 2, { service: "s" }]],
    ["an open with id 0", ["open", 0, { service: "s" }]],
    ["an id that is opened twice", ["open", 1, { service: "s" }]],
    ["a message for a connection above the highest", ["message", 3, null]],
    ["a message for a connection that this side would give, and has not", ["message", 2, null]],
    ["an accept of a connection that was never opened", ["accept", 2, {}]],
    ["an item on channel 0", ["item", 1, 0, null]],
    ["a finish of channel 0", ["finish", 1, 0]],
  ] as const).map(([name, message]): Scenario => ({
    name,
    rules: ["frame.ids"],
    side: "server",
    steps: [...SERVING, send(message), violation("frame.ids")],
  })),
  {
    name: "a malformed body ends its connection alone",
    rules: ["frame.body", "connection.end"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ["open", 3, { service: "s" }]),
      accept,
      act("accept", { connection: 3 }),
      expect(["accept", 1, {}], ["accept", 3, {}]),
      send(["message", 1, { $int: "5" }], ["message", 1, "dropped"], ["message", 3, "heard"]),
      expect(["end", 1, { reason: "malformed-body", detail: "*" }]),
      act("message", { connection: 3, body: "alive" }),
      expect(["message", 3, "alive"]),
    ],
  },
  {
    name: "a malformed body before the accept is a reason to reject",
    rules: ["frame.body", "connection.open"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ["message", 1, { $bin: "?" }]),
      expect(["reject", 1, { reason: "malformed-body", detail: "*" }]),
      accept,
      nothing,
    ],
  },
];

const ENDS: readonly Scenario[] = [
  {
    name:
      "messages from before an end are handled first; calls are over at once, and nothing is said any more",
    rules: ["connection.end", "connection.order"],
    side: "server",
    steps: [
      ...SERVING,
      send(["message", 1, "a"], ["call", 1, 1, "m", null, { upload: 1, download: 3, timeout: 10 }]),
      hear(
        { event: "offered", connection: 1, service: "s" },
        heard("message", { body: "a" }),
        heard("called", { request: 1, method: "m", body: null }),
      ),
      act("busy", { connection: 1 }),
      call(),
      expect(["call", 1, 1, "m", null]),
      send(["message", 1, "b"], ["message", 1, "c"], ["end", 1, { reason: "done", detail: "d" }]),
      say(1),
      call(),
      act("cancel", { connection: 1, request: 1 }),
      item(3, 1),
      respond(1),
      { advance: 10 },
      hear(),
      nothing,
      act("free", { connection: 1 }),
      hear(
        heard("message", { body: "b" }),
        heard("message", { body: "c" }),
        heard("ended", { reason: "done", detail: "d" }),
      ),
      act("end", { connection: 1, reason: "too late" }),
      nothing,
    ],
  },
  {
    name: "what comes after an end is dropped, also while a message from before it is handled",
    rules: ["connection.end", "frame.ids"],
    side: "client",
    steps: [
      ...USING,
      send(["message", 1, "a"]),
      hear(heard("accepted", {}), heard("message", { body: "a" })),
      act("busy", { connection: 1 }),
      call({ download: true }),
      expect(["call", 1, 1, "m", null, { download: 1 }]),
      send(
        ["end", 1, {}],
        ["message", 1, "b"],
        ["message", 1, { $int: "5" }],
        ["call", 1, 1, "m", null],
        ["item", 1, 1, 1],
        ["response", 1, 1, true, null],
        ["response", 1, 2, true, null],
        ["end", 1, { reason: "again" }],
      ),
      hear(),
      act("free", { connection: 1 }),
      hear(heard("ended", {})),
      nothing,
    ],
  },
  {
    name: "after an end no credit is granted, also while messages from before it are taken",
    rules: ["connection.end", "connection.credit"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }]),
      act("accept", { connection: 1, messageCredit: 16 }),
      expect(["accept", 1, { messageCredit: 16 }]),
      send(...times(8, (i) => ["message", 1, i])),
      act("busy", { connection: 1 }),
      send(["end", 1, {}]),
      take(0, 8),
      nothing,
      act("free", { connection: 1 }),
      nothing,
    ],
  },
  {
    name: "a busy application ends the connection itself: what waits is dropped",
    rules: ["connection.end"],
    side: "server",
    steps: [
      ...SERVING,
      send(["message", 1, "a"]),
      act("busy", { connection: 1 }),
      send(["message", 1, "b"]),
      act("end", { connection: 1, reason: "enough" }),
      expect(["end", 1, { reason: "enough" }]),
      act("free", { connection: 1 }),
      hear({ event: "offered", connection: 1, service: "s" }, heard("message", { body: "a" })),
      nothing,
    ],
  },
  {
    name: "an end before the accept drops what came early",
    rules: ["connection.end", "connection.early"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ["message", 1, "early"], ["call", 1, 1, "m", null], ["end", 1, {
        reason: "never mind",
      }]),
      accept,
      respond(1),
      nothing,
    ],
  },
  {
    name: "an end may come in place of the answer to an open",
    rules: ["connection.open", "connection.end"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      expect(["open", 1, { service: "s" }]),
      send(["end", 1, { reason: "gone" }], ["accept", 1, {}]),
      hear(heard("ended", { reason: "gone" })),
      say(1),
      nothing,
    ],
  },
  {
    name: "the opener ends before it was answered",
    rules: ["connection.open", "connection.end"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      say(1),
      act("end", { connection: 1 }),
      expect(["open", 1, { service: "s" }], ["message", 1, 1], ["end", 1, {}]),
      send(["accept", 1, {}], ["message", 1, "crossed"]),
      hear(),
      nothing,
    ],
  },
];

const MESSAGE_CREDIT: readonly Scenario[] = [
  {
    name: "messages wait for the credit that the accept gave; those before the accept count",
    rules: ["connection.credit", "connection.early"],
    side: "client",
    steps: [
      act("open", { service: "s" }),
      ...times(10, say),
      expect(["open", 1, { service: "s" }], ...times(10, (i) => ["message", 1, i])),
      send(["accept", 1, { messageCredit: 16 }]),
      ...times(10, (i) => say(10 + i)),
      expect(...times(6, (i) => ["message", 1, 10 + i])),
      send(["credit", 1, 0, 1]),
      expect(["message", 1, 17]),
      send(["credit", 1, 0, 1], ["credit", 1, 0, 5]),
      expect(["message", 1, 18], ["message", 1, 19], ["message", 1, 20]),
      ...times(4, (i) => say(20 + i)),
      expect(["message", 1, 21], ["message", 1, 22], ["message", 1, 23]),
    ],
  },
  {
    name: "messages wait for the credit that the open gave",
    rules: ["connection.credit"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s", messageCredit: 16 }]),
      accept,
      expect(["accept", 1, {}]),
      ...times(18, say),
      expect(...times(16, (i) => ["message", 1, i])),
      send(["credit", 1, 0, 2]),
      expect(["message", 1, 17], ["message", 1, 18]),
    ],
  },
  {
    name: "more messages are granted when half was taken, those before the accept included",
    rules: ["connection.credit"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }], ...times(10, (i) => ["message", 1, i])),
      act("accept", { connection: 1, messageCredit: 16 }),
      expect(["accept", 1, { messageCredit: 16 }]),
      take(0, 7),
      nothing,
      take(0, 1),
      expect(["credit", 1, 0, 8]),
      send(...times(14, (i) => ["message", 1, 10 + i])),
      nothing,
      send(["message", 1, 25]),
      violation("connection.credit"),
    ],
  },
  {
    name: "the credit of the open binds the accepting side's messages",
    rules: ["connection.credit"],
    side: "client",
    steps: [
      act("open", { service: "s", messageCredit: 17 }),
      expect(["open", 1, { service: "s", messageCredit: 17 }]),
      send(["accept", 1, {}], ...times(17, (i) => ["message", 1, i])),
      take(0, 8),
      nothing,
      take(0, 1),
      expect(["credit", 1, 0, 9]),
      send(...times(9, (i) => ["message", 1, i])),
      send(["message", 1, 10]),
      violation("connection.credit"),
    ],
  },
  {
    name: "a credit for messages where none was given is ignored",
    rules: ["connection.credit"],
    side: "client",
    steps: [
      ...USING,
      send(["credit", 1, 0, 1], ["credit", 1, 0, 9007199254740991]),
      ...times(20, say),
      expect(...times(20, (i) => ["message", 1, i])),
    ],
  },
  {
    name: "a credit for messages beyond what a count can hold",
    rules: ["connection.credit"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s", messageCredit: 16 }]),
      accept,
      expect(["accept", 1, {}]),
      send(["credit", 1, 0, 9007199254740991]),
      violation("connection.credit"),
    ],
  },
  {
    name: "calls, items and their answers need no credit for messages",
    rules: ["connection.credit"],
    side: "server",
    steps: [
      send(["open", 1, { service: "s" }]),
      act("accept", { connection: 1, messageCredit: 16 }),
      expect(["accept", 1, { messageCredit: 16 }]),
      send(...times(16, (i) => ["message", 1, i]), ["call", 1, 1, "m", null, { upload: 1 }], [
        "item",
        1,
        1,
        1,
      ]),
      respond(1),
      expect(["response", 1, 1, true, null]),
    ],
  },
];

const CALLS: readonly Scenario[] = [
  {
    name: "a call is answered, once",
    rules: ["call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "add", { by: 2 }, { metadata: { trace: "t" } }]),
      hear(
        { event: "offered", connection: 1, service: "s" },
        heard("called", { request: 1, method: "add", body: { by: 2 }, metadata: { trace: "t" } }),
      ),
      respond(1, 44),
      expect(["response", 1, 1, true, 44]),
      respond(1, 45),
      fail(1),
      nothing,
    ],
  },
  {
    name: "a call fails",
    rules: ["call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null]),
      act("respond", {
        connection: 1,
        request: 1,
        ok: false,
        body: { code: "not-found", message: "no", data: 1 },
      }),
      expect(["response", 1, 1, false, { code: "not-found", message: "no", data: 1 }]),
    ],
  },
  {
    name: "calls are answered in any order, and a second answer is dropped",
    rules: ["call.once", "frame.ids"],
    side: "client",
    steps: [
      ...USING,
      call(),
      act("call", {
        connection: 1,
        method: "add",
        body: { by: 2 },
        options: { operation: "k", timeout: 5000 },
      }),
      expect(["call", 1, 1, "m", null], ["call", 1, 2, "add", { by: 2 }, { operation: "k", timeout: 5000 }]),
      send(
        ["response", 1, 2, true, 44],
        ["response", 1, 2, true, 45],
        ["response", 1, 1, false, { code: "internal", message: "x" }],
      ),
      hear(
        heard("accepted", {}),
        heard("answered", { request: 2, ok: true, body: 44 }),
        heard("answered", { request: 1, ok: false, body: { code: "internal", message: "x" } }),
      ),
    ],
  },
  {
    name: "a cancelled call is answered with that; the handler's own answer comes too late",
    rules: ["call.cancel", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      hear({ event: "offered", connection: 1, service: "s" }),
      send(["call", 1, 1, "m", null], ["call", 1, 2, "m", null], ["cancel", 1, 1]),
      expect(["response", 1, 1, false, failure("cancelled")]),
      hear(
        heard("called", { request: 1, method: "m", body: null }),
        heard("called", { request: 2, method: "m", body: null }),
        heard("aborted", { request: 1, code: "cancelled" }),
      ),
      respond(1),
      respond(2),
      expect(["response", 1, 2, true, null]),
    ],
  },
  {
    name: "a cancel that crosses the answer is dropped, and so is a second one",
    rules: ["call.cancel"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null]),
      respond(1),
      expect(["response", 1, 1, true, null]),
      send(["cancel", 1, 1], ["call", 1, 2, "m", null], ["cancel", 1, 2], ["cancel", 1, 2]),
      expect(["response", 1, 2, false, failure("cancelled")]),
    ],
  },
  {
    name: "a call is cancelled by the caller, who still waits for its answer",
    rules: ["call.cancel"],
    side: "client",
    steps: [
      ...USING,
      call(),
      act("cancel", { connection: 1, request: 1 }),
      expect(["call", 1, 1, "m", null], ["cancel", 1, 1]),
      send(["response", 1, 1, true, "was faster"]),
      hear(heard("accepted", {}), heard("answered", { request: 1, ok: true, body: "was faster" })),
      act("cancel", { connection: 1, request: 1 }),
      nothing,
    ],
  },
  {
    name: "a call whose time is over is answered with that, and not before",
    rules: ["call.timeout", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { timeout: 1000 }]),
      { advance: 400 },
      send(["call", 1, 2, "m", null, { timeout: 100 }], ["call", 1, 3, "m", null]),
      { advance: 99 },
      nothing,
      { advance: 1 },
      expect(["response", 1, 2, false, failure("deadline-exceeded")]),
      { advance: 499 },
      nothing,
      { advance: 1 },
      expect(["response", 1, 1, false, failure("deadline-exceeded")]),
      { advance: 1000000 },
      respond(1),
      nothing,
      respond(3),
      expect(["response", 1, 3, true, null]),
    ],
  },
  {
    name: "a call that was answered in time has no deadline any more",
    rules: ["call.timeout", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { timeout: 1000 }]),
      { advance: 999 },
      respond(1),
      expect(["response", 1, 1, true, null]),
      { advance: 1 },
      nothing,
    ],
  },
  {
    name: "more calls in flight than agreed",
    rules: ["call.limit"],
    side: "server",
    settings: { concurrentCalls: 2 },
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null], ["call", 1, 2, "m", null]),
      respond(2),
      expect(["response", 1, 2, true, null]),
      send(["call", 1, 3, "m", null]),
      nothing,
      send(["call", 1, 4, "m", null]),
      violation("call.limit"),
    ],
  },
  {
    name: "the caller waits until fewer calls are in flight; a cancelled one is until it is answered",
    rules: ["call.limit", "call.cancel"],
    side: "client",
    settings: { concurrentCalls: 2 },
    steps: [
      ...USING,
      ...times(4, () => call()),
      expect(["call", 1, 1, "m", null], ["call", 1, 2, "m", null]),
      act("cancel", { connection: 1, request: 1 }),
      expect(["cancel", 1, 1]),
      send(["response", 1, 2, true, null]),
      expect(["call", 1, 3, "m", null]),
      send(["response", 1, 1, false, { code: "cancelled", message: "" }]),
      expect(["call", 1, 4, "m", null]),
    ],
  },
  {
    name: "the calls of one connection do not count on another",
    rules: ["call.limit"],
    side: "server",
    settings: { concurrentCalls: 1 },
    steps: [
      ...SERVING,
      send(["open", 3, { service: "s" }]),
      act("accept", { connection: 3 }),
      expect(["accept", 3, {}]),
      send(["call", 1, 1, "m", null], ["call", 3, 1, "m", null]),
      act("respond", { connection: 3, request: 1, ok: true, body: 3 }),
      expect(["response", 3, 1, true, 3]),
      respond(1),
      expect(["response", 1, 1, true, null]),
    ],
  },
  {
    name: "a call with a malformed body is answered, and its connection lives",
    rules: ["frame.body", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", { $float: "1" }]),
      expect(["response", 1, 1, false, failure("invalid-argument")]),
      send(["call", 1, 2, "m", 1]),
      respond(2),
      expect(["response", 1, 2, true, null]),
    ],
  },
  {
    name: "answers that are decided before the accept follow it, in the order of their calls",
    rules: ["connection.open", "connection.early", "call.once", "call.cancel", "call.timeout"],
    side: "server",
    steps: [
      send(
        ["open", 1, { service: "s" }],
        ["call", 1, 1, "m", null, { timeout: 10 }],
        ["call", 1, 2, "m", null],
        ["call", 1, 3, "m", null, { download: 1 }],
        ["call", 1, 4, "m", { $int: "1" }, { download: 3 }],
        ["cancel", 1, 3],
      ),
      { advance: 10 },
      nothing,
      accept,
      expect(
        ["accept", 1, {}],
        ["response", 1, 1, false, failure("deadline-exceeded")],
        ["reset", 1, 1, { reason: "cancelled" }],
        ["response", 1, 3, false, failure("cancelled")],
        ["reset", 1, 3, { reason: "invalid-argument" }],
        ["response", 1, 4, false, failure("invalid-argument")],
      ),
      respond(2),
      expect(["response", 1, 2, true, null]),
      send(["cancel", 1, 1]),
      nothing,
    ],
  },
  {
    name: "request ids may leave gaps; they have no parity",
    rules: ["frame.ids"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 2, "m", null], ["call", 1, 9, "m", null]),
      respond(9),
      respond(2),
      expect(["response", 1, 9, true, null], ["response", 1, 2, true, null]),
      send(["cancel", 1, 5], ["cancel", 1, 9]),
      nothing,
    ],
  },
  ...([
    ["request 0", [["call", 1, 0, "m", null]]],
    ["a request that is used twice", [["call", 1, 2, "m", null], ["call", 1, 2, "m", null]]],
    ["a request below the highest", [["call", 1, 2, "m", null], ["call", 1, 1, "m", null]]],
    ["a cancel of a request above the highest", [["call", 1, 1, "m", null], ["cancel", 1, 2]]],
    ["a response to a call that was never made", [["call", 1, 1, "m", null], ["response", 1, 1, true, null]]],
    ["a channel of the wrong parity", [["call", 1, 1, "m", null, { upload: 2 }]]],
    ["channel 0 in a call", [["call", 1, 1, "m", null, { download: 0 }]]],
    ["one channel for both directions", [["call", 1, 1, "m", null, { upload: 1, download: 1 }]]],
    ["a channel that is used twice", [
      ["call", 1, 1, "m", null, { upload: 1 }],
      ["call", 1, 2, "m", null, { download: 1 }],
    ]],
    ["a channel below the highest", [
      ["call", 1, 1, "m", null, { upload: 3 }],
      ["call", 1, 2, "m", null, { upload: 1 }],
    ]],
    ["an item on a channel above the highest", [["call", 1, 1, "m", null, { upload: 1 }], ["item", 1, 3, 1]]],
    ["credit on a channel that this side would give, and has not", [
      ["call", 1, 1, "m", null, { upload: 1 }],
      ["credit", 1, 2, 1],
    ]],
  ] as const).map(([name, messages]): Scenario => ({
    name,
    rules: ["frame.ids"],
    side: "server",
    steps: [...SERVING, send(...messages), violation("frame.ids")],
  })),
  {
    name: "the server calls the client; its requests are apart from the client's, its channels are even",
    rules: ["frame.ids", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { upload: 1 }]),
      call({ upload: true, download: true, credit: 4 }),
      call({ download: true }),
      expect(
        ["call", 1, 1, "m", null, { upload: 2, download: 4, credit: 4 }],
        ["call", 1, 2, "m", null, { download: 6 }],
      ),
      item(2, "up"),
      expect(["item", 1, 2, "up"]),
      send(["item", 1, 4, "down"], ["finish", 1, 4], ["response", 1, 1, true, "done"], [
        "item",
        1,
        1,
        "still",
      ]),
      hear(
        { event: "offered", connection: 1, service: "s" },
        heard("called", { request: 1, method: "m", body: null }),
        heard("item", { channel: 4, body: "down" }),
        heard("finished", { channel: 4 }),
        heard("answered", { request: 1, ok: true, body: "done" }),
        heard("item", { channel: 1, body: "still" }),
      ),
      item(2, "too late"),
      nothing,
    ],
  },
  {
    name: "the client is called by the server",
    rules: ["frame.ids", "call.once"],
    side: "client",
    steps: [
      ...USING,
      send(["call", 1, 1, "m", 1, { upload: 2, download: 4 }], ["item", 1, 2, "up"]),
      item(4, "down"),
      respond(1, "done"),
      expect(["item", 1, 4, "down"], ["finish", 1, 4], ["response", 1, 1, true, "done"]),
    ],
  },
  {
    name: "an end takes the calls and channels of its connection with it",
    rules: ["connection.end", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { upload: 1, download: 3, timeout: 10 }]),
      call(),
      expect(["call", 1, 1, "m", null]),
      act("end", { connection: 1, reason: "bye" }),
      expect(["end", 1, { reason: "bye" }]),
      send(["item", 1, 1, 1], ["credit", 1, 3, 1], ["response", 1, 1, true, null], ["cancel", 1, 1]),
      { advance: 10 },
      respond(1),
      item(3, 1),
      nothing,
    ],
  },
];

const CHANNELS: readonly Scenario[] = [
  {
    name: "an upload: items in order, credit when half was taken, finish, answer",
    rules: ["channel.order", "channel.credit", "channel.finish", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      hear({ event: "offered", connection: 1, service: "s" }),
      send(["call", 1, 1, "sum", null, { upload: 1 }], ...times(16, (i) => ["item", 1, 1, i])),
      take(1, 7),
      nothing,
      take(1, 1),
      expect(["credit", 1, 1, 8]),
      take(1, 8),
      expect(["credit", 1, 1, 8]),
      send(["item", 1, 1, 17], ["finish", 1, 1]),
      hear(
        heard("called", { request: 1, method: "sum", body: null }),
        ...times(17, (i) => heard("item", { channel: 1, body: i })),
        heard("finished", { channel: 1 }),
      ),
      take(1, 1),
      nothing,
      respond(1, 153),
      expect(["response", 1, 1, true, 153]),
    ],
  },
  {
    name: "an upload by the client under test: items wait for credit, and the finish waits for them",
    rules: ["channel.credit", "channel.order", "channel.finish"],
    side: "client",
    steps: [
      ...USING,
      call({ upload: true }),
      ...times(20, (i) => item(1, i)),
      act("finish", { connection: 1, channel: 1 }),
      expect(["call", 1, 1, "m", null, { upload: 1 }], ...times(16, (i) => ["item", 1, 1, i])),
      send(["credit", 1, 1, 1]),
      expect(["item", 1, 1, 17]),
      send(["credit", 1, 1, 8]),
      expect(["item", 1, 1, 18], ["item", 1, 1, 19], ["item", 1, 1, 20], ["finish", 1, 1]),
      send(["credit", 1, 1, 8], ["response", 1, 1, true, 210]),
      hear(heard("accepted", {}), heard("answered", { request: 1, ok: true, body: 210 })),
    ],
  },
  {
    name: "a download: items wait for credit, and the finish comes before the answer",
    rules: ["channel.credit", "channel.finish", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { download: 1 }]),
      ...times(20, (i) => item(1, i)),
      expect(...times(16, (i) => ["item", 1, 1, i])),
      send(["credit", 1, 1, 1], ["credit", 1, 1, 2]),
      expect(["item", 1, 1, 17], ["item", 1, 1, 18], ["item", 1, 1, 19]),
      send(["credit", 1, 1, 8]),
      expect(["item", 1, 1, 20]),
      respond(1, "done"),
      expect(["finish", 1, 1], ["response", 1, 1, true, "done"]),
      send(["credit", 1, 1, 8]),
      nothing,
    ],
  },
  {
    name: "a download that was finished is not finished again by the answer",
    rules: ["channel.finish", "call.once"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { download: 1 }]),
      item(1, 1),
      act("finish", { connection: 1, channel: 1 }),
      expect(["item", 1, 1, 1], ["finish", 1, 1]),
      item(1, 2),
      act("finish", { connection: 1, channel: 1 }),
      nothing,
      respond(1),
      expect(["response", 1, 1, true, null]),
    ],
  },
  {
    name: "an error resets the download before the answer, whatever the error is",
    rules: ["channel.reset", "call.once", "call.cancel"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { download: 1 }], ["call", 1, 2, "m", null, { download: 3 }]),
      item(1, 1),
      fail(1),
      expect(
        ["item", 1, 1, 1],
        ["reset", 1, 1, { reason: "not-found" }],
        ["response", 1, 1, false, { code: "not-found", message: "no" }],
      ),
      send(["cancel", 1, 2]),
      expect(["reset", 1, 3, { reason: "cancelled" }], ["response", 1, 2, false, failure("cancelled")]),
    ],
  },
  {
    name: "a download heard by the client under test, to its normal end",
    rules: ["channel.order", "channel.credit", "channel.finish"],
    side: "client",
    steps: [
      ...USING,
      call({ download: true }),
      expect(["call", 1, 1, "m", null, { download: 1 }]),
      send(["item", 1, 1, "a"], ["item", 1, 1, "b"], ["finish", 1, 1], ["response", 1, 1, true, "done"]),
      hear(
        heard("accepted", {}),
        heard("item", { channel: 1, body: "a" }),
        heard("item", { channel: 1, body: "b" }),
        heard("finished", { channel: 1 }),
        heard("answered", { request: 1, ok: true, body: "done" }),
      ),
      take(1, 2),
      nothing,
    ],
  },
  {
    name: "a download that breaks off is no download that ended",
    rules: ["channel.reset"],
    side: "client",
    steps: [
      ...USING,
      call({ download: true }),
      expect(["call", 1, 1, "m", null, { download: 1 }]),
      send(
        ["item", 1, 1, "a"],
        ["reset", 1, 1, { reason: "internal" }],
        ["response", 1, 1, false, { code: "internal", message: "x" }],
      ),
      hear(
        heard("accepted", {}),
        heard("item", { channel: 1, body: "a" }),
        heard("reset", { channel: 1, reason: "internal" }),
        heard("answered", { request: 1, ok: false, body: { code: "internal", message: "x" } }),
      ),
    ],
  },
  ...([
    ["a result before its download ended", ["response", 1, 1, true, null]],
    ["an error before its download ended", ["response", 1, 1, false, { code: "internal", message: "x" }]],
  ] as const).map(([name, message]): Scenario => ({
    name,
    rules: ["call.once"],
    side: "client",
    steps: [
      ...USING,
      call({ download: true }),
      expect(["call", 1, 1, "m", null, { download: 1 }]),
      send(["item", 1, 1, "a"]),
      send(message),
      violation("call.once"),
    ],
  })),
  {
    name: "an answer waits for the end of its own download, not for another's, nor for an upload's",
    rules: ["call.once"],
    side: "client",
    steps: [
      ...USING,
      call({ upload: true, download: true }),
      call({ download: true }),
      expect(
        ["call", 1, 1, "m", null, { upload: 1, download: 3 }],
        ["call", 1, 2, "m", null, { download: 5 }],
      ),
      send(["finish", 1, 3], ["response", 1, 1, true, null]),
      hear(
        heard("accepted", {}),
        heard("finished", { channel: 3 }),
        heard("answered", { request: 1, ok: true, body: null }),
      ),
      send(["finish", 1, 3], ["response", 1, 1, true, null]),
      hear(),
    ],
  },
  {
    name: "a first credit that the call says: the caller grants half of it back when that was taken",
    rules: ["channel.credit"],
    side: "client",
    steps: [
      ...USING,
      call({ download: true, credit: 3 }),
      expect(["call", 1, 1, "m", null, { download: 1, credit: 3 }]),
      send(["item", 1, 1, 1], ["item", 1, 1, 2], ["item", 1, 1, 3]),
      take(1, 1),
      nothing,
      take(1, 1),
      expect(["credit", 1, 1, 2]),
      send(["item", 1, 1, 4], ["item", 1, 1, 5]),
      send(["item", 1, 1, 6]),
      violation("channel.credit"),
    ],
  },
  {
    name: "a first credit of 0: nothing is sent until something is granted",
    rules: ["channel.credit"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { download: 1, credit: 0 }]),
      item(1, 1),
      nothing,
      send(["credit", 1, 1, 0]),
      nothing,
      send(["credit", 1, 1, 1]),
      expect(["item", 1, 1, 1]),
    ],
  },
  {
    name: "an item of an upload without credit",
    rules: ["channel.credit"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { upload: 1, credit: 100 }], ...times(16, (i) => ["item", 1, 1, i])),
      nothing,
      send(["item", 1, 1, 17]),
      violation("channel.credit"),
    ],
  },
  {
    name: "an item of a download without credit",
    rules: ["channel.credit"],
    side: "client",
    steps: [
      ...USING,
      call({ download: true }),
      expect(["call", 1, 1, "m", null, { download: 1 }]),
      send(...times(17, (i) => ["item", 1, 1, i])),
      violation("channel.credit"),
    ],
  },
  {
    name: "a credit beyond what a count can hold",
    rules: ["channel.credit"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { download: 1 }], ["credit", 1, 1, 9007199254740975]),
      nothing,
      send(["credit", 1, 1, 1]),
      violation("channel.credit"),
    ],
  },
  ...([
    ["an item against the direction of its channel", ["item", 1, 3, 1]],
    ["a finish against the direction of its channel", ["finish", 1, 3]],
    ["a reset against the direction of its channel", ["reset", 1, 3, { reason: "r" }]],
    ["credit along the direction of its channel", ["credit", 1, 1, 1]],
  ] as const).map(([name, message]): Scenario => ({
    name,
    rules: ["channel.order"],
    side: "server",
    steps: [
      ...SERVING,
      send(["call", 1, 1, "m", null, { upload: 1, download: 3 }], message),
      violation("channel.order"),
    ],
  })),
  {
    name: "what comes for a channel after its end is dropped",
    rules: ["channel.finish", "channel.reset", "frame.ids"],
    side: "server",
    steps: [
      ...SERVING,
      hear({ event: "offered", connection: 1, service: "s" }),
      send(
        ["call", 1, 1, "m", null, { upload: 1 }],
        ["finish", 1, 1],
        ["item", 1, 1, 1],
        ["finish", 1, 1],
        ["reset", 1, 1, { reason: "r" }],
        ["call", 1, 2, "m", null, { upload: 3 }],
        ["reset", 1, 3, { reason: "r" }],
        ["item", 1, 3, 1],
      ),
      hear(
        heard("called", { request: 1, method: "m", body: null }),
        heard("finished", { channel: 1 }),
        heard("called", { request: 2, method: "m", body: null }),
        heard("reset", { channel: 3, reason: "r" }),
      ),
      respond(1),
      respond(2),
      expect(["response", 1, 1, true, null], ["response", 1, 2, true, null]),
    ],
  },
  {
    name: "an answer ends the upload of its call; what still comes is dropped",
    rules: ["call.once", "frame.ids"],
    side: "server",
    steps: [
      ...SERVING,
      hear({ event: "offered", connection: 1, service: "s" }),
      send(["call", 1, 1, "m", null, { upload: 1 }]),
      respond(1, "enough"),
      expect(["response", 1, 1, true, "enough"]),
      send(["item", 1, 1, 1], ["finish", 1, 1]),
      hear(heard("called", { request: 1, method: "m", body: null })),
      nothing,
    ],
  },
  {
    name: "an answer ends the upload for the caller too",
    rules: ["call.once", "frame.ids"],
    side: "client",
    steps: [
      ...USING,
      call({ upload: true }),
      item(1, 1),
      expect(["call", 1, 1, "m", null, { upload: 1 }], ["item", 1, 1, 1]),
      send(["response", 1, 1, true, "enough"], ["credit", 1, 1, 1]),
      item(1, 2),
      act("finish", { connection: 1, channel: 1 }),
      nothing,
    ],
  },
  {
    name: "the caller breaks its upload off; the call goes on",
    rules: ["channel.reset", "call.once"],
    side: "client",
    steps: [
      ...USING,
      call({ upload: true, download: true }),
      item(1, 1),
      act("reset", { connection: 1, channel: 1, reason: "gone" }),
      item(1, 2),
      expect(
        ["call", 1, 1, "m", null, { upload: 1, download: 3 }],
        ["item", 1, 1, 1],
        ["reset", 1, 1, { reason: "gone" }],
      ),
      send(["item", 1, 3, "down"], ["finish", 1, 3], ["response", 1, 1, true, null]),
      hear(
        heard("accepted", {}),
        heard("item", { channel: 3, body: "down" }),
        heard("finished", { channel: 3 }),
        heard("answered", { request: 1, ok: true, body: null }),
      ),
    ],
  },
  {
    name: "both directions at once, each with its own credit",
    rules: ["channel.credit", "channel.order", "channel.finish"],
    side: "server",
    steps: [
      ...SERVING,
      send(
        ["call", 1, 1, "m", null, { upload: 1, download: 3, credit: 2 }],
        ...times(8, (i) => ["item", 1, 1, i]),
      ),
      ...times(3, (i) => item(3, i)),
      expect(["item", 1, 3, 1], ["item", 1, 3, 2]),
      take(1, 8),
      expect(["credit", 1, 1, 8]),
      send(["credit", 1, 3, 2], ["finish", 1, 1]),
      expect(["item", 1, 3, 3]),
      respond(1),
      expect(["finish", 1, 3], ["response", 1, 1, true, null]),
    ],
  },
  {
    name: "items of an early call come under their credit; nothing is granted or sent before the accept",
    rules: ["connection.early", "connection.open", "channel.credit"],
    side: "server",
    steps: [
      send(
        ["open", 1, { service: "s" }],
        ["call", 1, 1, "m", null, { upload: 1, download: 3 }],
        ...times(16, (i) => ["item", 1, 1, i]),
        ["finish", 1, 1],
      ),
      nothing,
      accept,
      expect(["accept", 1, {}]),
      item(3, 1),
      respond(1),
      expect(["item", 1, 3, 1], ["finish", 1, 3], ["response", 1, 1, true, null]),
    ],
  },
];

/** Puts the sequence numbers in: each direction counts from 1. */
function numbered(scenario: Scenario): Scenario {
  let [sent, expected] = [0, 0];
  const number = (count: () => number) => ([kind, ...fields]: JsonMessage) => [kind, count(), ...fields];
  const steps = scenario.steps.map((step): ScenarioStep => {
    if ("send" in step) return send(...step.send.map(number(() => ++sent)));
    if ("expect" in step) return expect(...step.expect.map(number(() => ++expected)));
    return step;
  });
  return { ...scenario, steps };
}

export const SCENARIOS: readonly Scenario[] = [
  ...CONNECTIONS,
  ...ENDS,
  ...MESSAGE_CREDIT,
  ...CALLS,
  ...CHANNELS,
].map(numbered);

/** The scenarios as JSON, each step on a line. */
export function scenariosJson(): string {
  const scenarios = SCENARIOS.map(({ steps, ...head }) => {
    const fields = Object.entries(head).map(([key, value]) =>
      `${JSON.stringify(key)}: ${JSON.stringify(value)}`
    );
    const lines = steps.map((step) => `      ${JSON.stringify(step)}`);
    return `  {\n    ${fields.join(",\n    ")},\n    "steps": [\n${lines.join(",\n")}\n    ]\n  }`;
  });
  return `[\n${scenarios.join(",\n")}\n]\n`;
}
