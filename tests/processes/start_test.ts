/** How the process starts, what it prints, and how it refuses to start. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  collect,
  type FailedStart,
  inherited,
  type LogLine,
  ServerProcess,
} from "../support/server_process.ts";

/** What a clone has, as far as the node and its pages need it; nothing that was built. */
const CLONED = ["deno.json", "deno.lock", "main.ts", "routes", "src"];

/** How long a build and a start may take on a loaded machine. Milliseconds. */
const START_MS = 60_000;

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

Deno.test("deno task start, in a clone where nothing was built: the page comes with its script, and Ctrl-C stops all of it", async () => {
  const directory = await Deno.makeTempDir();
  const paths = CLONED.map((name) => fileURLToPath(new URL(`../../${name}`, import.meta.url)));
  const copied = await new Deno.Command("cp", { args: ["-r", ...paths, directory] }).output();
  assert.ok(copied.success, "the project was not copied");
  const task = new Deno.Command(Deno.execPath(), {
    args: ["task", "start"],
    cwd: directory,
    env: { ...inherited(), PORT: "0", HOLDFAST_KV: join(directory, "holdfast.sqlite3") },
    clearEnv: true,
    // A process group of its own, which is signalled as a terminal does: the task's shell and the node are two processes.
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const first = Promise.withResolvers<string>();
  const ended = Promise.all([
    collect(task.stdout, stdout, first.resolve).then(() => first.resolve("")),
    collect(task.stderr, stderr),
  ]);
  const late = setTimeout(() => signalGroup(task.pid, "SIGKILL"), START_MS);
  try {
    const [, url] = /^holdfast listening on (http:\/\/\S+)$/.exec(await first.promise) ?? [];
    assert.ok(url !== undefined, [...stdout, ...stderr].join("\n"));
    const page = await fetch(url);
    assert.equal(page.status, 200);
    const [, source] = /<script type="module" src="([^"]+)">/.exec(await page.text()) ?? [];
    const script = await fetch(new URL(source ?? "", url));
    assert.equal(script.status, 200);
    assert.match(script.headers.get("content-type") ?? "", /^text\/javascript/);
    assert.ok((await script.text()).length > 10_000, "that is no bundle");

    signalGroup(task.pid, "SIGINT");
    // Both outputs end when no process of the group has them open any more.
    await ended;
    assert.equal((await task.status).code, 0);
    const log = stderr.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as LogLine);
    assert.ok(log.some(({ event }) => event === "stopping"), stderr.join("\n"));
    assert.ok(log.every(({ level }) => level !== "error"), stderr.join("\n"));
    await assert.rejects(fetch(url), TypeError);
  } finally {
    clearTimeout(late);
    signalGroup(task.pid, "SIGKILL");
    await Promise.all([ended, task.status]);
    await Deno.remove(directory, { recursive: true });
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

/** Signals every process of a group that is still there. */
function signalGroup(group: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-group, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function assertOneClearLine({ code, stdout, stderr }: FailedStart, named: readonly string[]): void {
  assert.notEqual(code, 0);
  assert.equal(stdout, "");
  // A log line may precede it; what a person reads is the one that is not JSON.
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  assert.equal(lines.length, 1, stderr);
  for (const word of named) assert.ok(lines[0]!.includes(word), `${word} is missing in: ${lines[0]}`);
  assert.doesNotMatch(stderr, /^\s+at /m);
}
