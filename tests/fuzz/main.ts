/** `deno task fuzz --frames 1000000 [--seed N] [--transport native|hardened] [--peers N]`: prints what it saw; exits 1 if anything is wrong. */

import { parseArgs } from "node:util";
import { describe, fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    frames: { type: "string", default: "100000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    transport: { type: "string", default: "native" },
    peers: { type: "string", default: "24" },
  },
});
const { transport } = values;
const [frames, seed, peers] = [Number(values.frames), Number(values.seed), Number(values.peers)];
if (
  transport !== "native" && transport !== "hardened" || ![frames, seed, peers].every(Number.isSafeInteger)
) {
  console.error("usage: deno task fuzz [--frames N] [--seed N] [--transport native|hardened] [--peers N]");
  Deno.exit(2);
}
console.log(`seed ${seed}`);
const report = await fuzz({ frames, seed, transport, peers, progress: (line) => console.log(line) });
console.log(describe(report));
Deno.exit(report.problems.length === 0 ? 0 : 1);
