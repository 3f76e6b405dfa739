/** How the admin routes describe themselves, and how a request that does not fit its description is refused. */

import { OpenAPIHono, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { RequestIdVariables } from "hono/request-id";
import { describeError } from "../../src/observe/json_log.ts";
import type { Log } from "../../src/observe/log.ts";
import { StoreUnanswered } from "../../src/storage/session_store.ts";
import { BodyFailed } from "../incoming_body.ts";
import { problem } from "../problem.ts";
import { Problem } from "./schemas.ts";
import { storeUnavailable } from "./store_answers.ts";

/** The largest request body that is read. Bytes. */
export const BODY_BYTES = 1024 * 1024;

/** Both ways to prove who one is. */
export const SECURITY = [{ bearer: [] }, { cookie: [] }];

const problemOf = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: Problem } },
});

/** What any route may answer. */
export const REFUSALS = {
  400: problemOf("The request does not fit this description"),
  401: problemOf("Not authenticated"),
  403: problemOf("The admin API is off, or the request comes from another site"),
} as const;

/** What any route may answer that reads the store or writes to it. */
export const STORE_REFUSALS = {
  ...REFUSALS,
  503: {
    ...problemOf("The store gives no answer, or nothing is known of the outcome; ask again"),
    headers: z.object({ "retry-after": z.string().openapi({ description: "Seconds" }) }),
  },
} as const;

/** What a route may answer that takes a body. */
export const BODY_REFUSALS = {
  413: problemOf("The body is too large"),
  415: problemOf("The body is not application/json"),
} as const;

/** Further problems that routes have. */
export const PROBLEMS = {
  404: problemOf("There is no such thing"),
  409: problemOf("It is not in a state for that"),
} as const;

/** A JSON answer. */
export function answers<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { "application/json": { schema } } };
}

/** A JSON body. */
export function takes<T extends z.ZodType>(schema: T) {
  return { required: true, content: { "application/json": { schema } } };
}

/** Routes whose refusals are problem+json, also where the store gives no answer. */
export function describedRoutes(log: Log): OpenAPIHono {
  const routes = new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return;
      const [issue] = result.error.issues;
      const where = [result.target, ...(issue?.path ?? [])].join(".");
      return invalid(`${where}: ${issue?.message ?? "not as described"}`);
    },
  });
  routes.onError((error, context) => {
    if (error instanceof StoreUnanswered) {
      const { requestId: request } = context.var as Partial<RequestIdVariables>;
      log.warn("store_unanswered", { request, error: describeError(error) });
      return storeUnavailable();
    }
    if (!(error instanceof HTTPException)) throw error;
    // Hono's validator throws one without a response for a body that is no JSON.
    return error.res ?? invalid(error.message);
  });
  return routes;
}

/**
 * For routes that take a body: refuses one that does not say that it is JSON, and one that is too large, of which no more
 * is read than shows it. (Hono's own limit copies the request with its signal, which the runtime warns about on stderr.)
 *
 * @param most Bytes.
 */
export const jsonBodiesOf = (most: number): MiddlewareHandler => async (context, next) => {
  const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    return problem({
      status: 415,
      name: "unsupported-media-type",
      title: "Unsupported media type",
      detail: "send the body as application/json",
    });
  }
  if (Number(context.req.header("content-length") ?? 0) > most) return tooLarge(most);
  const text = await boundedText(context.req.raw.body, most);
  if (text === null) return tooLarge(most);
  const { url, method, raw: { headers } } = context.req;
  context.req.raw = new Request(url, { method, headers, body: text });
  return await next();
};

/** {@link jsonBodiesOf} the size that most routes take. */
export const jsonBodies: MiddlewareHandler = jsonBodiesOf(BODY_BYTES);

/** Reads a text of at most `most` bytes; null if there are more. @throws BodyFailed if it breaks off. */
async function boundedText(body: ReadableStream<Uint8Array> | null, most: number): Promise<string | null> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > most) return null;
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    throw error instanceof BodyFailed ? error : BodyFailed.brokeOff(error);
  }
  return text + decoder.decode();
}

/** Answers with a problem from within a handler, whose type speaks of its success alone. @throws Always. */
export function refuse(refusal: Response): never {
  throw new HTTPException(undefined, { res: refusal });
}

/** A body that is too large. */
export function tooLarge(most: number): Response {
  return problem({
    status: 413,
    name: "body-too-large",
    title: "Body too large",
    detail: `at most ${most} bytes are taken`,
  });
}

/** A request that is not as described. */
export function invalid(detail: string): Response {
  return problem({ status: 400, name: "invalid-request", title: "Invalid request", detail });
}
