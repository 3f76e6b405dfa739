/** What a path answers that is there, but not for the method it was asked with. */

import { problem } from "./problem.ts";

/** The refusal. @param has The methods of the path; where GET is one, HEAD is too. */
export function methodNotAllowed(has: readonly string[]): Response {
  const allow = has.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
  return problem({
    status: 405,
    name: "method-not-allowed",
    title: "Method not allowed",
    detail: `this path takes ${allow}`,
    headers: { allow },
  });
}

/** For a path that is only read. */
export const onlyRead = (): Response => methodNotAllowed(["GET"]);
