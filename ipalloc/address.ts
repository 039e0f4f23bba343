/**
 * Addresses as bigint, so that one arithmetic serves IPv4 and IPv6; text is strict both ways.
 *
 * Law: exactly one spelling of an IPv4 address is accepted. ipaddr.js alone reads `010.0.0.1` as
 * 8.0.0.1 and `10.1` as 10.0.0.1, hence its four-part gate before every parse.
 */
import ipaddr from "ipaddr.js";
import { TsweaveError } from "../mesh/index.ts";

/** Width of an address in bits: 32 for IPv4, 128 for IPv6. */
export type AddressBits = 32 | 128;

export interface Address {
  readonly value: bigint;
  readonly bits: AddressBits;
}

/** The address a text spells, or undefined when it is not exactly one address. */
export function readAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return { value: addressFromBytes(ipaddr.IPv4.parse(text).toByteArray()), bits: 32 };
  }
  if (/^[0-9a-fA-F:]+$/.test(text) && ipaddr.IPv6.isValid(text)) {
    return { value: addressFromBytes(ipaddr.IPv6.parse(text).toByteArray()), bits: 128 };
  }
  return undefined;
}

/** As readAddress. @throws TsweaveError BAD_REQUEST. */
export function parseAddress(text: string): Address {
  const address = readAddress(text);
  if (address === undefined) {
    throw new TsweaveError("BAD_REQUEST", `'${text.slice(0, 64)}' is not an IP address`, {
      hint: "write four decimal numbers without leading zeros, such as 10.32.0.5",
    });
  }
  return address;
}

/** The one canonical text of an address (RFC 5952 for IPv6). */
export function formatAddress(value: bigint, bits: AddressBits): string {
  const bytes = [...addressToBytes(value, bits)];
  return bits === 32 ? new ipaddr.IPv4(bytes).toString() : new ipaddr.IPv6(bytes).toRFC5952String();
}

/** Network byte order, 4 or 16 bytes. */
export function addressToBytes(value: bigint, bits: AddressBits): Uint8Array {
  const bytes = new Uint8Array(bits / 8);
  let rest = value;
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The inverse of addressToBytes. */
export function addressFromBytes(bytes: Iterable<number>): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
