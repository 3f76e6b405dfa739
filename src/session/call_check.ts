/** Whether a call is what its method takes, before its service hears of it. */

import type { IncomingCall } from "../connection/call_state.ts";
import type { CallFailure, Method } from "../service/service.ts";

/** Why a call cannot be what its method is; null if it can. */
export function problemOf(
  call: IncomingCall,
  method: Method | undefined,
  service: string,
): CallFailure | null {
  if (method === undefined) {
    return {
      code: "unknown-method",
      message: `${service} has no method ${JSON.stringify(call.method.slice(0, 64))}`,
    };
  }
  const wants = WANTS[method.kind];
  const [uploads, downloads] = [call.upload !== null, call.download !== null];
  if (uploads !== wants.upload || downloads !== wants.download) {
    const needs = `${wants.upload ? "an" : "no"} upload and ${wants.download ? "a" : "no"} download channel`;
    return { code: "invalid-argument", message: `${call.method} is a ${method.kind}: it takes ${needs}` };
  }
  if (call.operation !== null && (wants.upload || wants.download)) {
    return {
      code: "invalid-argument",
      message: `${call.method} is a ${method.kind}: it takes no operation key`,
    };
  }
  return null;
}

const WANTS: { readonly [K in Method["kind"]]: { readonly upload: boolean; readonly download: boolean } } = {
  transaction: { upload: false, download: false },
  method: { upload: false, download: false },
  download: { upload: false, download: true },
  upload: { upload: true, download: false },
  duplex: { upload: true, download: true },
};
