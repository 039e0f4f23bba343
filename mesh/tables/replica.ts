/**
 * All origins' logs together: this peer's copy of what the mesh knows.
 *
 * Law: merge is a join over (incarnation, sequence) per origin, so replicas that have taken in
 * the same changes are byte-equal, whatever order they came in. Only the origin writes its log.
 */
import { createHash } from "node:crypto";
import { TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { decodeWire, encodeWire } from "../wire/msgpack.ts";
import { readArray } from "../wire/read.ts";
import { type Delta, deltaFromWire, deltaToWire, type VectorEntry } from "./messages.ts";
import { type HeldChange, OriginLog } from "./origin-log.ts";
import { type RowChange, TABLES, type TableName, type TableRow } from "./types.ts";

export interface Merged {
  readonly changes: readonly RowChange[];
  /** The sender has changes of an origin that are missing here: exchange digests with it. */
  readonly behind: boolean;
  /** Somebody holds a later log under this peer's own id. */
  readonly cloned: boolean;
}

export class Replica {
  readonly self: PeerId;
  readonly #own: OriginLog;
  /** BOUNDED: peersMax origins. */
  readonly #logs = new Map<PeerId, OriginLog>();

  constructor(self: PeerId, incarnation: number) {
    this.self = self;
    this.#own = new OriginLog(self, incarnation);
    this.#logs.set(self, this.#own);
  }

  get ownSeq(): number {
    return this.#own.seq;
  }

  get ownIncarnation(): number {
    return this.#own.incarnation;
  }

  /** Writes an own row; nothing happens when its value is already that. */
  put(table: TableName, key: string, value: WireValue): RowChange[] {
    const bytes = encodeWire(value);
    if (bytes.length > LIMITS.rowBytesMax || key.length > LIMITS.rowKeyLengthMax) {
      throw new TsweaveError("INTERNAL", `row ${table}/${key} is too large: ${bytes.length} bytes`);
    }
    const held = this.#own.bytesOf(table, key);
    if (held !== null && Buffer.compare(held, bytes) === 0) return [];
    if (held === null && this.#own.liveCount >= LIMITS.rowsPerOriginMax) {
      throw new TsweaveError("INTERNAL", `this host has ${LIMITS.rowsPerOriginMax} rows already`);
    }
    return named(this.self, this.#own.write(table, key, bytes));
  }

  /** Removes an own row, leaving a tombstone. */
  remove(table: TableName, key: string): RowChange[] {
    if (this.#own.bytesOf(table, key) === null) return [];
    return named(this.self, this.#own.write(table, key, null));
  }

  rows(table: TableName): TableRow[] {
    const found: TableRow[] = [];
    for (const log of this.#logs.values()) {
      for (const row of log.rows()) {
        if (row.table === table) found.push({ origin: log.origin, table, ...pick(row) });
      }
    }
    return found;
  }

  /** Joins one delta. */
  merge(delta: Delta): Merged {
    const held = this.#logs.get(delta.origin);
    if (delta.origin === this.self) return { ...NOTHING, cloned: this.#isLaterSelf(delta) };
    const isNewer = held === undefined || delta.incarnation > held.incarnation;
    if (!isNewer && delta.incarnation < held.incarnation) return NOTHING;
    if (isNewer) {
      // A new life replaces the old rows at once or not at all: no row flaps while it is fetched.
      if (!delta.whole && (held !== undefined || delta.from > 0)) {
        return { ...NOTHING, behind: true };
      }
      return this.#replace(held, delta);
    }
    const { changes, gap } = held.apply(delta);
    return { changes: named(delta.origin, changes), behind: gap, cloned: false };
  }

  /** How far each log is held, by origin. */
  vector(): VectorEntry[] {
    return [...this.#logs.values()]
      .map(({ origin, incarnation, seq }) => ({ origin, incarnation, seq }))
      .sort((a, b) => (a.origin < b.origin ? -1 : 1));
  }

  /** Eight bytes that are equal exactly when the vectors are. */
  digest(): Uint8Array {
    const hash = createHash("sha256");
    for (const { origin, incarnation, seq } of this.vector()) {
      hash.update(`${origin} ${incarnation} ${seq}\n`);
    }
    return hash.digest().subarray(0, 8);
  }

  /** How many origins' logs reach further here than `theirs` says. */
  originsAhead(theirs: readonly VectorEntry[]): number {
    const known = new Map(theirs.map((entry) => [entry.origin, entry]));
    return [...this.#logs.values()].filter((log) => {
      const entry = known.get(log.origin);
      return entry === undefined || isAhead(log, entry);
    }).length;
  }

  /** What the holder of `theirs` lacks, at most about `bytesMax` of it (at least one delta). */
  deltasFor(theirs: readonly VectorEntry[], bytesMax: number): Delta[] {
    const known = new Map(theirs.map((entry) => [entry.origin, entry]));
    const deltas: Delta[] = [];
    let bytes = 0;
    for (const log of this.#logs.values()) {
      const entry = known.get(log.origin);
      if (entry !== undefined && !isAhead(log, entry)) continue;
      if (bytes > bytesMax) break;
      const sameLife = entry?.incarnation === log.incarnation;
      const delta = sameLife ? log.deltaFrom(entry.seq) : { ...log.deltaFrom(0), whole: true };
      deltas.push(delta);
      for (const row of delta.rows) bytes += 48 + row.key.length + (row.bytes?.length ?? 0);
    }
    return deltas;
  }

  /** Own changes after `seq`. */
  ownDelta(seq: number): Delta {
    return this.#own.deltaFrom(seq);
  }

  /** The logs of all other origins, to be read back by `restore` in the next life. */
  dump(): Uint8Array {
    const others = [...this.#logs.values()].filter((log) => log !== this.#own);
    return encodeWire(others.map((log) => deltaToWire({ ...log.deltaFrom(0), whole: true })));
  }

  /** @throws TsweaveError BAD_MESSAGE on bytes that `dump` did not write. */
  restore(bytes: Uint8Array): void {
    for (const item of readArray(decodeWire(bytes), "tables", 0, LIMITS.peersMax)) {
      this.merge(deltaFromWire(item));
    }
  }

  #replace(held: OriginLog | undefined, delta: Delta): Merged {
    if (held === undefined && this.#logs.size >= LIMITS.peersMax) return NOTHING;
    const fresh = new OriginLog(delta.origin, delta.incarnation);
    fresh.apply(delta);
    this.#logs.set(delta.origin, fresh);
    return { changes: difference(delta.origin, held, fresh), behind: false, cloned: false };
  }

  #isLaterSelf(delta: Delta): boolean {
    const own = this.#own;
    if (delta.incarnation !== own.incarnation) return delta.incarnation > own.incarnation;
    return delta.to > own.seq;
  }
}

const NOTHING: Merged = { changes: [], behind: false, cloned: false };

function isAhead(log: OriginLog, entry: VectorEntry): boolean {
  if (log.incarnation !== entry.incarnation) return log.incarnation > entry.incarnation;
  return log.seq > entry.seq;
}

function pick(row: { key: string; value: WireValue }): { key: string; value: WireValue } {
  return { key: row.key, value: row.value };
}

function named(origin: PeerId, changes: readonly HeldChange[]): RowChange[] {
  return changes.flatMap((change) => {
    const table = TABLES.find((name) => name === change.table);
    return table === undefined ? [] : [{ origin, table, key: change.key, value: change.value }];
  });
}

/** Net changes between two lives of one origin: an unchanged row is not reported. */
function difference(origin: PeerId, before: OriginLog | undefined, after: OriginLog): RowChange[] {
  const changes: HeldChange[] = [];
  for (const row of before?.rows() ?? []) {
    if (after.bytesOf(row.table, row.key) === null) changes.push({ ...row, value: undefined });
  }
  for (const row of after.rows()) {
    const old = before?.bytesOf(row.table, row.key);
    const now = after.bytesOf(row.table, row.key);
    if (old && now && Buffer.compare(old, now) === 0) continue;
    changes.push(row);
  }
  return named(origin, changes);
}
