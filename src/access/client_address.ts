/** Which address a request comes from: the connection's own, unless a proxy that is trusted says another. */

import { BlockList, isIP } from "node:net";

/** Whom to believe about addresses. */
export type TrustedProxies =
  /** Nobody. */
  | { readonly kind: "none" }
  /** Fly's proxy, by `Fly-Client-IP`. Right only where nothing else can reach this server. */
  | { readonly kind: "fly" }
  /** The proxies in these networks, by `X-Forwarded-For`. */
  | { readonly kind: "networks"; readonly networks: BlockList };

/**
 * Reads a list of addresses and networks such as `10.0.0.0/8`.
 *
 * @returns Undefined if one of them is neither.
 */
export function parseNetworks(items: readonly string[]): BlockList | undefined {
  const networks = new BlockList();
  for (const item of items) {
    const [address = "", prefix, ...more] = item.split("/");
    const version = isIP(address);
    const most = version === 4 ? 32 : 128;
    if (version === 0 || more.length > 0) return undefined;
    if (prefix === undefined) networks.addAddress(address, familyOf(address));
    else if (/^\d{1,3}$/.test(prefix) && Number(prefix) <= most) {
      networks.addSubnet(address, Number(prefix), familyOf(address));
    } else return undefined;
  }
  return networks;
}

/**
 * The address that limits count for.
 *
 * @param connection The other end of the TCP connection.
 * @returns Null for this machine itself, which is not limited; IPv6 addresses are cut to their /64, which one subscriber
 * has for himself.
 */
export function clientAddress(connection: string, headers: Headers, trusted: TrustedProxies): string | null {
  let address = plain(connection);
  if (trusted.kind === "fly") {
    address = plain(headers.get("fly-client-ip") ?? "") || address;
  } else if (trusted.kind === "networks") {
    const hops = (headers.get("x-forwarded-for") ?? "").split(",").map((hop) => hop.trim());
    // Each proxy appends whom it heard from; what stands left of the first stranger is only his word.
    while (isIP(address) !== 0 && trusted.networks.check(address, familyOf(address))) {
      const hop = plain(hops.pop() ?? "");
      if (isIP(hop) === 0) break;
      address = hop;
    }
  }
  if (isIP(address) === 4) return address.startsWith("127.") ? null : address;
  if (isIP(address) !== 6) return address;
  return address === "::1" ? null : `${prefix64(address)}::/64`;
}

/** Without a zone, and IPv4 as IPv4 where it was mapped into IPv6. */
function plain(address: string): string {
  const bare = address.replace(/%.*$/, "").toLowerCase();
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[1] ?? bare;
}

function prefix64(address: string): string {
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined
    ? left
    : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0"), ...right];
  return groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(":");
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}
