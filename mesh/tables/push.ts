/**
 * The datagrams of the tables, and cutting a delta into them: the eager road of a fresh row.
 *
 * Law: each piece covers a contiguous run of sequence numbers, so a receiver that misses one
 * notices the gap. A row too large for a datagram is left to the digest exchange.
 */
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { encodeWire } from "../wire/msgpack.ts";
import { readArray, readBoolean, readBytes, readInteger } from "../wire/read.ts";
import {
  type Delta,
  deltaFromWire,
  deltaToWire,
  peerIdBytes,
  readPeerId,
  type WireRow,
} from "./messages.ts";
import { STATE_HASH_BYTES } from "./vector-hash.ts";

/** Sender, delta header, a relay's range and msgpack framing around the rows. */
const OVERHEAD_BYTES = 120;
/** msgpack framing, table name and sequence number of one row. */
const ROW_OVERHEAD_BYTES = 32;
/** A longer push is cheaper as one stream exchange. */
const PIECES_MAX = 8;

/** Bytes that stand for a peer where only members are meant. */
const MARK_BYTES = 4;

/** A run of peer ids in sorted order, around the end where `first` is greater than `last`. */
export interface IdRange {
  readonly first: PeerId;
  readonly last: PeerId;
}

/** Rows for the receiver. */
export interface Push {
  readonly type: "push";
  readonly sender: PeerId;
  readonly delta: Delta;
}

/** Rows for the receiver and for every peer it knows in a range of ids. */
export interface Relay {
  readonly type: "relay";
  readonly sender: PeerId;
  readonly delta: Delta;
  readonly range: IdRange;
}

/** Whose log is spoken of: its origin by mark, so that no other peer takes the word for its own. */
interface OfLog {
  readonly origin: Mark;
  readonly incarnation: number;
  readonly seq: number;
}

/** How far the sender holds a log. */
export interface Ack extends OfLog {
  readonly type: "ack";
  readonly sender: PeerId;
}

/** The head of a range says who in it holds a log up to `seq`. */
export interface Cover extends OfLog {
  readonly type: "cover";
  readonly sender: PeerId;
  readonly range: IdRange;
  readonly marks: Uint8Array;
}

/** The sender's state hash; with `ask` an equal one is answered by the receiver's. */
interface Digest {
  readonly type: "digest";
  readonly sender: PeerId;
  readonly hash: Uint8Array;
  readonly ask?: boolean;
}

/** The last bytes of a peer's id, as hex digits: ids are random. */
export type Mark = string;

/** What a tables datagram says. */
export type TablesMessage = Push | Relay | Ack | Cover | Digest;

const CODES = { push: 1, ack: 2, digest: 3, relay: 4, cover: 5 } as const;

/** The bytes of a message. */
export function encodeTablesMessage(message: TablesMessage): Uint8Array {
  const head: WireValue[] = [CODES[message.type], peerIdBytes(message.sender)];
  switch (message.type) {
    case "push":
      return encodeWire([...head, deltaToWire(message.delta)]);
    case "relay":
      return encodeWire([...head, deltaToWire(message.delta), ...rangeToWire(message.range)]);
    case "ack": {
      const { incarnation, seq, origin } = message;
      return encodeWire([...head, incarnation, seq, Buffer.from(origin, "hex")]);
    }
    case "cover": {
      const { incarnation, seq, range, marks } = message;
      const origin = Buffer.from(message.origin, "hex");
      return encodeWire([...head, incarnation, seq, ...rangeToWire(range), marks, origin]);
    }
    case "digest":
      return encodeWire(message.ask ? [...head, message.hash, true] : [...head, message.hash]);
  }
}

/** @throws TsweaveError BAD_MESSAGE */
export function readTablesMessage(value: WireValue): TablesMessage {
  const [code, senderBytes, ...body] = readArray(value, "tables message", 3, 16);
  const sender = readPeerId(senderBytes, "sender");
  const type = readInteger(code, "message code", 1, 5);
  if (type === CODES.digest) {
    const hash = readBytes(body[0], "digest", STATE_HASH_BYTES, STATE_HASH_BYTES);
    const ask = body[1] === undefined ? false : readBoolean(body[1], "digest.ask");
    return { type: "digest", sender, hash, ...(ask ? { ask } : {}) };
  }
  if (type === CODES.push) return { type: "push", sender, delta: deltaFromWire(body[0]) };
  if (type === CODES.relay) {
    const range = rangeFromWire(body[1], body[2]);
    return { type: "relay", sender, delta: deltaFromWire(body[0]), range };
  }
  const incarnation = readInteger(body[0], "incarnation", 1);
  const seq = readInteger(body[1], "seq");
  if (type === CODES.ack) {
    const origin = readMark(body[2], "ack.origin");
    return { type: "ack", sender, incarnation, seq, origin };
  }
  const marks = readBytes(body[4], "cover.marks", 0, LIMITS.datagramBytesMax);
  const range = rangeFromWire(body[2], body[3]);
  const origin = readMark(body[5], "cover.origin");
  return { type: "cover", sender, origin, incarnation, seq, range, marks };
}

function readMark(value: WireValue | undefined, path: string): Mark {
  return Buffer.from(readBytes(value, path, MARK_BYTES, MARK_BYTES)).toString("hex");
}

function rangeToWire(range: IdRange): WireValue[] {
  return [peerIdBytes(range.first), peerIdBytes(range.last)];
}

function rangeFromWire(first: WireValue | undefined, last: WireValue | undefined): IdRange {
  return { first: readPeerId(first, "range.first"), last: readPeerId(last, "range.last") };
}

/** Whether an id lies in a range of ids. */
export function inRange({ first, last }: IdRange, id: PeerId): boolean {
  return first <= last ? first <= id && id <= last : first <= id || id <= last;
}

/** The marks of several peers, four bytes each. */
export function marksOf(peers: readonly PeerId[]): Uint8Array {
  return Buffer.concat(peers.map((peer) => Buffer.from(markOf(peer), "hex")));
}

/** A test for the peers that marks name: a false yes is as likely as two ids that agree. */
export function markReader(marks: Uint8Array): (peer: PeerId) => boolean {
  const known = new Set<string>();
  for (let at = 0; at < marks.length; at += MARK_BYTES) {
    known.add(Buffer.from(marks.subarray(at, at + MARK_BYTES)).toString("hex"));
  }
  return (peer) => known.has(markOf(peer));
}

/** What stands for a peer in an ack or a cover. */
export function markOf(peer: PeerId): Mark {
  return peer.slice(-2 * MARK_BYTES);
}

/** The delta in a few datagram-sized pieces, or undefined when only a stream carries it. */
export function pieces(delta: Delta): Delta[] | undefined {
  if (delta.whole) return undefined;
  const room = LIMITS.datagramPayloadBytesMax - OVERHEAD_BYTES;
  const cut: Delta[] = [];
  let rows: WireRow[] = [];
  let from = delta.from;
  let bytes = 0;
  for (const row of delta.rows) {
    const size = ROW_OVERHEAD_BYTES + Buffer.byteLength(row.key) + (row.bytes?.length ?? 0);
    if (size > room || cut.length >= PIECES_MAX) return undefined;
    if (bytes + size > room) {
      const to = rows.at(-1)?.seq ?? from;
      cut.push({ ...delta, from, to, rows });
      from = to;
      rows = [];
      bytes = 0;
    }
    rows.push(row);
    bytes += size;
  }
  cut.push({ ...delta, from, rows });
  return cut;
}
