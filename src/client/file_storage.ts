/**
 * A storage in files, for programs: Deno and Node 22 or newer. Not for browsers.
 *
 * @module
 */

import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { KeyValueStorage } from "./options.ts";

/**
 * Keeps each key in a file of its own, in one folder, which is created when it is needed.
 *
 * A value is written beside its file, flushed, and put in its place: whole or not at all, also when the machine stops.
 *
 * @param folder Where; nothing else should be in it. Tokens are in these files: they are readable by their owner alone.
 */
export function fileStorage(folder: string): KeyValueStorage {
  const pathOf = (key: string) => join(folder, `${encodeURIComponent(key).replaceAll(".", "%2E")}.json`);
  return {
    async get(key) {
      try {
        return await readFile(pathOf(key), "utf8");
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
        throw error;
      }
    },
    async set(key, value) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = pathOf(key);
      const file = await open(`${path}.new`, "w", 0o600);
      try {
        await file.writeFile(value, "utf8");
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
    },
    async remove(key) {
      await rm(pathOf(key), { force: true });
    },
  };
}
