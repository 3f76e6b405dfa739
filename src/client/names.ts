/** What an application may say beside its bodies: names, credit, metadata. */

import { METADATA_BYTES } from "../protocol/limits.ts";
import type { Metadata } from "../protocol/messages.ts";

const NAME = /^[a-z0-9._:-]{1,64}$/;
/** What `messageCredit` is at least. */
const LEAST_CREDIT = 16;

/** @throws TypeError for what is no name of a service. */
export function checkService(name: string, doing: string): void {
  if (NAME.test(name)) return;
  throw new TypeError(`cannot ${doing} ${JSON.stringify(name)}: a service's name is [a-z0-9._:-]{1,64}`);
}

/** @throws TypeError for what is no name of a method. */
export function checkMethod(name: string): void {
  if (NAME.test(name)) return;
  throw new TypeError(`cannot call ${JSON.stringify(name)}: a method's name is [a-z0-9._:-]{1,64}`);
}

/** @throws RangeError for a credit that the protocol does not carry. */
export function checkCredit(messageCredit: number | undefined): void {
  if (messageCredit === undefined || Number.isSafeInteger(messageCredit) && messageCredit >= LEAST_CREDIT) {
    return;
  }
  throw new RangeError(`messageCredit must be an integer of at least ${LEAST_CREDIT}, not ${messageCredit}`);
}

/** @throws RangeError for metadata that is larger than the protocol carries; TypeError for what is no string. */
export function checkMetadata(metadata: Metadata | undefined): void {
  let bytes = 0;
  const encoder = new TextEncoder();
  for (const [name, value] of Object.entries(metadata ?? {})) {
    if (typeof value !== "string") throw new TypeError(`metadata.${name} must be a string`);
    bytes += encoder.encode(name).length + encoder.encode(value).length + 6;
  }
  if (bytes > METADATA_BYTES) {
    throw new RangeError(`metadata of ${bytes} bytes is larger than ${METADATA_BYTES}`);
  }
}
