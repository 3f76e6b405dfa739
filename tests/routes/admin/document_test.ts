/** The API's own description: it is complete, a linter accepts it, and a client made from it works. */

import assert from "node:assert/strict";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { AdminNode } from "../../support/admin_node.ts";

async function text(path: string): Promise<string> {
  const response = await new AdminNode().api.request(path);
  assert.equal(response.status, 200);
  return await response.text();
}

Deno.test("a linter accepts the description", async () => {
  const config = await createConfig({ extends: ["recommended-strict"] });
  const problems = await lintFromString({ source: await text("/openapi.json"), config });
  assert.deepEqual(
    problems.map(({ ruleId, message, location }) => `${ruleId} at ${location[0]?.pointer}: ${message}`),
    [],
  );
});

Deno.test("the linter would find what is wrong", async () => {
  const document = JSON.parse(await text("/openapi.json"));
  document.paths["/v1/admin/node"].get.responses["200"].content["application/json"].schema.$ref = "#/nowhere";
  const config = await createConfig({ extends: ["recommended-strict"] });
  assert.notDeepEqual(await lintFromString({ source: JSON.stringify(document), config }), []);
});

Deno.test("each route is described, with the problems it may answer", async () => {
  const admin = new AdminNode();
  const described = new Set<string>();
  const { paths } = JSON.parse(await text("/openapi.json"));
  for (
    const [path, methods] of Object.entries<Record<string, { responses: object; security: unknown[] }>>(paths)
  ) {
    for (const [method, { responses, security }] of Object.entries(methods)) {
      described.add(`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`);
      for (const status of ["400", "401", "403"]) {
        assert.ok(status in responses, `${method} ${path} ${status}`);
      }
      assert.equal(security.length, path === "/v1/admin/login" ? 0 : 2);
    }
  }
  const served = admin.api.routes
    .filter(({ method, path }) => method !== "ALL" && path.startsWith("/v1/"))
    .map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual([...new Set(served)].sort(), [...described].sort());
});

Deno.test("the page for people names each route, has no script, and loads nothing from elsewhere", async () => {
  const page = await text("/docs");
  const { paths } = JSON.parse(await text("/openapi.json"));
  for (const path of Object.keys(paths)) assert.ok(page.includes(path), path);
  assert.doesNotMatch(page, /<script|style=|javascript:|\son[a-z]+=/);
  const loaded = [...page.matchAll(/<(?:link|img|iframe)[^>]*(?:href|src)="([^"]*)"/g)].map(([, url]) => url);
  assert.deepEqual(loaded, ["/icon.svg", "/docs.css"]);
  assert.doesNotMatch(await text("/docs.css"), /url\(|@import/);
});
