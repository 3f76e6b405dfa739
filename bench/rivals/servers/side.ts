/** What every server of the bench that runs on Node says and is asked on its standard streams. */

import process from "node:process";

/**
 * Says where the server listens, and answers each line on standard input with a full garbage collection and `collected`,
 * with its memory as JSON.
 *
 * @throws Error on such a line in a process that was started without `--expose-gc`.
 */
export function serveSide(url: string): void {
  process.stdin.on("data", () => {
    const { gc } = globalThis as { gc?: () => void };
    if (gc === undefined) throw new Error("start the process with --expose-gc");
    for (let round = 0; round < 4; round++) gc();
    const { heapUsed, external } = process.memoryUsage();
    console.log(`collected ${JSON.stringify({ heapUsed, external })}`);
  });
  console.log(`listening on ${url}`);
}

/** The port that the server was asked to listen on. */
export function portOf(): number {
  return Number(process.env["PORT"]);
}
