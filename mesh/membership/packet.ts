/**
 * Membership datagrams: a header that names the sender's life and the peer meant, then messages,
 * each as a length-prefixed msgpack array.
 *
 * Law: a packet is decoded whole or refused whole; unknown message kinds come from newer versions
 * and are skipped. The header lets a process that took over an address stay silent for its
 * predecessor.
 */
import { TsweaveError } from "../errors.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { decodeWire, encodeWire } from "../wire/msgpack.ts";
import { readArray, readBoolean, readBytes, readInteger } from "../wire/read.ts";
import type { EngineName } from "./membership.ts";
import {
  ERA_MAX,
  type Life,
  type PeerRecord,
  readId,
  readRecord,
  wireId,
  wireRecord,
} from "./record.ts";
import { PACKET_BYTES_MAX } from "./timing.ts";

export interface Header extends Life {
  readonly sender: PeerId;
  /** Null when whoever is at that address is meant. */
  readonly target: PeerId | null;
}

export type Message =
  | {
      readonly type: "ping" | "ack" | "nack";
      readonly seq: number;
      /** The sender's view, where the engine puts it on its probes. */
      readonly digest?: Uint8Array;
      /** The state of the layer above, the same. */
      readonly state?: Uint8Array;
    }
  | {
      readonly type: "pingReq";
      readonly seq: number;
      readonly destination: PeerId;
      /** How long the asker waits. */
      readonly patienceMs?: number;
    }
  | { readonly type: "update"; readonly record: PeerRecord }
  /** A suspicion with the name of who failed to reach the suspect, and what was found there. */
  | {
      readonly type: "accuse";
      readonly record: PeerRecord;
      readonly accuser: PeerId;
      readonly refused: boolean;
    }
  /** Hashes of a view's parts, for views too large to send whole; see roster.ts. */
  | { readonly type: "buckets"; readonly hashes: Uint8Array }
  /** Introduces the sender; with `want` it asks for the member list if the digests differ. */
  | {
      readonly type: "hello";
      readonly record: PeerRecord;
      readonly digest: Uint8Array;
      readonly want: boolean;
      /** The whole hash of the layer above, where the engine carries one. */
      readonly state?: Uint8Array;
    }
  /**
   * Marks the packet's updates as part of a list of the buckets in `mask`; with `want` it asks for
   * the same part in return.
   */
  | { readonly type: "list"; readonly want: boolean; readonly mask?: number };

export interface Packet {
  readonly header: Header;
  readonly messages: readonly Message[];
}

/** The engines' numbers, so that another engine's packets are told apart from damage. */
const ENGINES: Readonly<Record<EngineName, number>> = { swim: 1, native: 2 };
const KINDS = {
  ping: 10,
  pingReq: 11,
  hello: 12,
  ack: 13,
  update: 14,
  list: 15,
  nack: 16,
  accuse: 17,
  buckets: 18,
} as const;
/** Buckets of a view, the bits of a list's mask. */
export const BUCKETS = 32;
const BUCKET_HASH_BYTES = 4;
const ALL_BUCKETS = 0xffff_ffff;
const DIGEST_BYTES = 8;
const STATE_BYTES = 8;
const LENGTH_BYTES = 2;

/** BOUNDED: the records that are held elsewhere. One that many are told of is encoded once. */
const updates = new WeakMap<PeerRecord, Uint8Array>();

/** One message as it stands in a packet, without its length prefix. */
export function encodeMessage(message: Message): Uint8Array {
  if (message.type !== "update") return encodeWire([KINDS[message.type], ...fieldsOf(message)]);
  const { record } = message;
  const bytes = updates.get(record) ?? encodeWire([KINDS.update, wireRecord(record)]);
  updates.set(record, bytes);
  return bytes;
}

function fieldsOf(message: Message): readonly WireValue[] {
  switch (message.type) {
    case "ping":
    case "ack":
    case "nack":
      return [message.seq];
    case "pingReq":
      return [message.seq, wireId(message.destination)];
    case "update":
      return [wireRecord(message.record)];
    case "hello":
      return [
        wireRecord(message.record),
        message.digest,
        message.want,
        ...(message.state === undefined ? [] : [message.state]),
      ];
    case "list":
      return message.mask === undefined ? [message.want] : [message.want, message.mask];
    case "accuse":
      return [wireRecord(message.record), wireId(message.accuser), message.refused];
    case "buckets":
      return [message.hashes];
  }
}

function encodeHeader(header: Header, engine: EngineName): Uint8Array {
  const target = header.target === null ? null : wireId(header.target);
  const { sender, era, incarnation, boot } = header;
  return encodeWire([ENGINES[engine], wireId(sender), incarnation, boot, target, era]);
}

/** Bytes left for prefixed messages in a packet with this header. */
export function roomIn(header: Header): number {
  return PACKET_BYTES_MAX - encodeHeader(header, "swim").length - LENGTH_BYTES;
}

/** Packets of at most PACKET_BYTES_MAX that carry `messages` in order, each led by `prefix`. */
export function encodePackets(
  header: Header,
  messages: readonly Uint8Array[],
  prefix: readonly Uint8Array[] = [],
  engine: EngineName = "swim",
): Uint8Array[] {
  const head = [encodeHeader(header, engine), ...prefix];
  const packets: Uint8Array[] = [];
  let frames = [...head];
  let bytes = framedBytes(frames);
  for (const message of messages) {
    if (bytes + message.length + LENGTH_BYTES > PACKET_BYTES_MAX && frames.length > head.length) {
      packets.push(joinFrames(frames));
      frames = [...head];
      bytes = framedBytes(frames);
    }
    frames.push(message);
    bytes += message.length + LENGTH_BYTES;
  }
  packets.push(joinFrames(frames));
  return packets;
}

function framedBytes(frames: readonly Uint8Array[]): number {
  return frames.reduce((sum, frame) => sum + frame.length + LENGTH_BYTES, 0);
}

/** Length-prefixed frames, after `head` if there is one. */
export function joinFrames(frames: readonly Uint8Array[], head?: Uint8Array): Uint8Array {
  const packet = Buffer.alloc((head?.length ?? 0) + framedBytes(frames));
  let offset = head?.length ?? 0;
  if (head !== undefined) packet.set(head);
  for (const frame of frames) {
    offset = packet.writeUInt16BE(frame.length, offset);
    packet.set(frame, offset);
    offset += frame.length;
  }
  return packet;
}

/** A packet of the swim engine. @throws TsweaveError BAD_MESSAGE */
export function decodePacket(bytes: Uint8Array): Packet {
  return decodePacketOf("swim", bytes);
}

/** A packet of the given engine. @throws TsweaveError BAD_MESSAGE, also on another engine's */
export function decodePacketOf(engine: EngineName, bytes: Uint8Array): Packet {
  const [first, ...rest] = splitFrames(bytes);
  if (first === undefined) throw new TsweaveError("BAD_MESSAGE", "an empty packet");
  return { header: readHeader(decodeWire(first), engine), messages: readMessages(rest) };
}

/** Messages that follow one another, as after a short probe. @throws TsweaveError BAD_MESSAGE */
export function decodeMessages(bytes: Uint8Array): Message[] {
  return readMessages(splitFrames(bytes));
}

function readMessages(frames: readonly Uint8Array[]): Message[] {
  const messages: Message[] = [];
  for (const frame of frames) {
    const message = readMessage(decodeWire(frame));
    if (message !== undefined) messages.push(message);
  }
  return messages;
}

/**
 * Which engine made a packet, by the number in its header: length (2 bytes, the first 0), an array
 * of 6 to 15 items, the number. Undefined for what is no such packet.
 */
export function engineOf(bytes: Uint8Array): EngineName | undefined {
  const [lengthHigh, , array, engine] = bytes;
  if (lengthHigh !== 0 || array === undefined || array < 0x96 || array > 0x9f) return undefined;
  return engine === ENGINES.swim ? "swim" : engine === ENGINES.native ? "native" : undefined;
}

function splitFrames(bytes: Uint8Array): Uint8Array[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: Uint8Array[] = [];
  for (let offset = 0; offset < view.length; ) {
    const start = offset + LENGTH_BYTES;
    if (start > view.length) throw new TsweaveError("BAD_MESSAGE", "a torn length");
    const end = start + view.readUInt16BE(offset);
    if (end > view.length) throw new TsweaveError("BAD_MESSAGE", "a torn message");
    frames.push(view.subarray(start, end));
    offset = end;
  }
  return frames;
}

function readHeader(value: WireValue, expected: EngineName): Header {
  const [engine, sender, incarnation, boot, target, era] = readArray(value, "header", 6, 16);
  readInteger(engine, "header.engine", ENGINES[expected], ENGINES[expected]);
  return {
    sender: readId(sender, "header.sender"),
    era: readInteger(era, "header.era", 0, ERA_MAX),
    incarnation: readInteger(incarnation, "header.incarnation"),
    boot: readInteger(boot, "header.boot", 0, 0xffff_ffff),
    target: target === null ? null : readId(target, "header.target"),
  };
}

function readMessage(value: WireValue): Message | undefined {
  const fields = readArray(value, "message", 1, 16);
  const kind = readInteger(fields[0], "message.kind", 0, 255);
  switch (kind) {
    case KINDS.ping:
      return { type: "ping", seq: readInteger(fields[1], "ping.seq") };
    case KINDS.ack:
      return { type: "ack", seq: readInteger(fields[1], "ack.seq") };
    case KINDS.nack:
      return { type: "nack", seq: readInteger(fields[1], "nack.seq") };
    case KINDS.pingReq: {
      const seq = readInteger(fields[1], "pingReq.seq");
      return { type: "pingReq", seq, destination: readId(fields[2], "pingReq.destination") };
    }
    case KINDS.update:
      return { type: "update", record: readRecord(fields[1], "update") };
    case KINDS.hello:
      return readHello(fields);
    case KINDS.list: {
      const list = { type: "list", want: readBoolean(fields[1], "list.want") } as const;
      if (fields.length < 3) return list;
      return { ...list, mask: readInteger(fields[2], "list.mask", 0, ALL_BUCKETS) };
    }
    case KINDS.accuse:
      return readAccusation(fields);
    case KINDS.buckets: {
      const bytes = BUCKETS * BUCKET_HASH_BYTES;
      return { type: "buckets", hashes: readBytes(fields[1], "buckets.hashes", bytes, bytes) };
    }
    default:
      return undefined;
  }
}

function readHello(fields: readonly WireValue[]): Message {
  const hello = {
    type: "hello",
    record: readRecord(fields[1], "hello"),
    digest: readBytes(fields[2], "hello.digest", DIGEST_BYTES, DIGEST_BYTES),
    want: readBoolean(fields[3], "hello.want"),
  } as const;
  if (fields.length < 5) return hello;
  return { ...hello, state: readBytes(fields[4], "hello.state", STATE_BYTES, STATE_BYTES) };
}

function readAccusation(fields: readonly WireValue[]): Message {
  const record = readRecord(fields[1], "accuse");
  return {
    type: "accuse",
    record: { ...record, state: "suspect" },
    accuser: readId(fields[2], "accuse.accuser"),
    refused: readBoolean(fields[3], "accuse.refused"),
  };
}
