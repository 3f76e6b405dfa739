/** What `GET /v1/connect` refuses before there is a conduit, seen from outside the process. */

import assert from "node:assert/strict";
import { RawConduit } from "../support/raw_conduit.ts";
import { request, UPGRADE_HEADERS } from "../support/raw_http.ts";
import { ServerProcess } from "../support/server_process.ts";

interface Case {
  readonly name: string;
  readonly headers: { readonly [name: string]: string };
  readonly status: number;
}

const without = (name: string) =>
  Object.fromEntries(Object.entries(UPGRADE_HEADERS).filter(([key]) => key !== name));

const CASES: readonly Case[] = [
  { name: "no Upgrade header", headers: {}, status: 426 },
  { name: "an upgrade to something else", headers: { ...UPGRADE_HEADERS, Upgrade: "h2c" }, status: 426 },
  {
    name: "only unknown subprotocols",
    headers: { ...UPGRADE_HEADERS, "Sec-WebSocket-Protocol": "holdfast.v2.json, chat" },
    status: 400,
  },
  { name: "no key", headers: without("Sec-WebSocket-Key"), status: 400 },
  { name: "a foreign Origin", headers: { ...UPGRADE_HEADERS, Origin: "https://evil.example" }, status: 403 },
  { name: "the Origin null", headers: { ...UPGRADE_HEADERS, Origin: "null" }, status: 403 },
  {
    name: "a Host that is no loopback name, as after DNS rebinding",
    headers: { ...UPGRADE_HEADERS, Host: "evil.example", Origin: "http://evil.example" },
    status: 403,
  },
];

// @rule frame.route
// @rule frame.origin
Deno.test("refused upgrades are problem+json with the status of their rule", async (t) => {
  const server = await ServerProcess.start({ HOLDFAST_ALLOWED_ORIGINS: "https://app.example" });
  try {
    for (const { name, headers, status } of CASES) {
      await t.step(`${name}: ${status}`, async () => {
        const answer = await request(server, "/v1/connect", headers);
        assert.equal(answer.status, status);
        assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json/);
        const problem = JSON.parse(answer.body) as { status: number; title: string; detail: string };
        assert.equal(problem.status, status);
        assert.ok(problem.title !== "" && problem.detail !== "");
      });
    }
    await t.step("an unknown path: 404, as problem+json", async () => {
      const answer = await request(server, "/v1/nothing", {});
      assert.equal(answer.status, 404);
      assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json/);
    });
    const accepted: readonly (readonly [string, { readonly [name: string]: string }, string | undefined])[] =
      [
        ["none offered", UPGRADE_HEADERS, undefined],
        ["capitals", { ...UPGRADE_HEADERS, Upgrade: "WebSocket" }, undefined],
        [
          "a list without spaces",
          { ...UPGRADE_HEADERS, "Sec-WebSocket-Protocol": "chat,holdfast.v1.msgpack,holdfast.v1.json" },
          "holdfast.v1.msgpack",
        ],
        ["an allowed Origin", { ...UPGRADE_HEADERS, Origin: "https://app.example" }, undefined],
        ["the own Origin", { ...UPGRADE_HEADERS, Origin: `http://127.0.0.1:${server.port}` }, undefined],
      ];
    for (const [name, headers, chosen] of accepted) {
      await t.step(`${name}: 101`, async () => {
        const answer = await request(server, "/v1/connect", headers);
        assert.equal(answer.status, 101);
        assert.equal(answer.headers.get("sec-websocket-protocol"), chosen);
      });
    }
    await t.step("and the server goes on", async () => {
      const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
      await conduit.establish();
      await conduit.break();
      for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
    });
  } finally {
    await server.dispose();
  }
});
