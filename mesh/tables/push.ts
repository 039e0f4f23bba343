/**
 * Cutting a delta into datagrams: the eager road of a fresh row.
 *
 * Law: each piece covers a contiguous run of sequence numbers, so a receiver that misses one
 * notices the gap. A row too large for a datagram is left to the digest exchange.
 */
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { encodeWire } from "../wire/msgpack.ts";
import { readArray, readBytes, readInteger } from "../wire/read.ts";
import {
  type Delta,
  deltaFromWire,
  deltaToWire,
  peerIdBytes,
  readPeerId,
  type WireRow,
} from "./messages.ts";

/** Envelope, sender, delta header and msgpack framing around the rows of a piece. */
const OVERHEAD_BYTES = 80;
/** msgpack framing, table name and sequence number of one row. */
const ROW_OVERHEAD_BYTES = 32;

/** What a tables datagram says. */
export type TablesMessage =
  | { readonly type: "push"; readonly sender: PeerId; readonly delta: Delta }
  | {
      readonly type: "ack";
      readonly sender: PeerId;
      readonly incarnation: number;
      readonly seq: number;
    }
  | { readonly type: "digest"; readonly sender: PeerId; readonly hash: Uint8Array };

const CODES = { push: 1, ack: 2, digest: 3 } as const;

export function encodeTablesMessage(message: TablesMessage): Uint8Array {
  const head: WireValue[] = [CODES[message.type], peerIdBytes(message.sender)];
  if (message.type === "push") return encodeWire([...head, deltaToWire(message.delta)]);
  if (message.type === "ack") return encodeWire([...head, message.incarnation, message.seq]);
  return encodeWire([...head, message.hash]);
}

/** @throws TsweaveError BAD_MESSAGE */
export function readTablesMessage(value: WireValue): TablesMessage {
  const [code, senderBytes, first, second] = readArray(value, "tables message", 3, 16);
  const sender = readPeerId(senderBytes, "sender");
  switch (readInteger(code, "message code", 1, 3)) {
    case CODES.push:
      return { type: "push", sender, delta: deltaFromWire(first) };
    case CODES.ack: {
      const incarnation = readInteger(first, "ack.incarnation", 1);
      return { type: "ack", sender, incarnation, seq: readInteger(second, "ack.seq") };
    }
    default:
      return { type: "digest", sender, hash: readBytes(first, "digest", 8, 8) };
  }
}

/** The delta in datagram-sized pieces, or undefined when a row does not fit in one. */
export function pieces(delta: Delta): Delta[] | undefined {
  const room = LIMITS.datagramBytesMax - OVERHEAD_BYTES;
  const cut: Delta[] = [];
  let rows: WireRow[] = [];
  let from = delta.from;
  let bytes = 0;
  for (const row of delta.rows) {
    const size = ROW_OVERHEAD_BYTES + Buffer.byteLength(row.key) + (row.bytes?.length ?? 0);
    if (size > room) return undefined;
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
