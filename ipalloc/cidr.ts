/**
 * Prefix arithmetic: a subnet as the half-open range [start, end) of bigint addresses.
 *
 * Law: a CIDR has one text. Host bits that are set are refused with the network address that was
 * meant (RFC 4632 §3.1), never silently cleared, because pools are known by their text mesh-wide.
 */
import { TsweaveError } from "../mesh/index.ts";
import { type AddressBits, formatAddress, readAddress } from "./address.ts";

export interface Cidr {
  /** Canonical text, e.g. `10.32.0.0/12`. */
  readonly text: string;
  /** The network address. */
  readonly start: bigint;
  /** One past the broadcast address. */
  readonly end: bigint;
  readonly prefix: number;
  readonly bits: AddressBits;
}

/** Subnets remembered by their text: the same few are read from every row and request. */
const REMEMBERED_MAX = 1024;
/** BOUNDED: REMEMBERED_MAX, the oldest goes. */
const remembered = new Map<string, Cidr>();

/** The CIDR a text spells. @throws TsweaveError CONFIG, naming what was probably meant. */
export function parseCidr(text: string): Cidr {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const cidr = readCidr(text);
  const oldest = remembered.keys().next();
  if (remembered.size >= REMEMBERED_MAX && !oldest.done) remembered.delete(oldest.value);
  remembered.set(text, cidr);
  return cidr;
}

function readCidr(text: string): Cidr {
  const [host = "", length = "", ...more] = text.slice(0, 64).split("/");
  const address = readAddress(host);
  const prefix = /^(0|[1-9][0-9]{0,2})$/.test(length) ? Number(length) : -1;
  if (address === undefined || more.length > 0 || prefix < 0 || prefix > address.bits) {
    throw new TsweaveError("CONFIG", `'${text.slice(0, 64)}' is not a subnet`, {
      hint: "write it as NETWORK/PREFIX, such as 10.32.0.0/12",
    });
  }
  const start = networkOf(address.value, prefix, address.bits);
  if (start !== address.value) {
    const meant = cidrAt(start, prefix, address.bits).text;
    throw new TsweaveError("CONFIG", `'${text}' names an address inside a subnet`, {
      hint: `the subnet is ${meant}`,
    });
  }
  return cidrAt(start, prefix, address.bits);
}

/** The subnet of `prefix` bits at `start`, which must be its network address. */
export function cidrAt(start: bigint, prefix: number, bits: AddressBits): Cidr {
  const end = start + (1n << BigInt(bits - prefix));
  return { text: `${formatAddress(start, bits)}/${prefix}`, start, end, prefix, bits };
}

/** The network address of `value` for a prefix length. */
export function networkOf(value: bigint, prefix: number, bits: AddressBits): bigint {
  const hostBits = BigInt(bits - prefix);
  return (value >> hostBits) << hostBits;
}

/** Whether `inner` lies wholly inside `outer`. */
export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return outer.bits === inner.bits && outer.start <= inner.start && inner.end <= outer.end;
}

/** Whether two subnets share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.bits === b.bits && a.start < b.end && b.start < a.end;
}

/** The two halves of a subnet; undefined for a single address. */
export function split(cidr: Cidr): readonly [Cidr, Cidr] | undefined {
  if (cidr.prefix === cidr.bits) return undefined;
  const middle = cidr.start + (cidr.end - cidr.start) / 2n;
  return [
    cidrAt(cidr.start, cidr.prefix + 1, cidr.bits),
    cidrAt(middle, cidr.prefix + 1, cidr.bits),
  ];
}

/** The lowest and highest address a host may have: neither network nor broadcast. */
export function usableOf(cidr: Cidr): { readonly first: bigint; readonly last: bigint } {
  return { first: cidr.start + 1n, last: cidr.end - 2n };
}

/** `value` of one address of the subnet. @throws TsweaveError BAD_REQUEST when it is outside. */
export function addressWithin(cidr: Cidr, text: string): bigint {
  const address = readAddress(text);
  const inside =
    address !== undefined &&
    address.bits === cidr.bits &&
    address.value >= cidr.start &&
    address.value < cidr.end;
  if (!inside) {
    throw new TsweaveError("BAD_REQUEST", `${text.slice(0, 64)} is not an address of ${cidr.text}`);
  }
  return address.value;
}
