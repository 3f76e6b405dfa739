/** The admin API as the page uses it: what changes something. What there is to see is watched (`watching.ts`). */

/** What the API refused, in its own words. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

/** One request; an empty answer gives undefined. @throws {ApiError} */
async function ask<T>(method: string, path: string, body?: unknown, headers: HeadersInit = {}): Promise<T> {
  const response = await fetch(`/v1/admin/${path}`, {
    method,
    headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, detailOf(text));
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** The words of a problem; whatever stands in between may answer with something else. */
function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown };
    return typeof detail === "string" ? detail : text.slice(0, 200);
  } catch (error) {
    if (error instanceof SyntaxError) return text.slice(0, 200);
    throw error;
  }
}

/** What the page asks for. */
export const api = {
  login: (given: { code: string } | { token: string }) => ask<void>("POST", "login", given),
  logout: () => ask<void>("POST", "logout"),
  /** True if this page may see something. */
  mayLook: () =>
    ask<unknown>("GET", "services").then(() => true, (error: unknown) => {
      if (error instanceof ApiError && error.status === 401) return false;
      throw error;
    }),
  /** Ends the page's own session, also while the page itself ends. */
  leave: (id: string) =>
    fetch(`/v1/admin/sessions/${id}?detail=the+page+was+left`, { method: "DELETE", keepalive: true })
      .then(() => {}, () => {}),
  drain: (begin: boolean) => ask<{ draining: boolean }>("POST", begin ? "node/drain" : "node/undrain"),
  end: (id: string, detail: string) =>
    ask<unknown>("DELETE", `sessions/${id}?${new URLSearchParams({ detail })}`),
  break: (id: string) => ask<{ broken: boolean }>("POST", `sessions/${id}/break`),
  push: (id: string, connection: number, body: unknown, key: string) =>
    ask<{ sequence: number }>("POST", `sessions/${id}/connections/${connection}/messages`, { body }, {
      "idempotency-key": key,
    }),
};
