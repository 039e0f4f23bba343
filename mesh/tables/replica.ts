/**
 * All origins' logs together: this peer's copy of what the mesh knows.
 *
 * Law: merge is a join over (incarnation, sequence) per origin, so replicas that have taken in
 * the same changes are byte-equal, whatever order they came in. Only the origin writes its log.
 * What was forgotten of a peer that does not return leaves its entry behind, so that nobody's
 * copy brings it back; the peer itself does.
 */
import { TsweaveError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { PeerId, WireValue } from "../ports.ts";
import { decodeWire, encodeWire } from "../wire/msgpack.ts";
import { readArray } from "../wire/read.ts";
import { type Delta, deltaFromWire, deltaToWire, type VectorEntry } from "./messages.ts";
import { type HeldChange, OriginLog, sizeOf } from "./origin-log.ts";
import { type RowChange, TABLES, type TableName, type TableRow } from "./types.ts";
import { ALL_BUCKETS, inMask, VectorHash } from "./vector-hash.ts";

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
  readonly #hash = new VectorHash();
  /** How many logs were forgotten here so far. */
  forgets = 0;

  constructor(self: PeerId, incarnation: number) {
    this.self = self;
    this.#own = new OriginLog(self, incarnation);
    this.#hold(this.#own);
  }

  get ownSeq(): number {
    return this.#own.seq;
  }

  /** How many changes are held of all origins. */
  get changes(): number {
    let sum = 0;
    for (const { seq } of this.#logs.values()) sum += seq;
    return sum;
  }

  /** How many changes the holder of `theirs` has that are missing here. */
  missing(theirs: readonly VectorEntry[]): number {
    let sum = 0;
    for (const { origin, incarnation, seq } of theirs) {
      const log = this.#logs.get(origin);
      const isSame = log?.incarnation === incarnation && !log.hollow;
      if (log === undefined || log.incarnation < incarnation) sum += seq;
      else if (isSame) sum += Math.max(0, seq - log.seq);
    }
    return sum;
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
    const added = sizeOf({ key, bytes }) - (held === null ? 0 : sizeOf({ key, bytes: held }));
    if (added > 0 && this.#own.bytes + added > LIMITS.originBytesMax) {
      throw new TsweaveError("INTERNAL", `this host's rows fill ${LIMITS.originBytesMax} bytes`);
    }
    return this.#write(table, key, bytes);
  }

  /** Removes an own row, leaving a tombstone. */
  remove(table: TableName, key: string): RowChange[] {
    return this.#own.bytesOf(table, key) === null ? [] : this.#write(table, key, null);
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
    if (isNewer || held.hollow || delta.hollow) return this.#mergeLife(held, isNewer, delta);
    this.#hash.flip(held.entry);
    try {
      const { changes, gap } = held.apply(delta);
      return { changes: named(delta.origin, changes), behind: gap, cloned: false };
    } finally {
      this.#hash.flip(held.entry);
    }
  }

  /** How far a log is held, undefined when there is none or its rows were forgotten. */
  held(origin: PeerId): VectorEntry | undefined {
    const log = this.#logs.get(origin);
    return log?.hollow ? undefined : log?.entry;
  }

  /** Whether the rows of an origin were forgotten. */
  isForgotten(origin: PeerId): boolean {
    return this.#logs.get(origin)?.hollow === true;
  }

  /** Other origins whose rows are held. */
  origins(): PeerId[] {
    const others = [...this.#logs.values()].filter((log) => log !== this.#own && !log.hollow);
    return others.map(({ origin }) => origin);
  }

  /** How far each log in the masked buckets is held, by origin. */
  vector(mask = ALL_BUCKETS): VectorEntry[] {
    return [...this.#logs.values()]
      .map((log) => log.entry)
      .filter(({ origin }) => inMask(mask, origin))
      .sort((a, b) => (a.origin < b.origin ? -1 : 1));
  }

  /** Eight bytes that are equal exactly when the vectors are, but for logs without a change. */
  digest(): Uint8Array {
    return this.#hash.state();
  }

  /** 32 hashes of four bytes: where vectors differ. */
  buckets(): Uint8Array {
    return this.#hash.buckets();
  }

  /** The buckets in which another peer's vector differs from this one's. */
  differing(buckets: Uint8Array, digest: Uint8Array): number {
    return this.#hash.differing(buckets, digest);
  }

  /**
   * What the holder of `theirs`, its entries in the masked buckets, lacks: about `bytesMax` of it
   * and `more` when that is not all.
   */
  deltasFor(
    theirs: readonly VectorEntry[],
    bytesMax: number,
    mask = ALL_BUCKETS,
  ): { readonly deltas: Delta[]; readonly more: boolean } {
    const known = new Map(theirs.map((entry) => [entry.origin, entry]));
    const deltas: Delta[] = [];
    let bytes = 0;
    for (const log of this.#logs.values()) {
      const entry = known.get(log.origin);
      if (!inMask(mask, log.origin) || (entry !== undefined && !isAhead(log, entry))) continue;
      if (bytes >= bytesMax) return { deltas, more: true };
      const sameLife = entry?.incarnation === log.incarnation && !log.hollow;
      const delta = sameLife ? log.deltaFrom(entry.seq, bytesMax - bytes) : log.whole();
      deltas.push(delta);
      for (const row of delta.rows) bytes += sizeOf(row);
      if (delta.to < log.seq) return { deltas, more: true };
    }
    return { deltas, more: false };
  }

  /** Own changes after `seq`. */
  ownDelta(seq: number): Delta {
    return this.#own.deltaFrom(seq);
  }

  /**
   * Drops the rows of a peer that does not return and keeps how far its log went. Its rows come
   * back only with the peer: by a later change of its own, or after `revive`. `forAll`: the entry
   * goes one further than the log did, so that whoever is compared with drops them, too.
   */
  forget(origin: PeerId, forAll: boolean): RowChange[] {
    const held = this.#logs.get(origin);
    if (held === undefined || held === this.#own || held.hollow) return [];
    const { incarnation } = held;
    const hollow = hollowDelta({ origin, incarnation, seq: held.seq + (forAll ? 1 : 0) });
    this.forgets += 1;
    return [...this.#replace(held, hollow).changes];
  }

  /** A peer in this life was found equal to this one: if no log of it is held, it wrote nothing. */
  foundEqual(origin: PeerId, incarnation: number): void {
    if (this.#logs.has(origin) || !this.#makeRoom(false)) return;
    this.#hold(new OriginLog(origin, incarnation));
  }

  /** A forgotten peer is back: its entry goes, so that its log is fetched whole. */
  revive(origin: PeerId): void {
    const held = this.#logs.get(origin);
    if (held?.hollow) this.#release(held);
  }

  /** The logs of all other origins, to be read back by `restore` in the next life. */
  dump(): Uint8Array {
    return encodeWire(this.#others([]).map(deltaToWire));
  }

  /** As `dump`, what `saved` does not hold; undefined when that is nothing. */
  dumpSince(saved: readonly VectorEntry[]): Uint8Array | undefined {
    const deltas = this.#others(saved);
    return deltas.length === 0 ? undefined : encodeWire(deltas.map(deltaToWire));
  }

  /** @throws TsweaveError BAD_MESSAGE on bytes that `dump` did not write. */
  restore(bytes: Uint8Array): void {
    for (const item of readArray(decodeWire(bytes), "tables", 0, LIMITS.peersMax)) {
      this.merge(deltaFromWire(item));
    }
  }

  #others(saved: readonly VectorEntry[]): Delta[] {
    const { deltas } = this.deltasFor(saved, Number.POSITIVE_INFINITY);
    return deltas.filter((delta) => delta.origin !== this.self);
  }

  #write(table: TableName, key: string, bytes: Uint8Array | null): RowChange[] {
    this.#hash.flip(this.#own.entry);
    const changes = this.#own.write(table, key, bytes);
    this.#hash.flip(this.#own.entry);
    return named(this.self, changes);
  }

  /** Where a life begins or its rows are forgotten: the log is replaced, at once or not at all. */
  #mergeLife(held: OriginLog | undefined, isNewer: boolean, delta: Delta): Merged {
    if (!isNewer && delta.to <= (held?.seq ?? 0)) return NOTHING;
    const complete = delta.whole || (held === undefined && delta.from === 0);
    if (complete) return this.#replace(held, delta);
    // News of a forgotten peer: without its entry the exchange fetches the whole log.
    if (held?.hollow) this.#release(held);
    return { ...NOTHING, behind: true };
  }

  #replace(held: OriginLog | undefined, delta: Delta): Merged {
    if (held === undefined && !this.#makeRoom(delta.hollow === true)) return NOTHING;
    const fresh = new OriginLog(delta.origin, delta.incarnation, delta.hollow);
    fresh.apply(delta);
    if (held !== undefined) this.#release(held);
    this.#hold(fresh);
    return { changes: difference(delta.origin, held, fresh), behind: false, cloned: false };
  }

  /** Where no further origin fits, the entry of the one forgotten longest ago goes. */
  #makeRoom(forForgotten: boolean): boolean {
    if (this.#logs.size < LIMITS.peersMax) return true;
    if (forForgotten) return false;
    const forgotten = [...this.#logs.values()].find((log) => log.hollow);
    if (forgotten === undefined) return false;
    this.#release(forgotten);
    return true;
  }

  #hold(log: OriginLog): void {
    this.#logs.set(log.origin, log);
    this.#hash.flip(log.entry);
  }

  #release(log: OriginLog): void {
    this.#hash.flip(log.entry);
    this.#logs.delete(log.origin);
  }

  #isLaterSelf(delta: Delta): boolean {
    const own = this.#own;
    // Nobody spoke in this peer's name: it was taken for gone.
    if (delta.hollow) return false;
    if (delta.incarnation !== own.incarnation) return delta.incarnation > own.incarnation;
    return delta.to > own.seq;
  }
}

const NOTHING: Merged = { changes: [], behind: false, cloned: false };

function isAhead(log: OriginLog, entry: VectorEntry): boolean {
  if (log.incarnation !== entry.incarnation) return log.incarnation > entry.incarnation;
  return log.seq > entry.seq;
}

function hollowDelta({ origin, incarnation, seq }: VectorEntry): Delta {
  const whole = { from: 0, to: seq, floor: seq, whole: true, hollow: true, rows: [] };
  return { origin, incarnation, ...whole };
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
