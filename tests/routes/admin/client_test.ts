/** A client generated from the description drives each route. */

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import openapiTS, { astToString } from "openapi-typescript";
import * as z from "zod";
import { defineService } from "../../../src/service/define_service.ts";
import { echo } from "../../../src/service/echo.ts";
import { transaction } from "../../../src/service/methods.ts";
import { ADMIN_TOKEN, AdminNode } from "../../support/admin_node.ts";
import { CallClient } from "../../support/call_client.ts";
import { settle } from "../../support/fake_clock.ts";
import { TestClient } from "../../support/raw_peer.ts";
import type { paths } from "./openapi_types.ts";

const shop = defineService({
  name: "shop",
  methods: { add: transaction({ input: z.int(), output: z.int() }, (by) => by) },
});

function clientOf(admin: AdminNode, headers: Record<string, string>) {
  return createClient<paths>({
    baseUrl: "http://localhost",
    headers,
    fetch: (request) => {
      const sent = new Request(request);
      sent.headers.set("host", "localhost");
      return admin.request(sent);
    },
  });
}

/** The generator's output but for how it is laid out. */
const essence = (text: string) => text.replaceAll(/[\s,;()|]/g, "");

Deno.test("the client's types are those of the description", async () => {
  const document = await (await new AdminNode().api.request("/openapi.json")).json();
  const generated = astToString(await openapiTS(document));
  const kept = await Deno.readTextFile(new URL("openapi_types.ts", import.meta.url));
  assert.equal(essence(kept), essence(generated));
});

Deno.test("a generated client drives each route", async () => {
  const admin = new AdminNode({ services: [echo, shop] });
  const session = new TestClient();
  await session.connect(admin.node);
  session.open();
  await settle();
  const id = session.session!;
  const client = clientOf(admin, { authorization: `Bearer ${ADMIN_TOKEN}` });
  const driven = new Set<string>();
  const data = async <T>(
    route: string,
    answer: Promise<{ data?: T; response: Response; error?: unknown }>,
  ) => {
    const { data, response, error } = await answer;
    assert.ok(response.ok, `${route}: ${JSON.stringify(error)}`);
    driven.add(route);
    return data!;
  };

  const page = await data(
    "GET /v1/admin/sessions",
    client.GET("/v1/admin/sessions", { params: { query: { limit: 5, state: "attached" } } }),
  );
  assert.deepEqual(page.sessions.map((listed) => [listed.id, listed.state]), [[id, "attached"]]);
  const path = { id };
  const shown = await data(
    "GET /v1/admin/sessions/{id}",
    client.GET("/v1/admin/sessions/{id}", { params: { path } }),
  );
  assert.equal(shown.connections[0]?.service, "echo");
  const pushed = await data(
    "POST /v1/admin/sessions/{id}/connections/{connection}/messages",
    client.POST("/v1/admin/sessions/{id}/connections/{connection}/messages", {
      params: { path: { id, connection: 1 }, header: { "idempotency-key": "k" } },
      body: { body: { hello: "there" } },
    }),
  );
  assert.deepEqual([pushed.sequence, pushed.repeated], [2, false]);
  await settle();
  assert.deepEqual(session.echoes, [{ hello: "there" }]);
  const broke = await data(
    "POST /v1/admin/sessions/{id}/break",
    client.POST("/v1/admin/sessions/{id}/break", { params: { path } }),
  );
  assert.equal(broke.broken, true);
  const ended = await data(
    "DELETE /v1/admin/sessions/{id}",
    client.DELETE("/v1/admin/sessions/{id}", { params: { path, query: { detail: "done" } } }),
  );
  assert.equal(ended.session, id);
  const missing = await client.GET("/v1/admin/sessions/{id}", { params: { path: { id: "A".repeat(22) } } });
  assert.equal(missing.error?.status, 404);

  const at = { params: { path: { principal: "somebody" } } };
  const seen = await data(
    "GET /v1/admin/principals/{principal}",
    client.GET("/v1/admin/principals/{principal}", at),
  );
  assert.deepEqual(seen, { principal: "somebody", sessions: 0, sessionLimit: 1008, blocked: null });
  const block = "/v1/admin/principals/{principal}/block";
  assert.notEqual((await data(`PUT ${block}`, client.PUT(block, at))).blocked, null);
  assert.equal((await data(`DELETE ${block}`, client.DELETE(block, at))).blocked, null);

  const operations = "/v1/admin/operations/{operation}";
  const caller = new CallClient();
  await caller.connect(admin.node);
  caller.openTo("shop");
  assert.equal((await caller.ask("add", 1, { operation: "k" }))?.ok, true);
  const { operation } = await data(
    "POST /v1/admin/operations/lookup",
    client.POST("/v1/admin/operations/lookup", {
      body: { session: caller.session!, service: "shop", method: "add", key: "k" },
    }),
  );
  const named = { params: { path: { operation } } };
  assert.equal((await data(`GET ${operations}`, client.GET(operations, named))).outcome?.ok, true);
  assert.equal((await data(`DELETE ${operations}`, client.DELETE(operations, named))).was, "finished");
  assert.equal((await client.GET(operations, named)).error?.status, 404);

  const { services } = await data("GET /v1/admin/services", client.GET("/v1/admin/services"));
  assert.deepEqual(services, [
    { name: "echo", connections: 0 },
    { name: "shop", connections: 1 },
    { name: "admin", connections: 0 },
  ]);
  const node = await data("GET /v1/admin/node", client.GET("/v1/admin/node"));
  assert.equal(node.boot, admin.node.boot);
  assert.deepEqual(await data("POST /v1/admin/node/drain", client.POST("/v1/admin/node/drain")), {
    draining: true,
  });
  assert.deepEqual(await data("POST /v1/admin/node/undrain", client.POST("/v1/admin/node/undrain")), {
    draining: false,
  });
  assert.deepEqual(admin.told, ["drain", "undrain"]);
  const store = await data("GET /v1/admin/store", client.GET("/v1/admin/store"));
  assert.deepEqual(store.rows.session, { rows: 2, capped: false });
  const swept = await data("POST /v1/admin/store/sweep", client.POST("/v1/admin/store/sweep"));
  assert.ok(swept.tookMs >= 0);

  const visitor = clientOf(admin, { origin: "http://localhost" });
  const login = await visitor.POST("/v1/admin/login", { body: { token: ADMIN_TOKEN } });
  await data("POST /v1/admin/login", Promise.resolve(login));
  const cookie = login.response.headers.get("set-cookie")!.split(";")[0]!;
  const loggedIn = clientOf(admin, { origin: "http://localhost", cookie });
  await data("POST /v1/admin/logout", loggedIn.POST("/v1/admin/logout"));
  assert.equal((await loggedIn.GET("/v1/admin/node")).response.status, 401);

  const { paths: described } = await (await admin.api.request("/openapi.json")).json();
  const all = Object.entries<object>(described).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
  );
  assert.deepEqual([...driven].sort(), all.sort());
});
