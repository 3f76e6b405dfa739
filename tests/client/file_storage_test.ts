import assert from "node:assert/strict";
import { fileStorage } from "../../src/client/file_storage.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

// @rule resume.stored-client
Deno.test("a file storage gives back what was stored last, keeps keys apart, and creates its folder", async () => {
  await inFolder(async (parent) => {
    const storage = fileStorage(`${parent}/new/folder`);
    assert.equal(await storage.get("holdfast ws://a/"), null);
    await storage.set("holdfast ws://a/", "one");
    await storage.set("holdfast ws://a/", "two");
    await storage.set("../holdfast ws://b/", "other");
    assert.equal(await fileStorage(`${parent}/new/folder`).get("holdfast ws://a/"), "two");
    assert.equal(await storage.get("../holdfast ws://b/"), "other");
    await storage.remove("holdfast ws://a/");
    await storage.remove("holdfast ws://a/");
    assert.equal(await storage.get("holdfast ws://a/"), null);
    assert.equal((await Array.fromAsync(Deno.readDir(`${parent}/new/folder`))).length, 1);
    assert.equal((await Array.fromAsync(Deno.readDir(parent))).length, 1);
  });
});

Deno.test("a file storage tells of what fails: a folder that is a file, a value that is a folder", async () => {
  await inFolder(async (parent) => {
    await Deno.writeTextFile(`${parent}/file`, "");
    const storage = fileStorage(`${parent}/file`);
    await assert.rejects(async () => await storage.set("key", "value"));
    await assert.rejects(async () => await storage.get("key"));
  });
});

Deno.test({
  name: "tokens in a file storage are readable by their owner alone",
  ignore: Deno.build.os === "windows",
  async fn() {
    await inFolder(async (parent) => {
      await fileStorage(`${parent}/tokens`).set("key", "secret");
      for (const path of [`${parent}/tokens`, `${parent}/tokens/key.json`]) {
        const { mode } = await Deno.stat(path);
        assert.equal((mode ?? 0) & 0o077, 0, path);
      }
    });
  },
});
