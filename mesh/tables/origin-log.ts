/**
 * Everything known of one origin: its rows, each with the sequence number of its last change.
 *
 * Law: single writer. Within an incarnation the higher sequence number wins a row, so a merge is
 * a join: any order, loss and duplication of deltas leads to the same rows. A tombstone may be
 * dropped at any time by raising `floor`; whoever is behind the floor takes the whole log, and
 * what is at or below `seq` is never taken in again, so no dropped row comes back.
 */
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { decodeWire } from "../wire/msgpack.ts";
import { type Delta, ROWS_HELD_MAX, type VectorEntry, type WireRow } from "./messages.ts";

/** A row as held: `bytes` is its msgpack value, null marks a tombstone. */
interface HeldRow {
  readonly table: string;
  readonly key: string;
  readonly seq: number;
  readonly bytes: Uint8Array | null;
  readonly value: WireValue | undefined;
}

/** A net change of one row, `value` undefined when it is gone. */
export interface HeldChange {
  readonly table: string;
  readonly key: string;
  readonly value: WireValue | undefined;
}

/** Bytes of a row beside its key and value, as counted against the bounds. */
const ROW_BYTES = 48;

export class OriginLog {
  readonly origin: PeerId;
  readonly incarnation: number;
  /** True when the rows were forgotten: the log only says how far it went. */
  readonly hollow: boolean;
  #seq = 0;
  #floor = 0;
  /** BOUNDED: ROWS_HELD_MAX rows and originBytesMax bytes, by `#set`. */
  readonly #rows = new Map<string, HeldRow>();
  #tombstones = 0;
  #bytes = 0;

  constructor(origin: PeerId, incarnation: number, hollow = false) {
    this.origin = origin;
    this.incarnation = incarnation;
    this.hollow = hollow;
  }

  /** Every change up to here is included. */
  get seq(): number {
    return this.#seq;
  }

  /** Deltas can be served to whoever has at least this. */
  get floor(): number {
    return this.#floor;
  }

  get entry(): VectorEntry {
    return { origin: this.origin, incarnation: this.incarnation, seq: this.#seq };
  }

  /** Live rows. */
  *rows(): Iterable<{ table: string; key: string; value: WireValue }> {
    for (const row of this.#rows.values()) {
      if (row.value !== undefined) yield { table: row.table, key: row.key, value: row.value };
    }
  }

  get liveCount(): number {
    return this.#rows.size - this.#tombstones;
  }

  /** Bytes of keys and values held, tombstones included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The encoded value of a live row. */
  bytesOf(table: string, key: string): Uint8Array | null {
    return this.#rows.get(idOf(table, key))?.bytes ?? null;
  }

  /** One change by the origin itself: the next sequence number. */
  write(table: string, key: string, bytes: Uint8Array | null): HeldChange[] {
    const change = this.#set(heldRow({ table, key, seq: this.#seq + 1, bytes }));
    this.#seq += 1;
    this.#dropTombstones();
    return change;
  }

  /**
   * Joins a delta of this incarnation. Rows beyond a gap are applied too, but the log's sequence
   * number does not pass the gap: `gap` asks for an exchange.
   */
  apply(delta: Delta): { changes: HeldChange[]; gap: boolean } {
    const changes: HeldChange[] = [];
    // Read before anything changes: a value that does not decode spoils the delta, not the log.
    const news = delta.rows.filter((row) => row.seq > this.#seq).map(heldRow);
    if (delta.whole && delta.to > this.#seq) changes.push(...this.#dropMissing(delta));
    for (const row of news) changes.push(...this.#set(row));
    const gap = !delta.whole && delta.from > this.#seq;
    if (!gap && delta.to > this.#seq) {
      this.#seq = delta.to;
      if (delta.whole) this.#floor = Math.max(this.#floor, delta.floor ?? delta.to);
    }
    this.#dropTombstones();
    return { changes, gap };
  }

  /**
   * What somebody who has `seq` of this incarnation lacks: an interval of at most about `bytesMax`,
   * or the whole log when `seq` is behind the floor. Rows held beyond a gap are included: leaving
   * them out would make their older state look removed.
   */
  deltaFrom(seq: number, bytesMax = Number.POSITIVE_INFINITY): Delta {
    if (seq < this.#floor) return this.whole();
    const rows = [...this.#rows.values()].filter((row) => row.seq > seq).sort(bySeq);
    let bytes = 0;
    const end = rows.findIndex((row) => {
      const full = bytes >= bytesMax;
      bytes += sizeOf(row);
      return full;
    });
    const sent = end < 0 ? rows : rows.slice(0, end);
    const to = end < 0 ? this.#seq : Math.min(this.#seq, sent.at(-1)?.seq ?? seq);
    const { origin, incarnation } = this;
    return { origin, incarnation, from: seq, to, whole: false, rows: sent.map(wireRow) };
  }

  /** Everything: what is missing from it was removed. */
  whole(): Delta {
    const { origin, incarnation, hollow } = this;
    const rows = [...this.#rows.values()].sort(bySeq).map(wireRow);
    const [to, floor] = [this.#seq, this.#floor];
    return { origin, incarnation, from: 0, to, whole: true, rows, floor, hollow };
  }

  #set(row: HeldRow): HeldChange[] {
    const id = idOf(row.table, row.key);
    const held = this.#rows.get(id);
    if (held !== undefined && held.seq >= row.seq) return [];
    const grown = this.#bytes + sizeOf(row) - (held === undefined ? 0 : sizeOf(held));
    // Only an origin that breaks its own bounds gets here: its row is lost, nobody else's.
    if (held === undefined && this.#rows.size >= ROWS_HELD_MAX) return [];
    if (grown > this.#bytes && grown > 2 * LIMITS.originBytesMax) return [];
    if (held?.bytes === null) this.#tombstones -= 1;
    if (row.bytes === null) this.#tombstones += 1;
    this.#bytes = grown;
    this.#rows.set(id, row);
    // A row that went and came back in between, or was written again, is no news.
    if (isSame(held?.bytes ?? null, row.bytes)) return [];
    return [{ table: row.table, key: row.key, value: row.value }];
  }

  /** Rows that a whole log up to `delta.to` does not contain were removed. */
  #dropMissing(delta: Delta): HeldChange[] {
    const present = new Set(delta.rows.map((row) => idOf(row.table, row.key)));
    const gone: HeldChange[] = [];
    for (const [id, row] of this.#rows) {
      if (row.seq > delta.to || present.has(id)) continue;
      this.#delete(id, row);
      if (row.bytes !== null) gone.push({ table: row.table, key: row.key, value: undefined });
    }
    return gone;
  }

  #dropTombstones(): void {
    if (this.#tombstones <= LIMITS.tombstonesMax) return;
    const dead = [...this.#rows].filter(([, row]) => row.bytes === null && row.seq <= this.#seq);
    dead.sort(([, a], [, b]) => a.seq - b.seq);
    for (const [id, row] of dead.slice(0, Math.ceil(LIMITS.tombstonesMax / 2))) {
      this.#delete(id, row);
      this.#floor = Math.max(this.#floor, row.seq);
    }
  }

  #delete(id: string, row: HeldRow): void {
    this.#rows.delete(id);
    this.#bytes -= sizeOf(row);
    if (row.bytes === null) this.#tombstones -= 1;
  }
}

/** Bytes of one row as counted against the bounds. */
export function sizeOf(row: Pick<WireRow, "key" | "bytes">): number {
  return ROW_BYTES + row.key.length + (row.bytes?.length ?? 0);
}

function idOf(table: string, key: string): string {
  return `${table}\n${key}`;
}

function bySeq(a: WireRow, b: WireRow): number {
  return a.seq - b.seq;
}

function isSame(before: Uint8Array | null, after: Uint8Array | null): boolean {
  if (before === null || after === null) return before === after;
  return Buffer.compare(before, after) === 0;
}

function heldRow(row: WireRow): HeldRow {
  return { ...row, value: row.bytes === null ? undefined : decodeWire(row.bytes) };
}

function wireRow({ table, key, seq, bytes }: WireRow): WireRow {
  return { table, key, seq, bytes };
}
