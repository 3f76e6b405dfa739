/** `GET /v1/services` and `/v1/services/{service}`: what runs here, and how it describes itself (`connection.schema`). */

import { Hono } from "hono";
import { canonicalJson, type Json } from "../src/service/canonical_json.ts";
import type { Service } from "../src/service/service.ts";
import { problem } from "./problem.ts";

/** One service in a list. */
interface Listed {
  readonly name: string;
  /** Of its description; null: it has none. */
  readonly schema: string | null;
  readonly methods: readonly string[];
}

/** A document, as it is served: exactly the bytes of which `hash` is the SHA-256. */
interface Page {
  readonly text: string;
  readonly etag: string;
}

/** The two routes, for services that do not change while the process runs. */
export function services(served: Iterable<Service>): Hono {
  const all = [...served].sort((one, other) => one.name < other.name ? -1 : 1);
  const list: readonly Listed[] = all.map(({ name, methods, description }) => ({
    name,
    schema: description?.hash ?? null,
    methods: [...methods?.keys() ?? []].sort(),
  }));
  const pages = new Map(
    all.flatMap(({ name, description }): [string, Page][] =>
      description === undefined
        ? []
        : [[name, { text: canonicalJson(description.document as Json), etag: `"${description.hash}"` }]]
    ),
  );
  return new Hono()
    .get(
      "/v1/services",
      () => Response.json({ services: list }, { headers: { "cache-control": "no-cache" } }),
    )
    .get("/v1/services/:service", (context) => {
      const page = pages.get(context.req.param("service"));
      if (page === undefined) return unknown();
      const headers = { etag: page.etag, "cache-control": "no-cache" };
      if (matches(context.req.header("if-none-match"), page.etag)) {
        return new Response(null, { status: 304, headers });
      }
      return new Response(page.text, { headers: { ...headers, "content-type": "application/json" } });
    });
}

function unknown(): Response {
  return problem({
    status: 404,
    name: "unknown-service",
    title: "Unknown service",
    detail: "no service that describes itself has this name",
  });
}

/** True where `If-None-Match` names this tag, or any; weak ones count (RFC 9110, 13.1.2). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").map((tag) => tag.trim().replace(/^W\//, "")).some((tag) =>
    tag === "*" || tag === etag
  );
}
