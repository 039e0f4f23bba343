/**
 * IPv4 text to unsigned 32-bit numbers, and the reverse-lookup names of RFC 1035 §3.5.
 *
 * Law: outside text is taken literally or not at all: no octal, hexadecimal or short forms.
 */

const DECIMAL = /^(?:0|[1-9]\d{0,2})$/;
const REVERSE_SUFFIX = ".in-addr.arpa";

/** A block of addresses as its first address and its mask, both unsigned 32 bit. */
export interface Subnet {
  readonly base: number;
  readonly mask: number;
}

/** Four plain decimals as an unsigned 32-bit number, undefined for anything else. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!DECIMAL.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

/** The usual four decimals of an unsigned 32-bit number. */
export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((bits) => (address >>> bits) & 0xff).join(".");
}

/** The folded name that asks for an address's names. */
export function reverseName(address: number): string {
  return `${formatIpv4(address).split(".").reverse().join(".")}${REVERSE_SUFFIX}`;
}

/** A CIDR such as `10.32.0.0/12`; host bits are ignored. Undefined for anything else. */
export function parseSubnet(cidr: string): Subnet | undefined {
  const [host, length, ...rest] = cidr.split("/");
  if (host === undefined || length === undefined || rest.length > 0) return undefined;
  const address = parseIpv4(host);
  if (address === undefined || !/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined;
  const mask = Number(length) === 0 ? 0 : (0xffff_ffff << (32 - Number(length))) >>> 0;
  return { base: (address & mask) >>> 0, mask };
}

export function contains(subnet: Subnet, address: number): boolean {
  return (address & subnet.mask) >>> 0 === subnet.base;
}

/** The address a folded name such as `4.3.2.1.in-addr.arpa` asks for; undefined for other names. */
export function reverseAddress(key: string): number | undefined {
  if (!key.endsWith(REVERSE_SUFFIX)) return undefined;
  return parseIpv4(key.slice(0, -REVERSE_SUFFIX.length).split(".").reverse().join("."));
}
