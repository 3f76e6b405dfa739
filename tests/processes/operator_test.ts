/** Those who watch a node: how they get in, over each transport, and how its stop lets go of them. */

import assert from "node:assert/strict";
import { sign } from "hono/jwt";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import type { AdminService } from "../../src/admin/admin_service.ts";
import { connect } from "../../src/client/mod.ts";
import { RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

const TOKEN = "an-admin-token-for-this-test";
const SECRET = "a-secret-of-more-than-32-bytes-for-this-test";
const QUERY = "?as=operator";

async function jwt(claims: Record<string, unknown>): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 600;
  return await sign({ iss: "https://id.example", aud: "holdfast", exp, ...claims }, SECRET, "HS256");
}

function start(transport: string): Promise<ServerProcess> {
  return ServerProcess.start({
    HOLDFAST_TRANSPORT: transport,
    HOLDFAST_ADMIN_TOKEN: TOKEN,
    HOLDFAST_AUTH: "jwt",
    HOLDFAST_JWT_SECRET: SECRET,
    HOLDFAST_JWT_ISSUER: "https://id.example",
    HOLDFAST_JWT_AUDIENCE: "holdfast",
    HOLDFAST_LOG_LEVEL: "debug",
  });
}

async function login({ url }: ServerProcess): Promise<string> {
  const response = await fetch(new URL("/v1/admin/login", url), {
    method: "POST",
    headers: { origin: url, "content-type": "application/json" },
    body: JSON.stringify({ token: TOKEN }),
  });
  assert.equal(response.status, 204, await response.text());
  return response.headers.get("set-cookie")!.split(";")[0]!;
}

/** Why a handshake is refused that brings nothing but what its upgrade did. */
async function refusal(url: string, upgrade: Parameters<typeof RawConduit.open>[2]): Promise<string> {
  const conduit = await RawConduit.open(url, "holdfast.v1.json", upgrade);
  const error = await conduit.establish().then(() => null, (error: Error) => error);
  await conduit.break();
  return /"reason":"([a-z-]+)"/.exec(error?.message ?? "")?.[1] ?? "none";
}

for (const transport of ["native", "hardened"]) {
  Deno.test(`over ${transport} connections a page's cookie lets watch, from this server's page alone, and the stop closes that with 4400`, async () => {
    const server = await start(transport);
    try {
      const { url } = server;
      const cookie = await login(server);
      const page = { cookie, origin: url };
      const conduit = await RawConduit.open(url, "holdfast.v1.json", { query: QUERY, headers: page });
      const { resumeWindow } = await conduit.establish({ settings: { durability: "ephemeral" } });
      assert.equal(resumeWindow, 60_000);
      conduit.say(["open", 1, 1, { service: "admin" }]);
      await conduit.next("accept");
      conduit.say(["call", 2, 1, 1, "node", null, { download: 1, credit: 4 }]);
      const item = await conduit.next("item");
      assert.deepEqual((item.at(-1) as { sessions: unknown }).sessions, {
        ...{ attached: 0, detached: 0, operators: 1 },
      });

      const { services } = await (await fetch(new URL("/v1/services", url))).json();
      assert.ok(!services.some(({ name }: { readonly name: string }) => name === "admin"));

      assert.equal(
        await refusal(url, { headers: page }),
        "unauthorized",
        "it does not ask to be an operator's",
      );
      assert.equal(await refusal(url, { query: QUERY }), "unauthorized");
      assert.equal(
        await refusal(url, { query: QUERY, headers: { cookie } }),
        "unauthorized",
        "it names no Origin",
      );
      const foreign = { cookie, origin: "http://evil.example" };
      await assert.rejects(
        RawConduit.open(url, "holdfast.v1.json", { query: QUERY, headers: foreign }),
        /403/,
      );

      const { code } = await server.stop();
      assert.equal(code, 0);
      assert.deepEqual(await conduit.closed, { code: 4400, reason: "draining" });
      const text = JSON.stringify(server.log);
      for (const secret of [TOKEN, cookie.split("=")[1]!]) assert.ok(!text.includes(secret));
      assert.deepEqual(server.log.filter(({ level }) => level === "error"), []);
    } finally {
      await server.dispose();
    }
  });
}

Deno.test("a program watches with the admin token, or with a JWT that allows it; one that does not is forbidden", async () => {
  const server = await start("native");
  try {
    const credentials = [
      TOKEN,
      await jwt({ sub: "ada", scope: "holdfast:admin" }),
      await jwt({ sub: "bob", "holdfast:services": ["admin"] }),
    ];
    const seen: string[] = [];
    for (const given of credentials) {
      await using session = connect(server.url, { auth: () => given });
      const admin = session.open<AdminService>("admin");
      try {
        for await (const { draining } of admin.download("node")) {
          seen.push(String(draining));
          break;
        }
      } catch (error) {
        assert.ok(error instanceof RpcError);
        seen.push(await admin.opened.then(() => "opened", ({ reason }) => reason));
      }
    }
    assert.deepEqual(seen, ["false", "false", "forbidden"]);
    const stranger = connect(server.url, { auth: () => "wrong" });
    const refused = await new Promise((resolve) =>
      stranger.on("credentials", ({ reason }) => resolve(reason))
    );
    assert.equal(refused, "unauthorized");
    await stranger.close();
  } finally {
    await server.dispose();
  }
});
