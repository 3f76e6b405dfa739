/** All conduits of 2,000 sessions break at once, and all clients come back together. */

import assert from "node:assert/strict";
import { connect, type Connection, type Session } from "../../src/client/mod.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";

const SESSIONS = 2_000;
/** What each session sends at a time. */
const BATCH = 5;
/** No measure of speed, but of whether the storm ends at all on a loaded machine. Milliseconds. */
const PATIENCE_MS = 60_000;

/** Sends batches of numbers and takes their echoes, in order. */
class Member {
  readonly session: Session;
  resumed = 0;
  failure: string | null = null;
  readonly #connection: Connection;
  readonly #echoes: AsyncIterator<unknown>;
  #sent = 0;
  #echoed = 0;

  constructor(url: string, encoding: "msgpack" | "json") {
    this.session = connect(url, { encoding });
    this.session.on("resumed", () => void this.resumed++);
    this.session.on("lost", ({ reason }) => void (this.failure ??= `lost: ${reason}`));
    this.session.on("taken-over", () => void (this.failure ??= "taken over"));
    this.#connection = this.session.open("echo");
    this.#echoes = this.#connection[Symbol.asyncIterator]();
  }

  async send(): Promise<void> {
    for (let n = 0; n < BATCH; n++) await this.#connection.send(++this.#sent);
  }

  /** Resolves when everything sent was echoed. @throws if it was not, once each and in order. */
  async caughtUp(): Promise<void> {
    while (this.#echoed < this.#sent) {
      const { value } = await this.#echoes.next();
      assert.equal(value, ++this.#echoed);
    }
  }
}

// @rule resume.repeat
// @rule resume.exchange
// @rule delivery.dedupe
Deno.test("2,000 sessions whose conduits all break at once are all caught up, with nothing lost or doubled", async () => {
  const server = await ServerProcess.start();
  const proxy = await TcpFaultProxy.listen({ hostname: server.hostname, port: server.port });
  const url = `http://127.0.0.1:${proxy.port}`;
  const members: Member[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const waiting = members.filter((member) => member.session.phase !== "attached").length;
        reject(new Error(`not over within ${PATIENCE_MS} ms; ${waiting} sessions are not attached`));
      }, PATIENCE_MS);
    });
    const storm = async () => {
      const begun = performance.now();
      while (members.length < SESSIONS) {
        const joining = Array.from(
          { length: 100 },
          (_, n) => new Member(url, n % 2 === 0 ? "msgpack" : "json"),
        );
        members.push(...joining);
        await Promise.all(joining.map((member) => member.send()));
        await Promise.all(joining.map((member) => member.caughtUp()));
      }
      const connected = performance.now() - begun;
      for (const how of ["reset", "finish"] as const) {
        // Under way when everything breaks.
        await Promise.all(members.map((member) => member.send()));
        for (const link of [...proxy.links]) link.cut(how);
        const cutAt = performance.now();
        // And while nothing is connected.
        await Promise.all(members.map((member) => member.send()));
        const times = await Promise.all(members.map(async (member) => {
          await member.caughtUp();
          return performance.now() - cutAt;
        }));
        report(how, connected, times);
      }
    };
    await Promise.race([storm(), late]);
    for (const [index, member] of members.entries()) {
      assert.equal(member.failure, null, `session ${index}`);
      assert.ok(member.resumed >= 2, `session ${index} resumed ${member.resumed} times`);
    }
    assert.equal(new Set(members.map((member) => member.session.id)).size, SESSIONS);
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    clearTimeout(timer);
    await Promise.all(members.map((member) => member.session.close()));
    await proxy.close();
    await server.dispose();
  }
});

function report(how: string, connected: number, times: number[]): void {
  times.sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.floor(share * (times.length - 1))]!);
  console.log(
    `${times.length} sessions connected in ${
      Math.round(connected)
    } ms; after ${how} of all conduits caught up: ` +
      `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, all ${at(1)} ms`,
  );
}
