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
  | { readonly type: "ping" | "ack"; readonly seq: number }
  | { readonly type: "pingReq"; readonly seq: number; readonly destination: PeerId }
  | { readonly type: "update"; readonly record: PeerRecord }
  /** Introduces the sender; with `want` it asks for the member list if the digests differ. */
  | {
      readonly type: "hello";
      readonly record: PeerRecord;
      readonly digest: Uint8Array;
      readonly want: boolean;
    }
  /** Marks the packet's updates as part of a whole list; with `want` it asks for one in return. */
  | { readonly type: "list"; readonly want: boolean };

export interface Packet {
  readonly header: Header;
  readonly messages: readonly Message[];
}

/** The engine's number, so that another engine's packets are told apart from damage. */
export const ENGINE = 1;
const KINDS = { ping: 10, pingReq: 11, hello: 12, ack: 13, update: 14, list: 15 } as const;
const DIGEST_BYTES = 8;
const LENGTH_BYTES = 2;

/** One message as it stands in a packet, without its length prefix. */
export function encodeMessage(message: Message): Uint8Array {
  return encodeWire([KINDS[message.type], ...fieldsOf(message)]);
}

function fieldsOf(message: Message): readonly WireValue[] {
  switch (message.type) {
    case "ping":
    case "ack":
      return [message.seq];
    case "pingReq":
      return [message.seq, wireId(message.destination)];
    case "update":
      return [wireRecord(message.record)];
    case "hello":
      return [wireRecord(message.record), message.digest, message.want];
    case "list":
      return [message.want];
  }
}

function encodeHeader(header: Header): Uint8Array {
  const target = header.target === null ? null : wireId(header.target);
  const { sender, era, incarnation, boot } = header;
  return encodeWire([ENGINE, wireId(sender), incarnation, boot, target, era]);
}

/** Bytes left for prefixed messages in a packet with this header. */
export function roomIn(header: Header): number {
  return PACKET_BYTES_MAX - encodeHeader(header).length - LENGTH_BYTES;
}

/** Packets of at most PACKET_BYTES_MAX that carry `messages` in order, each led by `prefix`. */
export function encodePackets(
  header: Header,
  messages: readonly Uint8Array[],
  prefix: readonly Uint8Array[] = [],
): Uint8Array[] {
  const head = [encodeHeader(header), ...prefix];
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

function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  const packet = Buffer.alloc(framedBytes(frames));
  let offset = 0;
  for (const frame of frames) {
    offset = packet.writeUInt16BE(frame.length, offset);
    packet.set(frame, offset);
    offset += frame.length;
  }
  return packet;
}

/** @throws TsweaveError BAD_MESSAGE */
export function decodePacket(bytes: Uint8Array): Packet {
  const [first, ...rest] = splitFrames(bytes);
  if (first === undefined) throw new TsweaveError("BAD_MESSAGE", "an empty packet");
  const header = readHeader(decodeWire(first));
  const messages: Message[] = [];
  for (const frame of rest) {
    const message = readMessage(decodeWire(frame));
    if (message !== undefined) messages.push(message);
  }
  return { header, messages };
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

function readHeader(value: WireValue): Header {
  const [engine, sender, incarnation, boot, target, era] = readArray(value, "header", 6, 16);
  readInteger(engine, "header.engine", ENGINE, ENGINE);
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
    case KINDS.pingReq: {
      const seq = readInteger(fields[1], "pingReq.seq");
      return { type: "pingReq", seq, destination: readId(fields[2], "pingReq.destination") };
    }
    case KINDS.update:
      return { type: "update", record: readRecord(fields[1], "update") };
    case KINDS.hello:
      return {
        type: "hello",
        record: readRecord(fields[1], "hello"),
        digest: readBytes(fields[2], "hello.digest", DIGEST_BYTES, DIGEST_BYTES),
        want: readBoolean(fields[3], "hello.want"),
      };
    case KINDS.list:
      return { type: "list", want: readBoolean(fields[1], "list.want") };
    default:
      return undefined;
  }
}
