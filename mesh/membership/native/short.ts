/**
 * Probes and their answers in 30 bytes, since they are all an idle mesh sends:
 *
 *     0     2: the native engine's short form (a full packet begins with 0)
 *     1     kind: 1 ping, 2 ack, 3 nack, 4 pingReq
 *     2-5   number of the probe
 *     6-13  tag of the sender's life, 14-21 of the addressed one
 *     22-29 digest of the sender's view
 *     30-37 pingReq only: tag of the life to ping; 38-39: the asker's patience in ms
 *     then  messages as in a full packet
 *
 * Law: a tag names one life of one peer, so a restarted namesake or a clone never answers for
 * another. What does not decode exactly is refused whole.
 */
import { createHash } from "node:crypto";
import { TsweaveError } from "../../errors.ts";
import { LIMITS } from "../../limits.ts";
import type { PeerId } from "../../ports.ts";
import { decodeMessages, joinFrames, type Message } from "../packet.ts";
import type { Life } from "../record.ts";

const SHORT_FORM = 2;
const KINDS = ["ping", "ack", "nack", "pingReq"] as const;
const BASE_BYTES = 30;
const RELAY_BYTES = 10;
const TAG_BYTES = 8;

/** Eight bytes of a life as hexadecimal digits. */
export type LifeTag = string;

export interface Short {
  readonly kind: (typeof KINDS)[number];
  readonly seq: number;
  readonly sender: LifeTag;
  readonly target: LifeTag;
  readonly digest: Uint8Array;
  /** Of a pingReq. */
  readonly destination?: LifeTag;
  readonly patienceMs?: number;
}

/** The tag of one life of one peer. */
export function lifeTag(id: PeerId, { era, incarnation, boot }: Life): LifeTag {
  const hash = createHash("sha256").update(`life ${id} ${era} ${incarnation} ${boot}`);
  return hash.digest("hex").slice(0, 2 * TAG_BYTES);
}

/** Whether bytes claim to be of the short form. */
export function isShort(bytes: Uint8Array): boolean {
  return bytes[0] === SHORT_FORM;
}

/** Bytes of a short packet before its messages. */
export function shortBytes(kind: Short["kind"]): number {
  return BASE_BYTES + (kind === "pingReq" ? RELAY_BYTES : 0);
}

/** The packet, with encoded messages behind it. */
export function encodeShort(short: Short, messages: readonly Uint8Array[]): Uint8Array {
  const head = Buffer.alloc(shortBytes(short.kind));
  head[0] = SHORT_FORM;
  head[1] = KINDS.indexOf(short.kind) + 1;
  head.writeUInt32BE(short.seq, 2);
  head.write(short.sender, 6, "hex");
  head.write(short.target, 14, "hex");
  head.set(short.digest, 22);
  if (short.kind === "pingReq") {
    head.write(short.destination ?? "", 30, "hex");
    head.writeUInt16BE(Math.min(0xffff, Math.ceil(short.patienceMs ?? 0)), 38);
  }
  return messages.length === 0 ? head : joinFrames(messages, head);
}

/** @throws TsweaveError BAD_MESSAGE */
export function decodeShort(bytes: Uint8Array): {
  readonly short: Short;
  readonly messages: readonly Message[];
} {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = KINDS[(view[1] ?? 0) - 1];
  if (kind === undefined) throw new TsweaveError("BAD_MESSAGE", "short.kind: unknown");
  const headBytes = shortBytes(kind);
  if (view.length < headBytes || view.length > LIMITS.datagramBytesMax) {
    throw new TsweaveError("BAD_MESSAGE", `short: expected at least ${headBytes} bytes`);
  }
  const tagAt = (at: number): LifeTag => view.toString("hex", at, at + TAG_BYTES);
  const short = {
    kind,
    seq: view.readUInt32BE(2),
    sender: tagAt(6),
    target: tagAt(14),
    digest: view.subarray(22, 30),
  };
  const messages = view.length === headBytes ? [] : decodeMessages(view.subarray(headBytes));
  if (kind !== "pingReq") return { short, messages };
  return {
    short: { ...short, destination: tagAt(30), patienceMs: view.readUInt16BE(38) },
    messages,
  };
}
