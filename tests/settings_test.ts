import assert from "node:assert/strict";
import fc from "fast-check";
import { isLoopback, readSettings, SETTINGS, type Settings } from "../src/settings.ts";

const SECRET = "0123456789abcdef0123456789abcdef";

/** Long enough for an operator's token, and nobody could send them as `Authorization: Bearer`. */
const UNSENDABLE = [
  "correct horse battery staple",
  "hush-hush-hush-hush-hush!",
  "hush:hush:hush:hush:hush",
  "hüsch-hüsch-hüsch-hüsch",
  "hush-hush-hush-hush-hush\n",
  "x".repeat(4_097),
];

/** The least that makes tokens wanted. */
const JWT = {
  HOLDFAST_AUTH: "jwt",
  HOLDFAST_JWT_SECRET: SECRET,
  HOLDFAST_JWT_ISSUER: "https://id.example",
  HOLDFAST_JWT_AUDIENCE: "holdfast",
};

function settings(env: Record<string, string> = {}): Settings {
  const result = readSettings(env);
  if (!result.ok) throw new Error(result.message);
  return result.settings;
}

function refusal(env: Record<string, string>): string {
  const result = readSettings(env);
  assert.equal(result.ok, false, `accepted: ${JSON.stringify(env)}`);
  return result.ok ? "" : result.message;
}

Deno.test("without an environment every setting has its default", () => {
  assert.deepEqual(settings(), {
    port: 8080,
    host: "127.0.0.1",
    kv: "./data/holdfast.sqlite3",
    resumeWindow: 3_600_000,
    parkAfter: 10_000,
    transport: "native",
    idleTimeout: null,
    keepalive: { interval: 25_000, timeout: 10_000 },
    handshakeTimeout: 10_000,
    drainWindow: 30_000,
    limits: {
      frameBytes: 1_048_576,
      bodyBytes: 524_288,
      windowMessages: 1024,
      windowBytes: 1_048_576,
      connections: 256,
      concurrentCalls: 64,
      storedBytes: 8_388_608,
    },
    allowedOrigins: [],
    auth: { kind: "none" },
    slots: {
      sessionsPerNode: 65_535,
      sessionsPerPrincipal: 1_008,
      supersedeOldest: false,
      anonymousBytes: 1_073_741_824,
    },
    strangers: {
      conduits: 4_096,
      silent: 1_024,
      reads: 64,
      handshakesPerAddress: 100,
      resumesPerAddress: 1_000,
    },
    trustedProxies: { kind: "none" },
    tokenReuse: "keep",
    upstreams: [],
    upstreamTimeout: 10_000,
    remotes: [],
    demo: true,
    logLevel: "info",
  });
});

Deno.test("every setting can be set", () => {
  const set = settings({
    PORT: "0",
    HOLDFAST_HOST: "[::1]",
    HOLDFAST_KV: ":memory:",
    HOLDFAST_RESUME_WINDOW: "250ms",
    HOLDFAST_PARK_AFTER: "5m",
    HOLDFAST_TRANSPORT: "hardened",
    HOLDFAST_IDLE_TIMEOUT: "1h",
    HOLDFAST_KEEPALIVE_INTERVAL: "2s",
    HOLDFAST_KEEPALIVE_TIMEOUT: "500ms",
    HOLDFAST_HANDSHAKE_TIMEOUT: "3s",
    HOLDFAST_WINDOW_MESSAGES: "16",
    HOLDFAST_WINDOW_BYTES: "2MiB",
    HOLDFAST_FRAME_BYTES: "65536",
    HOLDFAST_ALLOWED_ORIGINS: "https://App.example, http://localhost:5173/",
    HOLDFAST_DRAIN_WINDOW: "4s",
    HOLDFAST_ADMIN_TOKEN: SECRET,
    ...JWT,
    HOLDFAST_CONNECTIONS: "8",
    HOLDFAST_STORED_BYTES: "4MiB",
    HOLDFAST_ANONYMOUS_BYTES: "2MiB",
    HOLDFAST_SESSIONS_PER_PRINCIPAL: "2",
    HOLDFAST_SESSIONS_PER_NODE: "3",
    HOLDFAST_SUPERSEDE_OLDEST: "yes",
    HOLDFAST_HANDSHAKES_PER_ADDRESS: "4",
    HOLDFAST_RESUMES_PER_ADDRESS: "5",
    HOLDFAST_UNAUTHENTICATED_CONDUITS: "6",
    HOLDFAST_SILENT_CONDUITS: "8",
    HOLDFAST_UNAUTHENTICATED_READS: "7",
    HOLDFAST_TRUSTED_PROXIES: "fly",
    HOLDFAST_TOKEN_REUSE: "end",
    HOLDFAST_DEMO: "off",
    HOLDFAST_UPSTREAMS: "chat=ws://127.0.0.1:9000/socket,docs=wss://docs.example",
    HOLDFAST_UPSTREAM_TIMEOUT: "3s",
    HOLDFAST_REMOTES: "orders=https://orders.internal,stock=http://127.0.0.1:8081#stock:v2",
    HOLDFAST_REMOTE_TOKEN: "a.b.c",
    HOLDFAST_LOG_LEVEL: "debug",
    HOLDFAST_REGION: "fra",
  });
  assert.deepEqual({ ...set, limits: undefined }, {
    port: 0,
    host: "::1",
    kv: ":memory:",
    resumeWindow: 250,
    parkAfter: 300_000,
    transport: "hardened",
    idleTimeout: 3_600_000,
    keepalive: { interval: 2_000, timeout: 500 },
    handshakeTimeout: 3_000,
    drainWindow: 4_000,
    adminToken: SECRET,
    limits: undefined,
    allowedOrigins: ["https://app.example", "http://localhost:5173"],
    auth: {
      kind: "jwt",
      keys: { kind: "secret", secret: SECRET },
      issuer: "https://id.example",
      audience: "holdfast",
    },
    slots: { sessionsPerNode: 3, sessionsPerPrincipal: 2, supersedeOldest: true, anonymousBytes: 2_097_152 },
    strangers: { conduits: 6, silent: 8, reads: 7, handshakesPerAddress: 4, resumesPerAddress: 5 },
    trustedProxies: { kind: "fly" },
    tokenReuse: "end",
    demo: false,
    upstreams: [
      { name: "chat", url: "ws://127.0.0.1:9000/socket" },
      { name: "docs", url: "wss://docs.example/" },
    ],
    upstreamTimeout: 3_000,
    remotes: [
      { name: "orders", url: "https://orders.internal/", service: "orders" },
      { name: "stock", url: "http://127.0.0.1:8081/", service: "stock:v2" },
    ],
    remoteToken: "a.b.c",
    logLevel: "debug",
    region: "fra",
  });
  assert.equal(set.limits.connections, 8);
  assert.equal(set.limits.storedBytes, 4 * 1024 * 1024);
  assert.equal(set.limits.windowMessages, 16);
  assert.equal(set.limits.windowBytes, 2 * 1024 * 1024);
  assert.equal(set.limits.frameBytes, 65_536);
  assert.equal(set.limits.bodyBytes, 65_536 - 8 * 1024);
});

const WRONG: Record<string, readonly string[]> = {
  PORT: ["", "-1", "65536", "80.5", "0x50", "1e3", "http", " 80"],
  HOLDFAST_HOST: ["", "a b", "http://x", "x/y"],
  HOLDFAST_PUBLIC: ["true", "YES", ""],
  HOLDFAST_KV: ["", "redis://localhost", "https://user:secret@kv.example", "http://"],
  HOLDFAST_RESUME_WINDOW: ["", "0s", "-1s", "10", "1.5h", "10 s", "1d", "721h", "s", "off", "999999999999h"],
  HOLDFAST_PARK_AFTER: ["0ms", "25h"],
  HOLDFAST_TRANSPORT: ["", "deno", "Hardened"],
  HOLDFAST_DEMO: ["", "yes", "ON"],
  HOLDFAST_IDLE_TIMEOUT: ["", "0s", "never", "721h"],
  HOLDFAST_KEEPALIVE_INTERVAL: ["0s", "61m"],
  HOLDFAST_KEEPALIVE_TIMEOUT: ["0s", "2h"],
  HOLDFAST_HANDSHAKE_TIMEOUT: ["0s", "2h"],
  HOLDFAST_WINDOW_MESSAGES: ["0", "65537", "many"],
  HOLDFAST_WINDOW_BYTES: ["0", "16383", "5MiB", "1MB", "1 MiB", "1.5MiB"],
  HOLDFAST_FRAME_BYTES: ["0", "1KiB", "17MiB"],
  HOLDFAST_ALLOWED_ORIGINS: ["*", "app.example", "https://app.example/path", "null", "https://u@app.example"],
  HOLDFAST_AUTH: ["", "JWT", "basic"],
  HOLDFAST_JWT_SECRET: ["", "x".repeat(31)],
  HOLDFAST_JWKS_URL: [
    "",
    "keys.json",
    "http://id.example/keys",
    "https://u:p@id.example/keys",
    "file:///keys",
  ],
  HOLDFAST_JWT_ISSUER: [""],
  HOLDFAST_JWT_AUDIENCE: [""],
  HOLDFAST_DRAIN_WINDOW: ["0s", "2h"],
  HOLDFAST_ADMIN_TOKEN: ["", "x".repeat(21), ...UNSENDABLE],
  HOLDFAST_CONNECTIONS: ["0", "16385"],
  HOLDFAST_STORED_BYTES: ["0", "65535", "65MiB"],
  HOLDFAST_ANONYMOUS_BYTES: ["0", "1023KiB"],
  HOLDFAST_SESSIONS_PER_PRINCIPAL: ["0", "100001"],
  HOLDFAST_SESSIONS_PER_NODE: ["0", "1000001"],
  HOLDFAST_SUPERSEDE_OLDEST: ["", "true"],
  HOLDFAST_HANDSHAKES_PER_ADDRESS: ["0", "0.5"],
  HOLDFAST_RESUMES_PER_ADDRESS: ["0", "-1"],
  HOLDFAST_UNAUTHENTICATED_CONDUITS: ["0", "all"],
  HOLDFAST_SILENT_CONDUITS: ["0", "few"],
  HOLDFAST_UNAUTHENTICATED_READS: ["0", "10001"],
  HOLDFAST_TRUSTED_PROXIES: ["proxy", "10.0.0.0/33", "10.0.0.0/8/8", "::1/129", "FLY", "10.0.0.1,,"],
  HOLDFAST_TOKEN_REUSE: ["", "keep it"],
  HOLDFAST_UPSTREAMS: [
    "chat",
    "chat=http://h/",
    "chat=ws://h/,chat=ws://i/",
    "Chat=ws://h/",
    "chat=ws://h/#x",
  ],
  HOLDFAST_UPSTREAM_TIMEOUT: ["0s", "2h"],
  HOLDFAST_REMOTES: [
    "orders",
    "Orders=https://h/",
    "a=https://h/,a=https://i/",
    "a=ftp://h/",
    "a=h:80",
    "a=https://user:pass@h/",
    "a=https://h/#Not a service",
  ],
  HOLDFAST_REMOTE_TOKEN: ["", "two words", "x".repeat(20_000)],
  HOLDFAST_LOG_LEVEL: ["verbose", "INFO"],
  HOLDFAST_REGION: ["", "a b", "x".repeat(65)],
};

for (const [name, values] of Object.entries(WRONG)) {
  Deno.test(`a wrong ${name} is refused with one line that names it, its value and what is allowed`, () => {
    for (const value of values) {
      const message = refusal({ [name]: value });
      assert.ok(message.startsWith(`${name}=`), message);
      assert.match(message, /allowed is \S/);
      assert.ok(!message.includes("\n"), message);
      const told = !value.includes("@") && SETTINGS[name]?.secret === undefined;
      if (told) assert.ok(message.includes(JSON.stringify(value)), message);
    }
  });
}

Deno.test("the wrong values cover every setting", () => {
  assert.deepEqual(Object.keys(WRONG).sort(), Object.keys(SETTINGS).sort());
});

Deno.test("a refusal never shows the credentials of a store's URL", () => {
  assert.ok(!refusal({ HOLDFAST_KV: "https://user:secret@kv.example" }).includes("secret"));
});

Deno.test("a refusal stays one short line whatever the value holds", () => {
  const message = refusal({ PORT: `1\n2\u001b[31m${"x".repeat(10_000)}` });
  assert.ok(message.length < 300);
  // deno-lint-ignore no-control-regex -- that there are none is what is tested
  assert.doesNotMatch(message, /[\u0000-\u001f]/);
});

// @rule frame.cost
Deno.test("whatever window and frame are set, two bodies fit the window and a body with its header fits the frame", () => {
  fc.assert(fc.property(
    fc.integer({ min: 16 * 1024, max: 4 * 1024 * 1024 }),
    fc.integer({ min: 32 * 1024, max: 16 * 1024 * 1024 }),
    (windowBytes, frameBytes) => {
      const { limits } = settings({
        HOLDFAST_WINDOW_BYTES: `${windowBytes}`,
        HOLDFAST_FRAME_BYTES: `${frameBytes}`,
      });
      assert.ok(limits.windowBytes >= 2 * limits.bodyBytes);
      assert.ok(limits.frameBytes >= limits.bodyBytes + 8 * 1024);
      assert.ok(limits.storedBytes >= 2 * limits.windowBytes);
      assert.ok(limits.bodyBytes >= 8 * 1024 && limits.bodyBytes <= 512 * 1024);
    },
  ));
});

Deno.test("an address beyond loopback without authentication must be said twice", () => {
  const said = { HOLDFAST_AUTH: "none", HOLDFAST_PUBLIC: "yes" };
  for (const host of ["0.0.0.0", "::", "192.168.1.2", "holdfast.example"]) {
    const message = refusal({ HOLDFAST_HOST: host });
    assert.ok(message.startsWith(`HOLDFAST_HOST="${host}"`), message);
    assert.match(message, /HOLDFAST_PUBLIC=yes/);
    assert.equal(settings({ ...said, HOLDFAST_HOST: host }).host, host);
    refusal({ HOLDFAST_HOST: host, HOLDFAST_PUBLIC: "yes" });
    refusal({ HOLDFAST_HOST: host, HOLDFAST_AUTH: "none" });
    assert.equal(settings({ ...JWT, HOLDFAST_HOST: host }).host, host);
  }
});

Deno.test("tokens need an issuer, an audience and exactly one kind of key", () => {
  assert.equal(settings(JWT).auth.kind, "jwt");
  for (const [name, value] of Object.entries(JWT)) {
    if (name === "HOLDFAST_AUTH") continue;
    const { [name as keyof typeof JWT]: _, ...rest } = JWT;
    assert.match(refusal(rest), /^HOLDFAST_(AUTH=jwt needs|JWT_(ISSUER|AUDIENCE) is not set)/);
    assert.match(refusal({ [name]: value }), /has no effect without HOLDFAST_AUTH=jwt$/);
  }
  const both = refusal({ ...JWT, HOLDFAST_JWKS_URL: "https://id.example/keys" });
  assert.match(both, /either HOLDFAST_JWT_SECRET or HOLDFAST_JWKS_URL, and not both$/);
  const { HOLDFAST_JWT_SECRET: _, ...rest } = JWT;
  const { auth } = settings({ ...rest, HOLDFAST_JWKS_URL: "http://127.0.0.1:9/keys" });
  assert.deepEqual(auth.kind === "jwt" && auth.keys, { kind: "jwks", url: "http://127.0.0.1:9/keys" });
});

Deno.test("an operator's token that no Authorization header could carry is refused, and not repeated", () => {
  for (const token of UNSENDABLE) {
    const message = refusal({ HOLDFAST_ADMIN_TOKEN: token });
    assert.match(message, /^HOLDFAST_ADMIN_TOKEN=… is not allowed: allowed is 22 to 4096 of the characters/);
    assert.ok(!message.includes(token.slice(0, 8)), message);
  }
  const sendable = "AZaz09._~+/-AZaz09._~+/==";
  assert.equal(settings({ HOLDFAST_ADMIN_TOKEN: sendable }).adminToken, sendable);
});

Deno.test("a secret that is refused is not repeated", () => {
  const message = refusal({ ...JWT, HOLDFAST_JWT_SECRET: "too-short-to-be-one" });
  assert.match(message, /^HOLDFAST_JWT_SECRET=… is not allowed: allowed is at least 32 random bytes/);
  assert.doesNotMatch(message, /too-short/);
});

Deno.test("upstreams that are refused are named, and their URLs are not repeated", () => {
  const message = refusal({ HOLDFAST_UPSTREAMS: "a=ws://user:pass@h/,b=https://h/?key=hidden" });
  assert.match(
    message,
    /^HOLDFAST_UPSTREAMS=… is not allowed: allowed is .*; the URL of b begins with neither/,
  );
  assert.doesNotMatch(message, /pass|hidden/);
});

Deno.test("what one session stores must hold two windows", () => {
  assert.match(refusal({ HOLDFAST_STORED_BYTES: "1MiB" }), /^HOLDFAST_STORED_BYTES=1048576 is too little/);
});

Deno.test("beyond loopback the hardened transport is the default, on loopback and on Deno Deploy the native one", () => {
  const open = { HOLDFAST_HOST: "0.0.0.0", HOLDFAST_AUTH: "none", HOLDFAST_PUBLIC: "yes" };
  assert.equal(settings(open).transport, "hardened");
  assert.equal(settings({ ...open, HOLDFAST_TRANSPORT: "native" }).transport, "native");
  assert.equal(settings({ ...open, HOLDFAST_HOST: "127.0.0.1" }).transport, "native");
  assert.equal(
    settings({ HOLDFAST_AUTH: "none", HOLDFAST_PUBLIC: "yes", DENO_DEPLOYMENT_ID: "abc" }).transport,
    "native",
  );
});

Deno.test("the demo is served on loopback unless that is changed", () => {
  const open = { HOLDFAST_HOST: "0.0.0.0", HOLDFAST_AUTH: "none", HOLDFAST_PUBLIC: "yes" };
  assert.equal(settings({}).demo, true);
  assert.equal(settings(open).demo, false);
  assert.equal(settings({ ...open, HOLDFAST_DEMO: "on" }).demo, true);
});

Deno.test("loopback is what only this machine reaches", () => {
  for (const host of ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]) {
    assert.equal(isLoopback(host), true, host);
  }
  for (
    const host of [
      "0.0.0.0",
      "::",
      "127.0.0.1.example",
      "127.evil.example",
      "localhost.example",
      "10.0.0.1",
      "",
    ]
  ) {
    assert.equal(isLoopback(host), false, host);
  }
});

Deno.test("on Deno Deploy the bound database is used, and authentication or its absence must be said", () => {
  const deploy = { DENO_DEPLOYMENT_ID: "abc" };
  const everybody = { ...deploy, HOLDFAST_AUTH: "none", HOLDFAST_PUBLIC: "yes" };
  assert.match(refusal(deploy), /^HOLDFAST_AUTH is none: on Deno Deploy.*HOLDFAST_PUBLIC=yes$/);
  assert.equal(settings({ ...deploy, ...JWT }).host, "0.0.0.0");
  const set = settings(everybody);
  assert.equal(set.kv, undefined);
  assert.equal(set.host, "0.0.0.0");
  assert.equal(settings({ ...everybody, HOLDFAST_KV: ":memory:" }).kv, ":memory:");
});

Deno.test("the region comes from HOLDFAST_REGION, else from FLY_REGION", () => {
  assert.equal(settings({ FLY_REGION: "ams" }).region, "ams");
  assert.equal(settings({ FLY_REGION: "ams", HOLDFAST_REGION: "fra" }).region, "fra");
  assert.equal("region" in settings({ FLY_REGION: "" }), false);
});

Deno.test("a HOLDFAST_ name that is no setting is a warning that names the nearest one", () => {
  const result = readSettings({ HOLDFAST_PARKAFTER: "10s", HOLDFAST_ALLOWED_ORIGIN: "x", PATH: "/bin" });
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, [
    "HOLDFAST_PARKAFTER is not a setting and has no effect; the nearest one is HOLDFAST_PARK_AFTER",
    "HOLDFAST_ALLOWED_ORIGIN is not a setting and has no effect; the nearest one is HOLDFAST_ALLOWED_ORIGINS",
  ]);
});
