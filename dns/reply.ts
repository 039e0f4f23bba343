/**
 * Writing DNS replies: compressed names, the client's own question bytes, EDNS0 when it sent one.
 *
 * Law: a reply never exceeds the size the client accepts; records that do not fit are left out
 * without the truncation bit, because every address of a name is as good as another.
 */
import { CLASS, FLAG, HEADER_BYTES, type Query, TYPE } from "./codec.ts";
import { type Labels, nameKey } from "./name.ts";

/** The data of one answer about the name asked for. */
export type Answer =
  | { readonly type: "A"; readonly address: number }
  | { readonly type: "PTR"; readonly target: Labels };

export interface Reply {
  readonly rcode: number;
  readonly answers: readonly Answer[];
  readonly ttlSeconds: number;
}

/** UDP payload this side accepts, told in its own OPT record. */
const OWN_UDP_BYTES_MAX = 4096;
const OPT_BYTES = 11;
/** Compression pointers have 14 bits, RFC 1035 §4.1.4. */
const POINTER_OFFSET_END = 0x4000;

/** A reply of at most `bytesMax` bytes; answers are kept from the front as far as they fit. */
export function encodeReply(query: Query, reply: Reply, bytesMax: number): Uint8Array {
  const echoed = query.flags & (FLAG.recursionDesired | FLAG.checkingDisabled);
  const flags = FLAG.response | FLAG.authoritative | FLAG.recursionAvailable | echoed | reply.rcode;
  const writer = new MessageWriter(bytesMax - (query.edns === undefined ? 0 : OPT_BYTES));
  for (const word of [query.id, flags, 1, 0, 0, 0]) writer.u16(word);
  writer.name(query.labels);
  writer.u16(query.type);
  writer.u16(query.class);
  let count = 0;
  for (const answer of reply.answers) {
    const mark = writer.length;
    writeAnswer(writer, query.labels, answer, reply.ttlSeconds);
    if (writer.overfull) {
      writer.rewind(mark);
      break;
    }
    count += 1;
  }
  writer.patchU16(6, count);
  if (query.edns !== undefined) {
    writer.patchU16(10, 1);
    writeOpt(writer, query.edns.dnssecOk);
  }
  return writer.finish();
}

/** An error reply that echoes the question, RFC 1035 §4.1.1. */
export function encodeError(query: Query, rcode: number): Uint8Array {
  const room = HEADER_BYTES + query.questionEnd + OPT_BYTES;
  return encodeReply(query, { rcode, answers: [], ttlSeconds: 0 }, room);
}

function writeAnswer(writer: MessageWriter, owner: Labels, answer: Answer, ttl: number): void {
  writer.name(owner);
  writer.u16(answer.type === "A" ? TYPE.a : TYPE.ptr);
  writer.u16(CLASS.in);
  writer.u32(ttl);
  const lengthAt = writer.length;
  writer.u16(0);
  if (answer.type === "A") writer.u32(answer.address);
  else writer.name(answer.target);
  writer.patchU16(lengthAt, writer.length - lengthAt - 2);
}

function writeOpt(writer: MessageWriter, dnssecOk: boolean): void {
  writer.name([]);
  writer.u16(TYPE.opt);
  writer.u16(OWN_UDP_BYTES_MAX);
  writer.u32(dnssecOk ? 0x8000 : 0);
  writer.u16(0);
}

/** Bytes of a message in the making, with the offsets of the names written so far. */
class MessageWriter {
  /** BOUNDED: encodeReply stops at the first answer beyond the size limit. */
  readonly #bytes: number[] = [];
  /** BOUNDED: one entry a label of the names in #bytes. */
  readonly #offsets = new Map<string, number>();
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#bytes.length;
  }

  get overfull(): boolean {
    return this.#bytes.length > this.#bytesMax;
  }

  u16(value: number): void {
    this.#bytes.push((value >>> 8) & 0xff, value & 0xff);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  patchU16(offset: number, value: number): void {
    this.#bytes[offset] = (value >>> 8) & 0xff;
    this.#bytes[offset + 1] = value & 0xff;
  }

  /** Writes a name, pointing at its longest suffix that is already in the message. */
  name(labels: Labels): void {
    for (const [index, label] of labels.entries()) {
      const key = nameKey(labels.slice(index));
      const known = this.#offsets.get(key);
      if (known !== undefined) {
        this.u16(0xc000 | known);
        return;
      }
      if (this.length < POINTER_OFFSET_END) this.#offsets.set(key, this.length);
      this.#bytes.push(label.length, ...Buffer.from(label, "latin1"));
    }
    this.#bytes.push(0);
  }

  /** Forgets everything after `mark`, names included. */
  rewind(mark: number): void {
    this.#bytes.length = mark;
    for (const [key, offset] of this.#offsets) if (offset >= mark) this.#offsets.delete(key);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
