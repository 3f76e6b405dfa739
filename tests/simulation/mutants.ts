/**
 * `deno task mutants`: breaks the product in known ways, one at a time, in a copy, and says which of them the simulation or
 * the machines' tests find.
 *
 * @param Deno.args Parts of names; by default all mutants run.
 */

import { MUTANTS } from "./mutant_list.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const COPIED = ["deno.json", "deno.lock", "docs", "src", "tests"];
const SEEDS = 500;
/** A mutant that hangs is found too: it takes this many times as long as the product itself does here. */
const PATIENCE = 4;
/** For the product itself. Milliseconds. */
const LONGEST_MS = 600_000;
const MACHINE_TESTS = [
  "tests/session",
  "tests/storage",
  "tests/client",
  "tests/connection",
  "tests/remote",
  "tests/fuzz/bridge_model_test.ts",
  "tests/scenarios",
  "tests/simulation/regressions_test.ts",
  "tests/simulation/work_regressions_test.ts",
];

const wanted = MUTANTS.filter(({ name }) =>
  Deno.args.length === 0 || Deno.args.some((part) => name.includes(part))
);
const copy = await Deno.makeTempDir({ prefix: "holdfast-mutants-" });
let survivors = 0;
try {
  await command("cp", ["-r", ...COPIED.map((name) => ROOT + name), copy]);
  const simulation = [
    "run",
    "-A",
    "--no-check",
    "tests/simulation/main.ts",
    "--no-shrink",
    "--seeds",
    String(SEEDS),
  ];
  const tests = ["test", "-A", "--no-check", "--quiet", "--fail-fast", ...MACHINE_TESTS];
  const patience = { simulation: 0, tests: 0 };
  for (const [what, args] of [["simulation", simulation], ["tests", tests]] as const) {
    const began = performance.now();
    const { ok, output } = await deno(args, LONGEST_MS);
    if (!ok) throw new Error(`without any mutant the ${what} fails already:\n${output.slice(-2_000)}`);
    patience[what] = PATIENCE * (performance.now() - began);
  }
  console.log("| mutant | simulation | machines' tests |\n|---|---|---|");
  for (const { name, file, from, to } of wanted) {
    const path = `${copy}/${file}`;
    const text = await Deno.readTextFile(path);
    // A mutant that changes nothing would only seem to survive.
    if (text.split(from).length !== 2) throw new Error(`mutant "${name}": its text is not once in ${file}`);
    await Deno.writeTextFile(path, text.replace(from, () => to));
    const simulated = await deno(simulation, patience.simulation);
    const tested = await deno(tests, patience.tests);
    await Deno.writeTextFile(path, text);
    if (simulated.ok && tested.ok) survivors++;
    console.log(`| ${name} | ${verdict(simulated, seedOf(simulated.output))} | ${verdict(tested, "")} |`);
  }
} finally {
  await Deno.remove(copy, { recursive: true });
}
console.log(`\n${wanted.length} mutants, ${survivors} survived`);
Deno.exitCode = survivors === 0 ? 0 : 1;

interface Outcome {
  readonly ok: boolean;
  readonly timedOut: boolean;
  readonly output: string;
}

function verdict({ ok, timedOut }: Outcome, where: string): string {
  return ok ? "survived" : timedOut ? "killed (hung)" : `killed${where}`;
}

function seedOf(output: string): string {
  const seed = /^seed (\d+):/m.exec(output)?.[1];
  return seed === undefined ? "" : ` by seed ${seed}`;
}

async function deno(args: readonly string[], patience: number): Promise<Outcome> {
  const signal = AbortSignal.timeout(patience);
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: copy,
    env: { NO_COLOR: "1" },
    signal,
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { ok: success, timedOut: signal.aborted, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function command(name: string, args: string[]): Promise<void> {
  const { success } = await new Deno.Command(name, { args }).output();
  if (!success) throw new Error(`${name} failed`);
}
