/**
 * Everything known of one origin: its rows, each with the sequence number of its last change.
 *
 * Law: single writer. Within an incarnation the higher sequence number wins a row, so a merge is
 * a join: any order, loss and duplication of deltas leads to the same rows. A tombstone may be
 * dropped at any time by raising `floor`; whoever is behind the floor takes the whole log.
 */
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { decodeWire } from "../wire/msgpack.ts";
import type { Delta, WireRow } from "./messages.ts";

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

export class OriginLog {
  readonly origin: PeerId;
  readonly incarnation: number;
  /** Every change up to here is included. */
  seq = 0;
  /** Deltas can be served to whoever has at least this. */
  floor = 0;
  /** BOUNDED: rowsPerOriginMax + tombstonesMax, by `apply` and `#dropTombstones`. */
  readonly #rows = new Map<string, HeldRow>();
  #tombstones = 0;

  constructor(origin: PeerId, incarnation: number) {
    this.origin = origin;
    this.incarnation = incarnation;
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

  /** The encoded value of a live row. */
  bytesOf(table: string, key: string): Uint8Array | null {
    return this.#rows.get(`${table}\n${key}`)?.bytes ?? null;
  }

  /** One change by the origin itself: the next sequence number. */
  write(table: string, key: string, bytes: Uint8Array | null): HeldChange[] {
    const change = this.#set({ table, key, seq: this.seq + 1, bytes });
    this.seq += 1;
    this.#dropTombstones();
    return change;
  }

  /**
   * Joins a delta of this incarnation. Rows beyond a gap are applied too, but the log's sequence
   * number does not pass the gap: `gap` asks for an exchange.
   */
  apply(delta: Delta): { changes: HeldChange[]; gap: boolean } {
    const changes: HeldChange[] = [];
    for (const row of delta.rows) changes.push(...this.#set(row));
    if (delta.whole) changes.push(...this.#dropMissing(delta));
    const gap = delta.from > this.seq;
    if (!gap && delta.to > this.seq) this.seq = delta.to;
    if (delta.whole && delta.to > this.floor) this.floor = Math.min(delta.to, this.seq);
    this.#dropTombstones();
    return { changes, gap };
  }

  /**
   * What somebody who has `seq` of this incarnation lacks; the whole log when that was cut. Rows
   * held beyond a gap are included: leaving them out would make their older state look removed.
   */
  deltaFrom(seq: number): Delta {
    const whole = seq < this.floor;
    const rows: WireRow[] = [];
    for (const row of this.#rows.values()) {
      if (whole ? row.bytes === null : row.seq <= seq) continue;
      rows.push({ table: row.table, key: row.key, seq: row.seq, bytes: row.bytes });
    }
    rows.sort((a, b) => a.seq - b.seq);
    return {
      origin: this.origin,
      incarnation: this.incarnation,
      from: whole ? 0 : seq,
      to: this.seq,
      whole,
      rows,
    };
  }

  #set(row: WireRow): HeldChange[] {
    const id = `${row.table}\n${row.key}`;
    const held = this.#rows.get(id);
    if (held !== undefined && held.seq >= row.seq) return [];
    if (held === undefined && this.liveCount >= LIMITS.rowsPerOriginMax) return [];
    const value = row.bytes === null ? undefined : decodeWire(row.bytes);
    if (held?.bytes === null) this.#tombstones -= 1;
    if (row.bytes === null) this.#tombstones += 1;
    this.#rows.set(id, { ...row, value });
    if (value === undefined && held?.value === undefined) return [];
    return [{ table: row.table, key: row.key, value }];
  }

  /** Rows that a whole log up to `delta.to` does not contain were removed. */
  #dropMissing(delta: Delta): HeldChange[] {
    const present = new Set(delta.rows.map((row) => `${row.table}\n${row.key}`));
    const gone: HeldChange[] = [];
    for (const [id, row] of this.#rows) {
      if (row.seq > delta.to || present.has(id)) continue;
      this.#rows.delete(id);
      if (row.bytes === null) this.#tombstones -= 1;
      else gone.push({ table: row.table, key: row.key, value: undefined });
    }
    return gone;
  }

  #dropTombstones(): void {
    if (this.#tombstones <= LIMITS.tombstonesMax) return;
    const dead = [...this.#rows].filter(([, row]) => row.bytes === null && row.seq <= this.seq);
    dead.sort(([, a], [, b]) => a.seq - b.seq);
    for (const [id, row] of dead.slice(0, Math.ceil(LIMITS.tombstonesMax / 2))) {
      this.#rows.delete(id);
      this.#tombstones -= 1;
      this.floor = Math.max(this.floor, row.seq);
    }
  }
}
