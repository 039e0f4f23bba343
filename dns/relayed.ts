/**
 * What comes back for a relayed question: is it to be believed, and as the client expects it.
 *
 * Law: a reply is believed only for the question asked; a client gets no OPT record that it did not
 * send itself.
 */
import type { Transport } from "./answer.ts";
import { FLAG, HEADER_BYTES, putU16, type Query, u16 } from "./codec.ts";
import { withoutEdns } from "./edns.ts";

/** Whether a packet is a reply to this question; servers may leave it out of an error. */
export function repliesTo(query: Query, packet: Uint8Array): boolean {
  if (packet.length < HEADER_BYTES) return false;
  const flags = u16(packet, 2);
  if ((flags & FLAG.response) === 0 || (flags & FLAG.opcodeMask) !== 0) return false;
  const questions = u16(packet, 4);
  if (questions === 0) return (flags & FLAG.rcodeMask) !== 0;
  if (questions !== 1 || packet.length < query.questionEnd) return false;
  for (let at = HEADER_BYTES; at < query.questionEnd; at += 1) {
    if (foldByte(packet[at]) !== foldByte(query.packet[at])) return false;
  }
  return true;
}

/** Length bytes end at 63, below the letters, so folding every byte is safe. */
function foldByte(byte = 0): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** The reply without what only this side asked for; undefined when it cannot be read. */
export function asAsked(
  query: Query,
  transport: Transport,
  packet: Uint8Array,
): Uint8Array | undefined {
  const addedEdns = transport === "tcp" && query.edns === undefined;
  return addedEdns ? withoutEdns(packet, query) : packet;
}

/** A copy of a reply for one client: its id, its spelling of the name. */
export function addressed(reply: Uint8Array, query: Query): Uint8Array {
  const copy = Uint8Array.from(reply);
  putU16(copy, 0, query.id);
  if (u16(copy, 4) === 1 && copy.length >= query.questionEnd) {
    copy.set(query.packet.subarray(HEADER_BYTES, query.questionEnd), HEADER_BYTES);
  }
  return copy;
}
