/** A path that is there, asked with a method that it does not have. */

import assert from "node:assert/strict";
import { AdminNode } from "../../support/admin_node.ts";
import { describedRoutes, filled } from "../../support/declared.ts";

const METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];

Deno.test("another method than a path has is a 405 that names those that it has, on every path of the admin API", async () => {
  const admin = new AdminNode();
  const routes = await describedRoutes(admin.api);
  for (const path of new Set(routes.map((route) => route.path))) {
    const has = routes.filter((route) => route.path === path).map(({ method }) => method);
    const allowed = has.includes("GET") ? [...has, "HEAD"] : has;
    for (const method of METHODS.filter((method) => !allowed.includes(method))) {
      const response = await admin.ask(method, filled(path));
      assert.equal(response.status, 405, `${method} ${path}`);
      assert.deepEqual(
        response.headers.get("allow")?.split(", ").sort(),
        allowed.sort(),
        `${method} ${path}`,
      );
      if (method === "HEAD") continue;
      assert.equal((await response.json()).type, "urn:holdfast:problem:method-not-allowed");
    }
  }
  assert.deepEqual(admin.told, []);
});

Deno.test("the description and its page take GET alone", async () => {
  const admin = new AdminNode();
  for (const path of ["/openapi.json", "/docs", "/docs.css"]) {
    const response = await admin.request(path, { method: "POST" });
    assert.equal(response.status, 405, path);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
});
