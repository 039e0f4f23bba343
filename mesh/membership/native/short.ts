/**
 * Probes and their answers in 17 bytes, since they are all an idle mesh sends:
 *
 *     0     0x20 and the kind: 1 ping, 2 ack, 3 nack, 4 pingReq (a full packet begins with 0)
 *     1-2   number of the probe
 *     3-8   tag of the pair: the sender's life and the addressed one
 *     9-12  first half of the digest of the sender's view
 *     13-16 hash of the sender's tables, zero where it has none
 *     17-22 pingReq only: tag of the pair of the life to ping and the relay; 23-24: patience in ms
 *     then  messages as in a full packet
 *
 * Law: a tag names one life of one peer as it speaks to one life of another, so a restarted
 * namesake or a clone never answers for another; among 4096 speakers two look alike to one hearer
 * with a chance of 3e-8. What does not decode exactly is refused whole.
 */
import { createHash } from "node:crypto";
import { TsweaveError } from "../../errors.ts";
import { LIMITS } from "../../limits.ts";
import type { PeerId } from "../../ports.ts";
import { STATE_RIDER_BYTES } from "../membership.ts";
import { decodeMessages, joinFrames, type Message } from "../packet.ts";
import type { Life } from "../record.ts";

const SHORT_FORM = 0x20;
const KIND_MASK = 0x0f;
const KINDS = ["ping", "ack", "nack", "pingReq"] as const;
const SEQ_AT = 1;
const PAIR_AT = 3;
const DIGEST_AT = 9;
const STATE_AT = 13;
const BASE_BYTES = STATE_AT + STATE_RIDER_BYTES;
const RELAY_BYTES = 8;
const TAG_BYTES = 6;
/** Of the digest of a view; two views that differ look equal once in four billion comparisons. */
export const SHORT_DIGEST_BYTES = 4;
/** Probes are numbered modulo this; at most a few hundred are in flight. */
export const SEQS = 2 ** 16;

/** A life in its two roles, each as two halves of 24 bits. */
export interface LifeTag {
  readonly speaks: readonly [number, number];
  readonly hears: readonly [number, number];
}

/** Two lives, as the first speaks to the second: 48 bits. */
export type PairTag = number;

export interface Short {
  readonly kind: (typeof KINDS)[number];
  /** Below SEQS. */
  readonly seq: number;
  readonly pair: PairTag;
  /** At least SHORT_DIGEST_BYTES, of which the first travel. */
  readonly digest: Uint8Array;
  /** Of the layer above, at least STATE_RIDER_BYTES, of which the first travel. */
  readonly state?: Uint8Array;
  /** Of a pingReq: the peer to ping, as it speaks to the relay. */
  readonly destination?: PairTag;
  readonly patienceMs?: number;
}

/** The tag of one life of one peer. */
export function lifeTag(id: PeerId, { era, incarnation, boot }: Life): LifeTag {
  const line = `life ${id} ${era} ${incarnation} ${boot}`;
  const hash = createHash("sha256").update(line).digest();
  const half = (at: number): number => hash.readUIntBE(at, TAG_BYTES / 2);
  return { speaks: [half(0), half(3)], hears: [half(6), half(9)] };
}

/** The tag of a packet from one life to another. */
export function pairTag({ speaks }: LifeTag, { hears }: LifeTag): PairTag {
  return (speaks[0] ^ hears[0]) * 2 ** 24 + (speaks[1] ^ hears[1]);
}

/** Whether bytes claim to be of the short form. */
export function isShort(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & ~KIND_MASK) === SHORT_FORM;
}

/** Bytes of a short packet before its messages. */
export function shortBytes(kind: Short["kind"]): number {
  return BASE_BYTES + (kind === "pingReq" ? RELAY_BYTES : 0);
}

/** The packet, with encoded messages behind it. */
export function encodeShort(short: Short, messages: readonly Uint8Array[]): Uint8Array {
  const head = Buffer.alloc(shortBytes(short.kind));
  head[0] = SHORT_FORM | (KINDS.indexOf(short.kind) + 1);
  head.writeUInt16BE(short.seq, SEQ_AT);
  head.writeUIntBE(short.pair, PAIR_AT, TAG_BYTES);
  head.set(short.digest.subarray(0, SHORT_DIGEST_BYTES), DIGEST_AT);
  if (short.state !== undefined) head.set(short.state.subarray(0, STATE_RIDER_BYTES), STATE_AT);
  if (short.kind === "pingReq") {
    head.writeUIntBE(short.destination ?? 0, BASE_BYTES, TAG_BYTES);
    const patienceMs = Math.min(0xffff, Math.ceil(short.patienceMs ?? 0));
    head.writeUInt16BE(patienceMs, BASE_BYTES + TAG_BYTES);
  }
  return messages.length === 0 ? head : joinFrames(messages, head);
}

/** @throws TsweaveError BAD_MESSAGE */
export function decodeShort(bytes: Uint8Array): {
  readonly short: Short;
  readonly messages: readonly Message[];
} {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = KINDS[((view[0] ?? 0) & KIND_MASK) - 1];
  if (kind === undefined) throw new TsweaveError("BAD_MESSAGE", "short.kind: unknown");
  const headBytes = shortBytes(kind);
  if (view.length < headBytes || view.length > LIMITS.datagramBytesMax) {
    throw new TsweaveError("BAD_MESSAGE", `short: expected at least ${headBytes} bytes`);
  }
  const short = {
    kind,
    seq: view.readUInt16BE(SEQ_AT),
    pair: view.readUIntBE(PAIR_AT, TAG_BYTES),
    digest: view.subarray(DIGEST_AT, DIGEST_AT + SHORT_DIGEST_BYTES),
    ...(view.readUInt32BE(STATE_AT) === 0 ? {} : { state: view.subarray(STATE_AT, BASE_BYTES) }),
  };
  const messages = view.length === headBytes ? [] : decodeMessages(view.subarray(headBytes));
  if (kind !== "pingReq") return { short, messages };
  const destination = view.readUIntBE(BASE_BYTES, TAG_BYTES);
  const patienceMs = view.readUInt16BE(BASE_BYTES + TAG_BYTES);
  return { short: { ...short, destination, patienceMs }, messages };
}
