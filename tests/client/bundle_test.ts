import assert from "node:assert/strict";

/** The SDK as a page gets it. */
async function bundle(): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--minify", "--platform", "browser", "src/client/mod.ts"],
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the SDK bundles for browsers: nothing of Deno or Node in it, and not more than 144 KiB", async () => {
  const code = await bundle();
  assert.ok(!/\bDeno\b/.test(code), "the bundle names Deno");
  assert.ok(!/["']node:/.test(code), "the bundle imports a node module");
  assert.ok(!/\bimport\s*[("'{*]/.test(code), "the bundle imports something");
  assert.ok(code.length <= 144 * 1024, `${code.length} bytes`);
});
