/** Programs that come as npm packages: other versions of runtimes. */

/** Where a program is, or why it cannot be had. */
export type Installed = { readonly program: string } | { readonly missing: string };

/** How each of them is asked where it is: what npm starts may be another program in front of it. */
const ASKED = { deno: ["eval", "console.log(Deno.execPath())"], node: ["-p", "process.execPath"] };

/** Has npm fetch a version of a runtime. */
export async function installed(name: keyof typeof ASKED, version: string): Promise<Installed> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("npx", {
      args: ["-y", `${name}@${version}`, ...ASKED[name]],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    return success ? { program: text.decode(stdout).trim() } : { missing: text.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { missing: "npx is not installed" };
    throw error;
  }
}
