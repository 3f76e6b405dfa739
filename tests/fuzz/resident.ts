/** A server's resident memory while it is attacked, and what must not be seen there. */

import type { ServerProcess } from "../support/server_process.ts";

const MIB = 2 ** 20;
const LOOK_MS = 250;

/** Resident memory at most, bytes. A million frames of 48 peers came to 300 MiB. */
const MOST = 512 * MIB;

/** A run shorter than this says nothing about growth: the heap has not found its size yet. Milliseconds. */
const LONG_MS = 120_000;

/** How much the mean of the last quarter of a long run may be above that of the quarter before it, bytes. */
const GROWTH = 32 * MIB;

/** The means of a long run's third and last quarters, bytes; null where the run was too short to say anything. */
export function lateMeans(looks: readonly number[], took: number): readonly [number, number] | null {
  if (took < LONG_MS || looks.length < 8) return null;
  const quarter = Math.floor(looks.length / 4);
  return [mean(looks.slice(-2 * quarter, -quarter)), mean(looks.slice(-quarter))];
}

/** What is wrong with a server whose memory was this at evenly spaced times of an attack that took so many milliseconds. */
export function memoryProblems(looks: readonly number[], took: number): string[] {
  const problems: string[] = [];
  const most = Math.max(0, ...looks);
  if (most > MOST) problems.push(`${mib(most)} were resident, more than ${mib(MOST)}`);
  const late = lateMeans(looks, took);
  if (late !== null && late[1] - late[0] > GROWTH) {
    problems.push(
      `memory goes on growing: ${mib(late[0])} in the third quarter, ${mib(late[1])} in the last`,
    );
  }
  return problems;
}

/** For a person. */
export function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Looks at a server's memory four times a second. */
export class Resident {
  before = 0;
  /** What was seen, in order. */
  readonly looks: number[] = [];
  readonly #server: ServerProcess;
  #looking: Promise<number> | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(server: ServerProcess) {
    this.#server = server;
  }

  /** At the last look. */
  get last(): number {
    return this.looks.at(-1) ?? this.before;
  }

  get most(): number {
    return Math.max(this.before, ...this.looks);
  }

  async begin(): Promise<void> {
    this.before = await this.#server.residentBytes();
    this.#timer = setInterval(() => void (this.#looking = this.#look()), LOOK_MS);
  }

  /** @returns What is resident now. */
  async end(): Promise<number> {
    clearInterval(this.#timer);
    await this.#looking;
    return await this.#look();
  }

  async #look(): Promise<number> {
    // A process that is gone has nothing; that it is gone is said by what follows.
    this.looks.push(await this.#server.residentBytes().catch(() => 0));
    return this.last;
  }
}
