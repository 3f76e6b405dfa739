/** Which version of the code a run measured. */

/** Runs git. @returns What it printed; undefined without git or outside of a clone. */
async function git(...args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args,
      cwd: new URL("..", import.meta.url).pathname,
      stdout: "piped",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** How a report names the commit. @param hash Undefined if it cannot be told. @param changes `git status --porcelain`. */
export function commitText(hash: string | undefined, changes: string | undefined): string {
  if (hash === undefined) return "unknown";
  return changes === "" ? hash : `${hash} with uncommitted changes`;
}

/** The commit that is checked out. */
export async function commit(): Promise<string> {
  return commitText(await git("rev-parse", "--short", "HEAD"), await git("status", "--porcelain"));
}
