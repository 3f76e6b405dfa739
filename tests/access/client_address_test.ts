/** Whose address counts, and whose word about it. */

import assert from "node:assert/strict";
import { clientAddress, parseNetworks, type TrustedProxies } from "../../src/access/client_address.ts";

const NONE: TrustedProxies = { kind: "none" };
const FLY: TrustedProxies = { kind: "fly" };
const TEN: TrustedProxies = {
  kind: "networks",
  networks: parseNetworks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])!,
};

const CASES: readonly [TrustedProxies, string, Record<string, string>, string | null][] = [
  [NONE, "203.0.113.9", {}, "203.0.113.9"],
  [NONE, "203.0.113.9", { "x-forwarded-for": "1.1.1.1", "fly-client-ip": "1.1.1.1" }, "203.0.113.9"],
  [NONE, "127.0.0.1", {}, null],
  [NONE, "::1", {}, null],
  [NONE, "::ffff:127.0.0.1", {}, null],
  [NONE, "::ffff:203.0.113.9", {}, "203.0.113.9"],
  [NONE, "2001:db8:1:2:3:4:5:6", {}, "2001:db8:1:2::/64"],
  [NONE, "2001:db8::6", {}, "2001:db8:0:0::/64"],
  [NONE, "fe80::1%eth0", {}, "fe80:0:0:0::/64"],
  [FLY, "172.16.0.2", { "fly-client-ip": "203.0.113.9" }, "203.0.113.9"],
  [FLY, "172.16.0.2", {}, "172.16.0.2"],
  [TEN, "10.1.2.3", { "x-forwarded-for": "203.0.113.9" }, "203.0.113.9"],
  [TEN, "127.0.0.1", { "x-forwarded-for": "203.0.113.9" }, "203.0.113.9"],
  [TEN, "10.1.2.3", { "x-forwarded-for": "1.1.1.1, 203.0.113.9, 10.9.9.9" }, "203.0.113.9"],
  [TEN, "10.1.2.3", { "x-forwarded-for": "unknown" }, "10.1.2.3"],
  [TEN, "10.1.2.3", {}, "10.1.2.3"],
  [TEN, "fd00::7", { "x-forwarded-for": "203.0.113.9" }, "203.0.113.9"],
  [TEN, "198.51.100.1", { "x-forwarded-for": "203.0.113.9" }, "198.51.100.1"],
];

for (const [trusted, connection, headers, address] of CASES) {
  Deno.test(`${connection} with ${JSON.stringify(headers)}, trusting ${trusted.kind}: ${address}`, () => {
    assert.equal(clientAddress(connection, new Headers(headers), trusted), address);
  });
}

Deno.test("a list with anything but addresses and networks is refused as a whole", () => {
  for (const item of ["", "proxy", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "::1/129", "10.0.0/8"]) {
    assert.equal(parseNetworks(["10.0.0.1", item]), undefined, item);
  }
});
