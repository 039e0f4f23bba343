/**
 * Writing DNS replies: the client's own question bytes, answers that point back at them, EDNS0
 * when the client sent it.
 *
 * Law: a reply never exceeds the size the client accepts; answers that do not fit are left out and
 * the truncation bit says so, upon which resolvers that can ask again over TCP (RFC 2181 §9). What
 * only accompanies an answer is left out in silence.
 */
import { CLASS, FLAG, HEADER_BYTES, putU16, type Query, TYPE } from "./codec.ts";
import type { Labels } from "./name.ts";
import type { Apex } from "./zone.ts";

/** The data of one answer about the name asked for. */
export type Answer =
  | { readonly type: "A"; readonly address: number }
  | { readonly type: "PTR"; readonly target: Labels }
  | { readonly type: "SRV"; readonly port: number; readonly target: Labels }
  | { readonly type: "SOA" };

export interface Reply {
  readonly rcode: number;
  readonly answers: readonly Answer[];
  /** Addresses of the answers' targets. */
  readonly addresses?: readonly { readonly owner: Labels; readonly address: number }[];
  /** Without an answer: the labels of the name asked for that are below the zone's apex. */
  readonly soaDepth?: number;
}

/** What every reply of one zone has in common; absent: an error that says nothing of the zone. */
export interface Terms {
  readonly ttlSeconds: number;
  readonly apex: Apex;
}

/** UDP payload this side accepts, told in its own OPT record. */
const OWN_UDP_BYTES_MAX = 4096;
const OPT_BYTES = 11;
/** Pointer, type, class, time to live, length of the data. */
const ANSWER_BYTES = 12;
/** Priority, weight and port; all services weigh the same. */
const SRV_BYTES = 6;
const SRV_WEIGHT = 1;
/** Serial, refresh, retry, expire, minimum. */
const SOA_NUMBER_BYTES = 20;
const SOA_REFRESH_SECONDS = 60;
const SOA_EXPIRE_SECONDS = 3600;

const TYPES = { A: TYPE.a, PTR: TYPE.ptr, SRV: TYPE.srv, SOA: TYPE.soa } as const;

/** A reply of at most `bytesMax` bytes; answers are kept from the front as far as they fit. */
export function encodeReply(
  query: Query,
  reply: Reply,
  bytesMax: number,
  terms: Terms | undefined,
): Uint8Array {
  const optBytes = query.edns === undefined ? 0 : OPT_BYTES;
  const room = bytesMax - optBytes;
  const { count, end } = fitting(reply.answers, query.questionEnd, room, terms);
  const soaBytes = soaSize(reply, terms);
  const hasSoa = soaBytes > 0 && end + soaBytes <= room;
  const beside = besides(reply, hasSoa ? end + soaBytes : end, room);
  const bytes = Buffer.alloc(beside.end + optBytes);
  bytes.set(query.packet.subarray(0, query.questionEnd));
  const echoed = query.flags & (FLAG.recursionDesired | FLAG.checkingDisabled);
  const truncated = count < reply.answers.length ? FLAG.truncated : 0;
  const own = FLAG.response | FLAG.recursionAvailable | truncated;
  putU16(bytes, 2, own | echoed | reply.rcode | (terms === undefined ? 0 : FLAG.authoritative));
  const additional = beside.count + (query.edns === undefined ? 0 : 1);
  for (const [index, word] of [1, count, hasSoa ? 1 : 0, additional].entries()) {
    putU16(bytes, 4 + 2 * index, word);
  }
  const writer = new Writer(bytes, query, terms);
  for (let index = 0; index < count; index += 1) {
    const answer = reply.answers[index];
    if (answer !== undefined) writer.record(HEADER_BYTES, answer);
  }
  if (hasSoa) writer.record(apexOffset(query, reply.soaDepth ?? 0), { type: "SOA" });
  for (const { owner, address } of (reply.addresses ?? []).slice(0, beside.count)) {
    writer.record(owner, { type: "A", address });
  }
  if (query.edns !== undefined) writer.opt(query.edns.dnssecOk);
  return bytes;
}

/** An error reply that echoes the question, RFC 1035 §4.1.1. */
export function encodeError(query: Query, rcode: number): Uint8Array {
  const room = query.questionEnd + OPT_BYTES;
  return encodeReply(query, { rcode, answers: [] }, room, undefined);
}

/** How many answers fit behind the question, and where the last of them ends. */
function fitting(
  answers: readonly Answer[],
  start: number,
  bytesMax: number,
  terms: Terms | undefined,
): { readonly count: number; readonly end: number } {
  let end = start;
  for (const [count, answer] of answers.entries()) {
    const next = end + ANSWER_BYTES + dataBytes(answer, terms);
    if (next > bytesMax) return { count, end };
    end = next;
  }
  return { count: answers.length, end };
}

function soaSize(reply: Reply, terms: Terms | undefined): number {
  if (reply.soaDepth === undefined || reply.answers.length > 0) return 0;
  return ANSWER_BYTES + dataBytes({ type: "SOA" }, terms);
}

/** How many of the targets' addresses fit as well. */
function besides(reply: Reply, start: number, bytesMax: number): { count: number; end: number } {
  let [count, end] = [0, start];
  for (const { owner } of reply.addresses ?? []) {
    const next = end + nameBytes(owner) + ANSWER_BYTES - 2 + 4;
    if (next > bytesMax) break;
    [count, end] = [count + 1, next];
  }
  return { count, end };
}

function dataBytes(answer: Answer, terms: Terms | undefined): number {
  if (answer.type === "A") return 4;
  if (answer.type === "PTR") return nameBytes(answer.target);
  if (answer.type === "SRV") return SRV_BYTES + nameBytes(answer.target);
  const { server = [], mailbox = [] } = terms?.apex ?? {};
  return nameBytes(server) + nameBytes(mailbox) + SOA_NUMBER_BYTES;
}

function nameBytes(labels: Labels): number {
  return labels.reduce((total, label) => total + 1 + label.length, 1);
}

/** Where the name that is left of the question without its first labels stands. */
function apexOffset({ labels }: Query, depth: number): number {
  return labels.slice(0, depth).reduce((at, label) => at + 1 + label.length, HEADER_BYTES);
}

/** Writes records behind the question, one after the other. */
class Writer {
  readonly #bytes: Buffer;
  readonly #terms: Terms | undefined;
  #at: number;

  constructor(bytes: Buffer, query: Query, terms: Terms | undefined) {
    this.#bytes = bytes;
    this.#terms = terms;
    this.#at = query.questionEnd;
  }

  /** `owner`: a name, or where in the packet it stands (RFC 1035 §4.1.4). */
  record(owner: number | Labels, answer: Answer): void {
    if (typeof owner === "number") this.#u16(0xc000 | owner);
    else this.#name(owner);
    this.#u16(TYPES[answer.type]);
    this.#u16(CLASS.in);
    this.#u32(this.#terms?.ttlSeconds ?? 0);
    this.#u16(dataBytes(answer, this.#terms));
    if (answer.type === "A") this.#u32(answer.address);
    else if (answer.type === "PTR") this.#name(answer.target);
    else if (answer.type === "SRV") this.#service(answer.port, answer.target);
    else this.#authority();
  }

  /** The owner is the root, one zero byte; the payload size stands in for the class. */
  opt(dnssecOk: boolean): void {
    putU16(this.#bytes, this.#at + 1, TYPE.opt);
    putU16(this.#bytes, this.#at + 3, OWN_UDP_BYTES_MAX);
    this.#bytes[this.#at + 7] = dnssecOk ? 0x80 : 0;
  }

  #service(port: number, target: Labels): void {
    for (const number of [0, SRV_WEIGHT, port]) this.#u16(number);
    this.#name(target);
  }

  #authority(): void {
    const { ttlSeconds = 0, apex } = this.#terms ?? {};
    this.#name(apex?.server ?? []);
    this.#name(apex?.mailbox ?? []);
    this.#u32(apex?.serial ?? 0);
    for (const seconds of [SOA_REFRESH_SECONDS, SOA_REFRESH_SECONDS, SOA_EXPIRE_SECONDS]) {
      this.#u32(seconds);
    }
    this.#u32(ttlSeconds);
  }

  #name(labels: Labels): void {
    for (const label of labels) {
      this.#bytes[this.#at] = label.length;
      this.#at += 1 + this.#bytes.write(label, this.#at + 1, "latin1");
    }
    this.#at += 1;
  }

  #u16(value: number): void {
    putU16(this.#bytes, this.#at, value);
    this.#at += 2;
  }

  #u32(value: number): void {
    this.#at = this.#bytes.writeUInt32BE(value >>> 0, this.#at);
  }
}
