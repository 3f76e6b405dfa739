/** The rules of the architecture that can be read off the source: who may import whom, and what a machine may touch. */

import assert from "node:assert/strict";
import { codeOf, filesBelow, type SourceFile, sourceFile, sourceFiles } from "./source_files.ts";

const SRC = sourceFiles("src");
const ROUTES = sourceFiles("routes");
const MAIN = sourceFiles(".").filter(({ path }) => path === "main.ts");
const TESTS = sourceFiles("tests");

/** The one place that knows everything (`docs/decisions/009-composition.md`). */
const COMPOSITION = new Set(["src/composition.ts", "src/serve.ts"]);

/** What is wrong, one line per offence; tests print it and expect none. */
type Offences = readonly string[];

/** Imports of these files that a rule forbids. */
function forbidden(
  files: readonly SourceFile[],
  isForbidden: (imported: string, from: string) => boolean,
): Offences {
  return files.flatMap(({ path, imports }) =>
    imports.filter((imported) => isForbidden(imported, path)).map((imported) => `${path} imports ${imported}`)
  );
}

const isMachine = (path: string) => path.endsWith("_state.ts");

Deno.test("only the composition root, tests and benchmarks name an implementation of a port to the outside", () => {
  const implementation = /\/(kv_|websocket_|ws_)[^/]*$/;
  // A conduit's own folder may put it together from parts.
  const offences = forbidden(
    [...MAIN, ...SRC, ...ROUTES].filter(({ path }) =>
      !path.startsWith("src/conduit/") && !COMPOSITION.has(path)
    ),
    (imported) => implementation.test(imported),
  );
  assert.deepEqual(offences, []);
});

Deno.test("only the composition root, tests and benchmarks take the system's clock and randomness; the SDK does where it is entered", () => {
  const entries = new Set([...COMPOSITION, "src/client/mod.ts", "src/client/connect.ts"]);
  const offences = [...MAIN, ...SRC, ...ROUTES]
    .filter(({ path }) => !path.startsWith("src/system/") && !entries.has(path))
    .filter(({ code }) => /\bsystem(Clock|Random)\b/.test(code))
    .map(({ path }) => `${path} names a system implementation`);
  assert.deepEqual(offences, []);
});

/** What every part may tell: ports without an implementation. */
const PORTS = new Set(["src/observe/log.ts", "src/observe/metrics.ts"]);

Deno.test("dependencies point one way", () => {
  /** What each folder may import of the project; `src/system`, the ports below and the folder itself always. */
  const allowed: Record<string, readonly RegExp[]> = {
    protocol: [],
    system: [],
    observe: [/^src\/protocol\//],
    access: [/^src\/protocol\//, /^src\/observe\//],
    conduit: [/^src\/protocol\//, /^src\/observe\//],
    admin: [
      /^src\/(protocol|connection|session|service|storage|observe|access)\//,
      /^src\/settings\.ts$/,
    ],
    connection: [/^src\/protocol\//],
    service: [/^src\/(protocol|connection)\//],
    remote: [
      /^src\/(protocol|connection|service|client)\//,
      /^src\/session\/delivery_state\.ts$/,
    ],
    storage: [/^src\/protocol\//, /^src\/session\//, /^src\/connection\//],
    session: [
      /^src\/(protocol|connection|conduit|service|storage|observe|access)\//,
      /^src\/settings\.ts$/,
    ],
    client: [
      /^src\/(protocol|connection)\//,
      /^src\/session\/(delivery|keepalive)_state\.ts$/,
      /^src\/conduit\/(conduit|conduit_id|close_reason)\.ts$/,
    ],
  };
  const offences = SRC.flatMap((file) => {
    const [, folder = ""] = /^src\/([^/]+)\//.exec(file.path) ?? [];
    if (COMPOSITION.has(file.path)) return [];
    if (folder === "") {
      return forbidden([file], (imported) => imported.startsWith("routes/") || COMPOSITION.has(imported));
    }
    const rules = allowed[folder];
    if (rules === undefined) return [`src/${folder} has no rule in this test`];
    return forbidden([file], (imported) =>
      /^(src|routes|tests|bench|main\.ts)/.test(imported) &&
      !imported.startsWith(`src/${folder}/`) && !imported.startsWith("src/system/") &&
      !PORTS.has(imported) && !rules.some((rule) => rule.test(imported)));
  });
  assert.deepEqual(offences, []);
});

Deno.test("nothing the server runs imports tests, benchmarks or examples", () => {
  assert.deepEqual(
    forbidden([...MAIN, ...ROUTES, ...SRC], (imported) => /^(tests|bench|examples)\//.test(imported)),
    [],
  );
});

Deno.test("the SDK and what it reaches run in a browser: no Deno, no Node", () => {
  const byPath = new Map(SRC.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const visit = (path: string) => {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) return;
    reached.add(path);
    file.imports.forEach(visit);
  };
  SRC.filter(({ path }) => path === "src/client/mod.ts" || path === "src/protocol/mod.ts").forEach((
    { path },
  ) => visit(path));
  const files = [...reached].map((path) => byPath.get(path)!);
  assert.deepEqual(
    forbidden(files, (imported) => imported.startsWith("node:") || imported.startsWith("@deno/")),
    [],
  );
  assert.deepEqual(
    files.filter(({ code }) => /\bDeno\s*\./.test(code)).map(({ path }) => `${path} names Deno`),
    [],
  );
});

/** What a machine must be told and must not find out: time, randomness, the outside. */
const AMBIENT =
  /\b(Date|performance|setTimeout|setInterval|setImmediate|queueMicrotask|crypto|Deno|fetch|console|process|localStorage|sessionStorage|Promise|async|await)\b|\bMath\s*\.\s*random\b/;

Deno.test("no machine touches time, randomness or I/O", () => {
  const machines = SRC.filter(({ path }) => isMachine(path));
  assert.ok(machines.length >= 4, "the machines are gone from where they were");
  const offences = machines.flatMap(({ path, code }) => {
    const [found] = AMBIENT.exec(code) ?? [];
    return found === undefined ? [] : [`${path} names ${found}`];
  });
  assert.deepEqual(offences, []);
  const ports = /^(node:|src\/(system\/(clock|random)|observe|storage\/.*store|conduit)|.*_runner\.ts$)/;
  assert.deepEqual(forbidden(machines, (imported) => ports.test(imported)), []);
});

Deno.test("only the protocol folder names the MessagePack library", () => {
  const others = [...MAIN, ...ROUTES, ...SRC].filter(({ path }) => !path.startsWith("src/protocol/"));
  assert.deepEqual(forbidden(others, (imported) => imported.startsWith("@msgpack/")), []);
});

Deno.test("only one file names Deno KV", () => {
  const named = [...MAIN, ...ROUTES, ...SRC].filter(({ code }) => /\bDeno\s*\.\s*(Kv|openKv)/.test(code));
  assert.deepEqual(named.map(({ path }) => path), ["src/storage/kv_session_store.ts"]);
});

Deno.test("no file is longer than 350 lines", () => {
  const long = [...MAIN, ...ROUTES, ...SRC].map(({ path, text }) => ({
    path,
    lines: text.split("\n").length,
  }));
  assert.deepEqual(long.filter(({ lines }) => lines > 350), []);
});

Deno.test("no check of the compiler is silenced", () => {
  const silenced = /@ts-(ignore|nocheck|expect-error)|\bas any\b|:\s*any\b/;
  const offences = [...MAIN, ...ROUTES, ...SRC, ...TESTS]
    .filter(({ path }) => path !== "tests/architecture/architecture_test.ts")
    .filter(({ code, text }) => silenced.test(code) || /\/[/*]\s*@ts-/.test(text));
  assert.deepEqual(offences.map(({ path }) => path), []);
});

Deno.test("the top level holds what the layout names and nothing else", () => {
  const expected = /^(deno\.json|deno\.lock|main\.ts|fly\.toml|README\.md|LICENSE|Dockerfile|\.gitignore)$/;
  const folders = /^(routes|src|tests|docs|bench|examples|\.ci)\//;
  const offences = filesBelow(".").filter((path) => !expected.test(path) && !folders.test(path));
  assert.deepEqual(offences, []);
  const src = filesBelow("src").filter((path) => !path.endsWith(".ts"));
  assert.deepEqual(src, []);
});

Deno.test("the source reader sees imports and not what only looks like them", () => {
  const file = sourceFile(
    "src/a/b.ts",
    [
      'import { x } from "../c/d.ts";',
      'import type { T } from "zod";',
      'export * from "./e.ts";',
      'const later = await import("./f.ts");',
      "// import '../no/comment.ts'",
      "const text = \"import './no.ts'\";",
      'const pattern = /from "no"/;',
    ].join("\n"),
  );
  assert.deepEqual(file.imports, ["src/c/d.ts", "zod", "src/a/e.ts", "src/a/f.ts"]);
  assert.match(codeOf("const a = Date.now(); // Date"), /Date\.now\(\); +$/);
  assert.doesNotMatch(codeOf("/* Math.random */ const s = 'Deno.env';"), AMBIENT);
});
