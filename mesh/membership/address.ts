/**
 * Socket addresses that came from outside: validated, in one canonical spelling, comparable.
 *
 * Law: an address from the wire is never looked up as a name and never a group or wildcard, so
 * nobody can aim this peer's probes at a multicast group.
 */
import ipaddr from "ipaddr.js";
import { TsweaveError } from "../errors.ts";
import type { HostPort, WireValue } from "../ports.ts";
import { readInteger, readString } from "../wire/read.ts";

export { addressesOf, addressKey, hostsOf } from "../host-port.ts";

const REFUSED_RANGES = new Set(["unspecified", "multicast", "broadcast"]);
/** An IPv6 address with an embedded IPv4 one is the longest literal. */
const HOST_LENGTH_MAX = 45;

/** The canonical form of a unicast IP literal, or undefined. */
export function canonicalHost(host: string): string | undefined {
  if (host.length > HOST_LENGTH_MAX || host.includes("%")) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return isUnicast(host) ? host : undefined;
  if (!ipaddr.IPv6.isValid(host)) return undefined;
  const address = ipaddr.process(host);
  return REFUSED_RANGES.has(address.range()) ? undefined : address.toString();
}

/** Of a dotted quad in four decimal parts without leading zeros: there is one spelling of each. */
function isUnicast(host: string): boolean {
  const first = Number.parseInt(host, 10);
  const isGroup = first >= 224 && first < 240;
  return first > 0 && !isGroup && host !== "255.255.255.255";
}

/** A unicast IP address. @throws TsweaveError BAD_MESSAGE */
export function readHost(host: WireValue | undefined, path: string): string {
  const canonical = canonicalHost(readString(host, path, HOST_LENGTH_MAX));
  if (canonical !== undefined) return canonical;
  throw new TsweaveError("BAD_MESSAGE", `${path}: expected a unicast IP address`);
}

/**
 * A unicast address with a port.
 * @throws TsweaveError BAD_MESSAGE
 */
export function readAddress(
  host: WireValue | undefined,
  port: WireValue | undefined,
  path: string,
): HostPort {
  return {
    host: readHost(host, `${path}.host`),
    port: readInteger(port, `${path}.port`, 1, 65_535),
  };
}
