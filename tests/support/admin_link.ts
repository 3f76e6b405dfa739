/** The operator's way in that a server prints. */

import type { ServerProcess } from "./server_process.ts";

/** Begins the line that holds the link. */
export const LINK_LINE = "holdfast admin at ";

/** The link that the server prints; it comes right after the line that it listens. @throws Error if none comes. */
export async function adminLink(server: ServerProcess): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const line = server.stdout.find((line) => line.startsWith(LINK_LINE));
    if (line !== undefined) return line.slice(LINK_LINE.length);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the server printed no link to its admin page");
}
