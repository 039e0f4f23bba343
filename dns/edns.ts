/**
 * Carrying a TCP client's query over UDP: offering a larger answer and hiding that from the client.
 *
 * Law: a client that sent no OPT record gets none back (RFC 6891 §6.1.1).
 */
import { LIMITS } from "../mesh/index.ts";
import { HEADER_BYTES, putU16, type Query, recordSpans, TYPE, u16 } from "./codec.ts";

const OPT_BYTES = 11;
const ADDITIONAL_COUNT_OFFSET = 10;

/** A copy of the query that accepts UDP answers of `LIMITS.dnsMessageBytesMax` bytes. */
export function offerLargeReplies(query: Query): Uint8Array {
  const { packet, edns, questionEnd } = query;
  if (edns !== undefined) {
    const copy = Uint8Array.from(packet);
    putU16(copy, edns.offset + 3, LIMITS.dnsMessageBytesMax);
    return copy;
  }
  const end = recordSpans(packet, questionEnd)?.at(-1)?.end ?? questionEnd;
  const copy = new Uint8Array(end + OPT_BYTES);
  copy.set(packet.subarray(0, end));
  putU16(copy, end + 1, TYPE.opt);
  putU16(copy, end + 3, LIMITS.dnsMessageBytesMax);
  putU16(copy, ADDITIONAL_COUNT_OFFSET, u16(copy, ADDITIONAL_COUNT_OFFSET) + 1);
  return copy;
}

/** The reply without its OPT record; undefined when the reply cannot be read. */
export function withoutEdns(reply: Uint8Array, query: Query): Uint8Array | undefined {
  const questionEnd = u16(reply, 4) === 0 ? HEADER_BYTES : query.questionEnd;
  const option = recordSpans(reply, questionEnd);
  if (option === undefined) return undefined;
  const span = option.find((record) => record.type === TYPE.opt);
  if (span === undefined) return reply;
  const copy = new Uint8Array(reply.length - (span.end - span.offset));
  copy.set(reply.subarray(0, span.offset));
  copy.set(reply.subarray(span.end), span.offset);
  putU16(copy, ADDITIONAL_COUNT_OFFSET, u16(copy, ADDITIONAL_COUNT_OFFSET) - 1);
  return copy;
}
