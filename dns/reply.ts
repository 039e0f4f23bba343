/**
 * Writing DNS replies: the client's own question bytes, answers that point back at them, EDNS0
 * when the client sent it.
 *
 * Law: a reply never exceeds the size the client accepts; answers that do not fit are left out and
 * the truncation bit says so, upon which resolvers that can ask again over TCP (RFC 2181 §9).
 */
import { CLASS, FLAG, HEADER_BYTES, putU16, type Query, TYPE } from "./codec.ts";
import type { Labels } from "./name.ts";

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
/** Pointer, type, class, time to live, length of the data. */
const ANSWER_BYTES = 12;
/** A compression pointer to the question's name, RFC 1035 §4.1.4. */
const QUESTION_POINTER = 0xc000 | HEADER_BYTES;

/** A reply of at most `bytesMax` bytes; answers are kept from the front as far as they fit. */
export function encodeReply(query: Query, reply: Reply, bytesMax: number): Uint8Array {
  const optBytes = query.edns === undefined ? 0 : OPT_BYTES;
  const { count, end } = fitting(reply.answers, query.questionEnd, bytesMax - optBytes);
  const bytes = Buffer.alloc(end + optBytes);
  bytes.set(query.packet.subarray(0, query.questionEnd));
  const echoed = query.flags & (FLAG.recursionDesired | FLAG.checkingDisabled);
  const truncated = count < reply.answers.length ? FLAG.truncated : 0;
  const own = FLAG.response | FLAG.authoritative | FLAG.recursionAvailable | truncated;
  putU16(bytes, 2, own | echoed | reply.rcode);
  for (const [index, word] of [1, count, 0, query.edns === undefined ? 0 : 1].entries()) {
    putU16(bytes, 4 + 2 * index, word);
  }
  let at = query.questionEnd;
  for (let index = 0; index < count; index += 1) {
    const answer = reply.answers[index];
    if (answer !== undefined) at = writeAnswer(bytes, at, answer, reply.ttlSeconds);
  }
  if (query.edns !== undefined) writeOpt(bytes, at, query.edns.dnssecOk);
  return bytes;
}

/** An error reply that echoes the question, RFC 1035 §4.1.1. */
export function encodeError(query: Query, rcode: number): Uint8Array {
  const room = query.questionEnd + OPT_BYTES;
  return encodeReply(query, { rcode, answers: [], ttlSeconds: 0 }, room);
}

/** How many answers fit behind the question, and where the last of them ends. */
function fitting(
  answers: readonly Answer[],
  start: number,
  bytesMax: number,
): { readonly count: number; readonly end: number } {
  let end = start;
  for (const [count, answer] of answers.entries()) {
    const next = end + ANSWER_BYTES + dataBytes(answer);
    if (next > bytesMax) return { count, end };
    end = next;
  }
  return { count: answers.length, end };
}

function dataBytes(answer: Answer): number {
  if (answer.type === "A") return 4;
  return answer.target.reduce((total, label) => total + 1 + label.length, 1);
}

/** Writes one answer about the question's name; where it ends. */
function writeAnswer(bytes: Buffer, start: number, answer: Answer, ttlSeconds: number): number {
  putU16(bytes, start, QUESTION_POINTER);
  putU16(bytes, start + 2, answer.type === "A" ? TYPE.a : TYPE.ptr);
  putU16(bytes, start + 4, CLASS.in);
  bytes.writeUInt32BE(ttlSeconds, start + 6);
  putU16(bytes, start + 10, dataBytes(answer));
  const at = start + ANSWER_BYTES;
  return answer.type === "A"
    ? bytes.writeUInt32BE(answer.address >>> 0, at)
    : writeName(bytes, at, answer.target);
}

function writeName(bytes: Buffer, start: number, labels: Labels): number {
  let at = start;
  for (const label of labels) {
    bytes[at] = label.length;
    at += 1 + bytes.write(label, at + 1, "latin1");
  }
  return at + 1;
}

/** The owner is the root, one zero byte; the payload size stands in for the class. */
function writeOpt(bytes: Buffer, start: number, dnssecOk: boolean): void {
  putU16(bytes, start + 1, TYPE.opt);
  putU16(bytes, start + 3, OWN_UDP_BYTES_MAX);
  bytes[start + 7] = dnssecOk ? 0x80 : 0;
}
