/**
 * Checks and small arithmetic on the addresses that end up in batches for `ip` and `bridge`.
 *
 * Law: text that came from a peer reaches a command line only in canonical form. ipaddr.js alone
 * is too kind (`010.0.0.1`, `10.1` and `0x0a000001` parse), so the strict form is asked first.
 * A dotted quad is split by hand: a pass asks for tens of thousands, and ipaddr.js takes 5 µs each.
 */
import { createHash } from "node:crypto";
import ipaddr from "ipaddr.js";

export interface Cidr {
  readonly ip: string;
  readonly prefix: number;
}

const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
/** A dotted quad without leading zeros, and such a one with a prefix length. */
export const IPV4 = new RegExp(`^${OCTET}(\\.${OCTET}){3}$`);
export const IPV4_CIDR = new RegExp(`^${OCTET}(\\.${OCTET}){3}/(3[0-2]|[12]?[0-9])$`);

/** True for a canonical dotted quad or an IPv6 address without a zone. */
export function isIp(text: string): boolean {
  if (!text.includes(":")) return IPV4.test(text);
  return !text.includes("%") && ipaddr.IPv6.isValid(text);
}

/** True for an address that one host can have: not unspecified, loopback, multicast, broadcast. */
export function isUnicast(ip: string): boolean {
  if (!isIp(ip)) return false;
  if (ip.includes(":")) return !NOT_UNICAST.includes(ipaddr.IPv6.parse(ip).range());
  const first = quadBits(ip) >>> 24;
  return first !== 0 && first !== 127 && (first < 224 || first >= 240) && ip !== "255.255.255.255";
}

const NOT_UNICAST = ["unspecified", "loopback", "multicast"];

/** The 32 bits of a dotted quad that isIp accepted, unsigned. */
function quadBits(ip: string): number {
  let bits = 0;
  let byte = 0;
  for (let at = 0; at < ip.length; at += 1) {
    const digit = ip.charCodeAt(at) - 48;
    if (digit >= 0) {
      byte = byte * 10 + digit;
    } else {
      bits = bits * 256 + byte;
      byte = 0;
    }
  }
  return bits * 256 + byte;
}

/** True for a unicast MAC, lower case and colon separated. */
export function isMac(text: string): boolean {
  return /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(text) && text !== "00:00:00:00:00:00";
}

/** Reads `ADDRESS/PREFIX`; undefined when it is not one. Host bits may be set. */
export function readCidr(text: string): Cidr | undefined {
  const [ip = "", digits = "", ...rest] = text.split("/");
  if (rest.length > 0 || !isIp(ip) || !/^\d{1,3}$/.test(digits)) return undefined;
  const prefix = Number(digits);
  return prefix <= (ip.includes(":") ? 128 : 32) ? { ip, prefix } : undefined;
}

/** True when the address lies in the block; a different family never does. */
export function cidrContains(block: Cidr, ip: string): boolean {
  return cidrsOverlap(block, { ip, prefix: ip.includes(":") ? 128 : 32 });
}

/** True when two blocks share an address. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  if (a.ip.includes(":") !== b.ip.includes(":")) return false;
  const prefix = Math.min(a.prefix, b.prefix);
  if (!a.ip.includes(":")) return Math.clz32(quadBits(a.ip) ^ quadBits(b.ip)) >= prefix;
  const bytesOf = (ip: string) => ipaddr.IPv6.parse(ip).toByteArray();
  return sharedBits(bytesOf(a.ip), bytesOf(b.ip)) >= prefix;
}

function sharedBits(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] ?? 0) ^ (b[index] ?? 0);
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24;
  }
  return a.length * 8;
}

/** The MAC of an address: 02:42 and the four bytes of IPv4, as Docker does; IPv6 is hashed. */
export function macOf(ip: string): string {
  const bytes = ip.includes(":")
    ? [
        ...createHash("sha256")
          .update(ipaddr.parse(ip).toNormalizedString())
          .digest()
          .subarray(0, 4),
      ]
    : ip.split(".").map(Number);
  return ["02", "42", ...bytes.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** One spelling per address, as the kernel prints it; IPv4 within IPv6 is IPv4. */
export function canonicalIp(ip: string): string {
  return ip.includes(":") ? ipaddr.process(ip).toString() : ip;
}
