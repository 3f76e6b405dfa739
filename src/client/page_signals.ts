/** What a page knows about its own liveness: it woke, came back to the front, or is online again. */

/**
 * Calls `nudge` whenever a page has a reason to doubt its conduits. Where there is no page it does nothing.
 *
 * @returns Stops listening.
 */
export function watchPage(nudge: () => void): () => void {
  if (typeof document === "undefined") return () => {};
  const page = document;
  const visible = () => {
    if (page.visibilityState === "visible") nudge();
  };
  addEventListener("online", nudge);
  addEventListener("pageshow", nudge);
  page.addEventListener("visibilitychange", visible);
  page.addEventListener("resume", nudge);
  return () => {
    removeEventListener("online", nudge);
    removeEventListener("pageshow", nudge);
    page.removeEventListener("visibilitychange", visible);
    page.removeEventListener("resume", nudge);
  };
}
