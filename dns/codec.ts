/**
 * Reading DNS messages that containers and resolvers send (RFC 1035, EDNS0 of RFC 6891).
 *
 * Law: nothing a container can send throws past here or costs more than one pass over its bytes;
 * what is not a query is dropped or answered by an error code, never guessed at.
 */
import { type Labels, nameKey, readName, skipName } from "./name.ts";

export const TYPE = {
  a: 1,
  ns: 2,
  soa: 6,
  ptr: 12,
  mx: 15,
  txt: 16,
  aaaa: 28,
  srv: 33,
  opt: 41,
  any: 255,
} as const;
export const CLASS = { in: 1, any: 255 } as const;
export const RCODE = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
} as const;

export const HEADER_BYTES = 12;

/** Largest UDP reply for a client without EDNS, RFC 1035 §4.2.1. */
export const PLAIN_UDP_BYTES_MAX = 512;

/** The extended error of an EDNS version this side does not speak, RFC 6891 §6.1.3. */
const BAD_VERSION = 16;

/** Bits of the second 16-bit word of the header. */
export const FLAG = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  authenticData: 0x0020,
  checkingDisabled: 0x0010,
  opcodeMask: 0x7800,
  rcodeMask: 0x000f,
} as const;

/** The client's OPT record. */
export interface Edns {
  /** UDP payload the client accepts, at least 512. */
  readonly udpBytesMax: number;
  readonly version: number;
  readonly dnssecOk: boolean;
  /** Where the record begins in the packet. */
  readonly offset: number;
}

/** One well-formed query of one question. */
export interface Query {
  readonly packet: Uint8Array;
  readonly id: number;
  readonly flags: number;
  readonly labels: Labels;
  /** `labels` folded for comparison. */
  readonly key: string;
  readonly type: number;
  readonly class: number;
  /** Where the question section ends. */
  readonly questionEnd: number;
  readonly edns: Edns | undefined;
}

/** `rejected` carries the whole error reply; `dropped` deserves none. */
export type Parsed =
  | { readonly kind: "query"; readonly query: Query }
  | { readonly kind: "rejected"; readonly reply: Uint8Array }
  | { readonly kind: "dropped" };

/** One resource record's place in a packet. */
interface RecordSpan {
  readonly type: number;
  readonly offset: number;
  /** Where the 16-bit type begins, that is, where the owner's name ends. */
  readonly typeOffset: number;
  readonly end: number;
}

/** Reads a message from a container. Replies and scraps without a header are dropped. */
export function parseQuery(packet: Uint8Array): Parsed {
  if (packet.length < HEADER_BYTES) return { kind: "dropped" };
  const flags = u16(packet, 2);
  if ((flags & FLAG.response) !== 0) return { kind: "dropped" };
  if ((flags & FLAG.opcodeMask) !== 0) return rejected(packet, RCODE.notImp);
  if (u16(packet, 4) !== 1) return rejected(packet, RCODE.formErr);
  const name = readName(packet, HEADER_BYTES);
  if (name === undefined || name.end + 4 > packet.length) return rejected(packet, RCODE.formErr);
  const questionEnd = name.end + 4;
  const records = recordSpans(packet, questionEnd);
  const options = records?.filter((record) => record.type === TYPE.opt);
  if (options === undefined || options.length > 1) return rejected(packet, RCODE.formErr);
  const edns = options[0] === undefined ? undefined : readEdns(packet, options[0]);
  if (edns === "malformed") return rejected(packet, RCODE.formErr);
  if (edns !== undefined && edns.version > 0) return rejected(packet, BAD_VERSION);
  return {
    kind: "query",
    query: {
      packet,
      id: u16(packet, 0),
      flags,
      labels: name.labels,
      key: nameKey(name.labels),
      type: u16(packet, name.end),
      class: u16(packet, name.end + 2),
      questionEnd,
      edns,
    },
  };
}

/**
 * The records after the question section, in order; undefined when one is cut off.
 * The packet's length bounds the work: the shortest record has 11 bytes.
 */
export function recordSpans(packet: Uint8Array, questionEnd: number): RecordSpan[] | undefined {
  const spans: RecordSpan[] = [];
  let left = u16(packet, 6) + u16(packet, 8) + u16(packet, 10);
  let offset = questionEnd;
  for (; left > 0; left -= 1) {
    const typeOffset = skipName(packet, offset);
    if (typeOffset === undefined || typeOffset + 10 > packet.length) return undefined;
    const end = typeOffset + 10 + u16(packet, typeOffset + 8);
    if (end > packet.length) return undefined;
    spans.push({ type: u16(packet, typeOffset), offset, typeOffset, end });
    offset = end;
  }
  return spans;
}

/** An unsigned 16-bit number in network order; 0 past the end. */
export function u16(packet: Uint8Array, offset: number): number {
  return ((packet[offset] ?? 0) << 8) | (packet[offset + 1] ?? 0);
}

export function putU16(packet: Uint8Array, offset: number, value: number): void {
  packet[offset] = (value >>> 8) & 0xff;
  packet[offset + 1] = value & 0xff;
}

/** OPT reuses CLASS for the payload size and TTL for version and flags, RFC 6891 §6.1.2. */
function readEdns(packet: Uint8Array, span: RecordSpan): Edns | "malformed" {
  if (packet[span.offset] !== 0) return "malformed";
  return {
    udpBytesMax: Math.max(PLAIN_UDP_BYTES_MAX, u16(packet, span.typeOffset + 2)),
    version: packet[span.typeOffset + 5] ?? 0,
    dnssecOk: ((packet[span.typeOffset + 6] ?? 0) & 0x80) !== 0,
    offset: span.offset,
  };
}

/** A bare header with the error; the question is not echoed, for it may be what is broken. */
function rejected(packet: Uint8Array, rcode: number): Parsed {
  const extended = rcode > FLAG.rcodeMask;
  const reply = new Uint8Array(HEADER_BYTES + (extended ? 11 : 0));
  const kept = u16(packet, 2) & (FLAG.opcodeMask | FLAG.recursionDesired);
  putU16(reply, 0, u16(packet, 0));
  putU16(reply, 2, FLAG.response | FLAG.recursionAvailable | kept | (rcode & FLAG.rcodeMask));
  if (extended) {
    putU16(reply, 10, 1);
    putU16(reply, HEADER_BYTES + 1, TYPE.opt);
    putU16(reply, HEADER_BYTES + 3, PLAIN_UDP_BYTES_MAX);
    reply[HEADER_BYTES + 5] = rcode >>> 4;
  }
  return { kind: "rejected", reply };
}
