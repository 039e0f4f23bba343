/**
 * What peers tell one another about tables, as positional msgpack records.
 *
 * Law: nothing on the wire is trusted: every field is read with its bound before use. Fields are
 * only ever appended; readers ignore what follows the fields they know.
 */
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { readArray, readBoolean, readBytes, readInteger, readString } from "../wire/read.ts";

/** One changed row; `bytes` is the msgpack value, null a tombstone. */
export interface WireRow {
  readonly table: string;
  readonly key: string;
  readonly seq: number;
  readonly bytes: Uint8Array | null;
}

/** The changes (from, to] of one origin, or with `whole` its complete log up to `to`. */
export interface Delta {
  readonly origin: PeerId;
  readonly incarnation: number;
  readonly from: number;
  readonly to: number;
  readonly whole: boolean;
  readonly rows: readonly WireRow[];
  /** Of a whole log: tombstones up to here are left out. */
  readonly floor?: number;
  /** Of a whole log: its rows are forgotten, this only says how far it went. */
  readonly hollow?: boolean;
}

/** How far a replica has an origin's log. */
export interface VectorEntry {
  readonly origin: PeerId;
  readonly incarnation: number;
  readonly seq: number;
}

/**
 * Rows of one origin with its tombstones; twice as many of those as an origin keeps, because a
 * receiver drops its own later.
 */
export const ROWS_HELD_MAX = LIMITS.rowsPerOriginMax + 2 * LIMITS.tombstonesMax;

const PEER_ID = /^[0-9a-f]{32}$/;
const TABLE = /^[a-z-]{1,16}$/;

/** A peer id from the wire: 16 bytes there, 32 hex digits here. */
export function readPeerId(value: WireValue | undefined, path: string): PeerId {
  return Buffer.from(readBytes(value, path, 16, 16)).toString("hex");
}

/** A peer id for the wire. */
export function peerIdBytes(id: PeerId): Uint8Array {
  if (!PEER_ID.test(id)) throw new Error(`not a peer id: ${id}`);
  return Buffer.from(id, "hex");
}

export function deltaToWire(delta: Delta): WireValue {
  const wire: WireValue[] = [
    peerIdBytes(delta.origin),
    delta.incarnation,
    delta.from,
    delta.to,
    delta.whole,
    delta.rows.map((row) => [row.table, row.key, row.seq, row.bytes]),
  ];
  if (delta.whole) wire.push(delta.floor ?? delta.to, delta.hollow === true);
  return wire;
}

/** @throws TsweaveError BAD_MESSAGE */
export function deltaFromWire(value: WireValue | undefined): Delta {
  const [origin, incarnation, from, to, whole, rows, ...wholly] = readArray(value, "delta", 6, 16);
  const delta = {
    origin: readPeerId(origin, "delta.origin"),
    incarnation: readInteger(incarnation, "delta.incarnation", 1),
    from: readInteger(from, "delta.from"),
    to: readInteger(to, "delta.to"),
    whole: readBoolean(whole, "delta.whole"),
  };
  const read = readArray(rows, "delta.rows", 0, ROWS_HELD_MAX).map(rowFromWire);
  if (!delta.whole) return { ...delta, rows: read };
  const floor = readInteger(wholly[0], "delta.floor", 0, delta.to);
  return { ...delta, rows: read, floor, hollow: readBoolean(wholly[1], "delta.hollow") };
}

function rowFromWire(value: WireValue): WireRow {
  const [table, key, seq, bytes] = readArray(value, "row", 4, 16);
  return {
    table: readString(table, "row.table", 16, TABLE),
    key: readString(key, "row.key", LIMITS.rowKeyLengthMax),
    seq: readInteger(seq, "row.seq", 1),
    bytes: bytes === null ? null : readBytes(bytes, "row.value", 1, LIMITS.rowBytesMax),
  };
}

export function vectorToWire(vector: readonly VectorEntry[]): WireValue {
  return vector.map((entry) => [peerIdBytes(entry.origin), entry.incarnation, entry.seq]);
}

/** @throws TsweaveError BAD_MESSAGE */
export function vectorFromWire(value: WireValue | undefined): VectorEntry[] {
  return readArray(value, "vector", 0, LIMITS.peersMax).map((item) => {
    const [origin, incarnation, seq] = readArray(item, "vector entry", 3, 16);
    return {
      origin: readPeerId(origin, "vector.origin"),
      incarnation: readInteger(incarnation, "vector.incarnation", 1),
      seq: readInteger(seq, "vector.seq"),
    };
  });
}
