/** How the process starts, what it prints, and how it refuses to start. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type FailedStart, ServerProcess } from "../support/server_process.ts";

Deno.test("it prints one line on stdout, which names the address it listens on, and logs JSON lines", async () => {
  const server = await ServerProcess.start({ PORT: "0", HOLDFAST_ADMIN_TOKEN: "a-token-of-an-operator" });
  try {
    assert.ok(server.port > 0);
    assert.deepEqual(server.stdout, [`holdfast listening on ${server.url}`]);
    const { code } = await server.stop();
    assert.equal(code, 0);
    assert.equal(server.stdout.length, 1);
    for (const line of server.log) {
      assert.ok(
        ["debug", "info", "warn"].includes(line.level),
        `an error in the log: ${JSON.stringify(line)}`,
      );
      assert.ok(!Number.isNaN(Date.parse(line.time)) && line.event !== "");
    }
  } finally {
    await server.dispose();
  }
});

Deno.test("it is alive and ready once it listens", async () => {
  const server = await ServerProcess.start();
  try {
    for (const path of ["/healthz", "/readyz"]) {
      const response = await fetch(server.url + path);
      await response.body?.cancel();
      assert.equal(response.status, 200, path);
    }
  } finally {
    await server.dispose();
  }
});

Deno.test("without HOLDFAST_KV it creates ./data/holdfast.sqlite3", async () => {
  const directory = await Deno.makeTempDir();
  const server = await ServerProcess.start({}, directory);
  try {
    assert.ok((await Deno.stat(join(directory, "data", "holdfast.sqlite3"))).isFile);
  } finally {
    await server.dispose();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a fixed PORT is the one it listens on, and a second process there stops with one line", async () => {
  const first = await ServerProcess.start();
  try {
    const failed = await ServerProcess.startsNot({ PORT: String(first.port), HOLDFAST_KV: ":memory:" });
    assertOneClearLine(failed, [String(first.port)]);
  } finally {
    await first.dispose();
  }
});

Deno.test("a store that cannot be opened stops the start with one line that names the setting", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(directory, "file"), "in the way");
    assertOneClearLine(
      await ServerProcess.startsNot({ HOLDFAST_KV: join(directory, "file", "store.sqlite3") }),
      [
        "HOLDFAST_KV",
      ],
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

const WRONG: readonly (readonly [name: string, value: string])[] = [
  ["PORT", "eighty"],
  ["PORT", "65536"],
  ["HOLDFAST_HOST", "not a host"],
  ["HOLDFAST_HOST", "0.0.0.0"],
  ["HOLDFAST_KV", "ftp://store.example"],
  ["HOLDFAST_RESUME_WINDOW", "1 parsec"],
  ["HOLDFAST_PARK_AFTER", "0s"],
  ["HOLDFAST_IDLE_TIMEOUT", "never"],
  ["HOLDFAST_KEEPALIVE_INTERVAL", "-1s"],
  ["HOLDFAST_KEEPALIVE_TIMEOUT", "25"],
  ["HOLDFAST_HANDSHAKE_TIMEOUT", "1e3ms"],
  ["HOLDFAST_WINDOW_MESSAGES", "0"],
  ["HOLDFAST_WINDOW_BYTES", "12"],
  ["HOLDFAST_FRAME_BYTES", "1GiB"],
  ["HOLDFAST_ALLOWED_ORIGINS", "example.com/path"],
];

Deno.test("a wrong setting stops the start with one line that names it, its value and what is allowed", async (t) => {
  // Two at a time: most of a failed start is the runtime's own.
  const results = new Map<string, FailedStart>();
  const queue = [...WRONG];
  await Promise.all([0, 1].map(async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      results.set(
        next.join("="),
        await ServerProcess.startsNot({ HOLDFAST_KV: ":memory:", [next[0]]: next[1] }),
      );
    }
  }));
  for (const [name, value] of WRONG) {
    await t.step(`${name}=${value}`, () => {
      assertOneClearLine(results.get(`${name}=${value}`)!, [name, value, "allowed"]);
    });
  }
});

Deno.test("a name that is no setting is a warning with the nearest one, not an obstacle", async () => {
  const server = await ServerProcess.start({ HOLDFAST_RESUME_WINDOWS: "5m" });
  try {
    const { code } = await server.stop();
    assert.equal(code, 0);
    const warning = server.log.find((line) => line.level === "warn");
    assert.match(String(warning?.["warning"]), /HOLDFAST_RESUME_WINDOWS .*HOLDFAST_RESUME_WINDOW\b/);
  } finally {
    await server.dispose();
  }
});

function assertOneClearLine({ code, stdout, stderr }: FailedStart, named: readonly string[]): void {
  assert.notEqual(code, 0);
  assert.equal(stdout, "");
  // A log line may precede it; what a person reads is the one that is not JSON.
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  assert.equal(lines.length, 1, stderr);
  for (const word of named) assert.ok(lines[0]!.includes(word), `${word} is missing in: ${lines[0]}`);
  assert.doesNotMatch(stderr, /^\s+at /m);
}
