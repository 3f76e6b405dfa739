/** Answers of the admin API held against its own description: what it does not declare, no client is prepared for. */

import assert from "node:assert/strict";
import type { AdminNode } from "./admin_node.ts";

/** What a test reads of an OpenAPI document. */
export interface Described {
  readonly paths: {
    readonly [path: string]: {
      readonly [method: string]: {
        readonly security: readonly unknown[];
        readonly responses: {
          readonly [status: string]: { readonly headers?: { readonly [name: string]: unknown } };
        };
      };
    };
  };
}

/** One method of one path that is described. */
export interface Route {
  readonly method: string;
  /** As the document has it, with `{names}`. */
  readonly path: string;
  readonly statuses: readonly string[];
  /** Anybody may ask. */
  readonly open: boolean;
}

/** What a path that is not described, or another method of one that is, may answer. */
const UNDESCRIBED = { path: ["401", "403", "404"], method: ["401", "403", "405"] };

/** All routes of the document that the API gives itself. */
export async function describedRoutes(api: AdminNode["api"]): Promise<Route[]> {
  const response = await api.request("/openapi.json");
  const { paths }: Described = await response.json();
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses, security }]) => ({
      method: method.toUpperCase(),
      path,
      statuses: Object.keys(responses),
      open: security.length === 0,
    }))
  );
}

/** A path of the document with something at each `{name}`: what is right where it is a number or an id. */
export function filled(path: string): string {
  return path
    .replace("{id}", "A".repeat(22))
    .replace("{operation}", "A".repeat(43))
    .replace("{connection}", "1")
    .replace("{principal}", "somebody");
}

/** @throws AssertionError where the document does not declare that this method of this path answers so. */
export function assertDeclared(routes: readonly Route[], method: string, url: string, status: number): void {
  const { pathname } = new URL(url, "http://localhost");
  if (!pathname.startsWith("/v1/")) return;
  const literal = routes.filter(({ path }) => path === pathname);
  const here = literal.length > 0 ? literal : routes.filter(({ path }) => matches(path, pathname));
  const asked = here.find((route) => route.method === method);
  const declared = asked?.statuses ?? (here.length > 0 ? UNDESCRIBED.method : UNDESCRIBED.path);
  assert.ok(
    declared.includes(String(status)),
    `${method} ${pathname} answered ${status}, which is not declared; declared are ${declared.join(", ")}`,
  );
}

function matches(path: string, pathname: string): boolean {
  const parts = path.split("/");
  const asked = pathname.split("/");
  return parts.length === asked.length &&
    parts.every((part, index) => part === asked[index] || part.startsWith("{") && asked[index] !== "");
}
