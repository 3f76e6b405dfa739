/** What both ends of river are told, beside their codec. Milliseconds. */

/** A session waits as long as the bench may be away; its default is 5 s. Everything else is as it comes. */
export const RIVER_OPTIONS = { sessionDisconnectGraceMs: 120_000 };
