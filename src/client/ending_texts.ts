/** What an application may say about an end. */

import { DETAIL_CHARACTERS, REASON_BYTES } from "../protocol/limits.ts";

/** @throws RangeError for a reason or a detail that is longer than the protocol carries. */
export function checkEndingTexts(reason = "", detail = ""): void {
  if (new TextEncoder().encode(reason).length > REASON_BYTES) {
    throw new RangeError(`reason ${JSON.stringify(reason)} is longer than ${REASON_BYTES} bytes`);
  }
  if (detail.length > DETAIL_CHARACTERS) {
    throw new RangeError(`detail of ${detail.length} characters is longer than ${DETAIL_CHARACTERS}`);
  }
}
