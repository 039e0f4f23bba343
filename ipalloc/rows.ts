/**
 * The `ranges` rows: what each store publishes of a pool, and what can be read from all of them.
 * Row key = CIDR, value = [meshId, store, subnet, ownership, used].
 *
 * A store publishes the records that name it as owner or as writer, beyond the first division that
 * all compute. The view of a pool is the join of them all, so a gift whose answer was lost is in
 * the giver's row until the new owner shows it too.
 *
 * Law: rows of another mesh, and of stores that are not in the roster, are not merged. Use counts
 * inform people and choose donors, nothing depends on them.
 */
import {
  LIMITS,
  type Log,
  messageOf,
  type PeerId,
  readArray,
  readInteger,
  readString,
  type TableRow,
  type Tables,
  type WireValue,
} from "../mesh/index.ts";
import { type Cidr, parseCidr } from "./cidr.ts";
import { join, type OwnerRecord, type Ownership, type StoreId } from "./ownership.ts";
import { decodeOwnership, encodeOwnership, readStore } from "./ownership-codec.ts";
import type { Pool } from "./pool.ts";
import { once } from "./read-once.ts";
import type { Roster } from "./roster.ts";
import type { State } from "./state.ts";
import { standing, type Witness } from "./witness.ts";

interface RangesHeader {
  readonly meshId: string;
  readonly store: StoreId;
  readonly cidr: Cidr;
  readonly used: number;
}

/** The records of a pool that its store must publish. */
export function published(pool: Pool): Ownership {
  return pool.ownership.filter(
    ({ generation, step, owner, by }) =>
      generation + step > 0 && (owner === pool.store || by === pool.store),
  );
}

/**
 * What this store shows of a pool: what it must, and what it knows of space that nobody in the
 * roster owns. Of a chain of removed stores the last hand may be known to one member only.
 */
export function shownOf(state: State, pool: Pool): Ownership {
  const { removedAt = 0 } = state.roster ?? {};
  if (removedAt === 0) return published(pool);
  const isOwn = ({ owner, by }: OwnerRecord) => owner === pool.store || by === pool.store;
  const records = pool.ownership.filter(
    (one) => one.generation + one.step > 0 && (isOwn(one) || !state.isPeer(one.owner)),
  );
  if (records.length <= LIMITS.intervalsPerRowMax) return records;
  // The rest of the orphaned follows when these were taken over.
  const room = LIMITS.intervalsPerRowMax - records.filter(isOwn).length;
  let orphans = 0;
  return records.filter((one) => isOwn(one) || ++orphans <= room);
}

/** What was shown of a view last. */
interface Shown {
  readonly store: StoreId;
  readonly roster: Roster | undefined;
  readonly witnessed: Ownership;
  readonly count: number;
  readonly encoded: WireValue;
}

/** Most rows are written again for the use count alone. BOUNDED: an entry goes with its view. */
const shownBefore = new WeakMap<Ownership, Shown>();

function show(state: State, pool: Pool, witness: Witness): Shown {
  const { store, roster } = state;
  const witnessed = witness.of(pool);
  const before = shownBefore.get(pool.ownership);
  const isSame = before?.store === store && before.roster === roster;
  if (isSame && before.witnessed === witnessed) return before;
  const own = shownOf(state, pool);
  const all = witnessed.length === 0 ? own : join(own, standing(witnessed, pool.ownership));
  const records = all.length <= LIMITS.intervalsPerRowMax ? all : own;
  const encoded = encodeOwnership(records, pool.cidr.bits);
  const shown = { store, roster, witnessed, count: records.length, encoded };
  shownBefore.set(pool.ownership, shown);
  return shown;
}

/** Writes or removes this store's row of a pool. */
export function publish(tables: Tables, state: State, pool: Pool, witness: Witness): void {
  const { count, encoded } = show(state, pool, witness);
  const { text } = pool.cidr;
  if (state.founding === undefined || (!pool.open && count === 0)) {
    tables.remove("ranges", text);
    return;
  }
  const { meshId } = state.founding;
  tables.put("ranges", text, [meshId, state.store, text, encoded, pool.leases.count]);
}

/** @throws TsweaveError BAD_MESSAGE or CONFIG. */
export function readRangesRow(value: WireValue): RangesHeader & { readonly records: Ownership } {
  const header = readHeader(value);
  const records = readArray(value, "ranges", 5, 16)[3];
  return { ...header, records: decodeOwnership(records, "ranges", header.cidr) };
}

const readHeader = once((value: WireValue): RangesHeader => {
  const [mesh, store, subnet, , used] = readArray(value, "ranges", 5, 16);
  return {
    meshId: readStore(mesh, "ranges.meshId"),
    store: readStore(store, "ranges.store"),
    cidr: parseCidr(readString(subnet, "ranges.subnet", 64)),
    used: readInteger(used, "ranges.used"),
  };
});

/**
 * What of another store's records may be merged here (R3, R6). Nothing of who is no member; of a
 * member what names it, and what it knows of space that no member owns. A gift to this store counts
 * only from a member and to a member.
 */
export function acceptable(state: State, records: Ownership, from: StoreId | undefined): Ownership {
  if (from !== undefined && !state.isPeer(from)) return [];
  return records.filter(({ owner, by }) => {
    const names = from === undefined || owner === from || by === from;
    if (!names && state.isPeer(owner)) return false;
    return owner !== state.store || (state.isMember && state.isPeer(by));
  });
}

/** What members show of their own in a pool. */
export function shownByOwners(tables: Tables, state: State, cidr: Cidr, log: Log): Ownership {
  let shown: Ownership = [];
  for (const row of tables.rows("ranges")) {
    if (row.key !== cidr.text) continue;
    const read = tryRead(row, log, readRangesRow);
    if (read === undefined || !state.isPeer(read.store) || read.store === state.store) continue;
    shown = join(
      shown,
      read.records.filter(({ owner }) => owner === read.store),
    );
  }
  return shown;
}

/** Which peer runs a store now, and how much of a pool it uses. */
export interface Directory {
  /** The peer that runs a store, or ran it; undefined when the roster does not name it. */
  peerOf(store: StoreId): PeerId | undefined;
  used(store: StoreId, cidr: string): number;
}

/** The directory: peers by the roster, use by the rows. */
export function directoryOf(tables: Tables, state: State, log: Log): Directory {
  const used = new Map<string, number>();
  for (const row of tables.rows("ranges")) {
    const header = tryRead(row, log, readHeader);
    if (header === undefined || header.meshId !== state.founding?.meshId) continue;
    used.set(`${header.store} ${header.cidr.text}`, header.used);
  }
  const { members = [], former = [] } = state.roster ?? {};
  const peers = new Map([...former, ...members].map(({ store, peer }) => [store, peer]));
  return {
    peerOf: (store) => peers.get(store),
    used: (store, cidr) => used.get(`${store} ${cidr}`) ?? 0,
  };
}

/** What `read` makes of a row, or undefined with a line in the log. */
export function tryRead<T>(
  row: Pick<TableRow, "origin" | "table" | "key"> & { readonly value: WireValue },
  log: Log,
  read: (value: WireValue) => T,
): T | undefined {
  try {
    return read(row.value);
  } catch (error) {
    const { origin, table, key } = row;
    log.warn({ peer: origin, table, key, err: messageOf(error) }, "a row cannot be read");
    return undefined;
  }
}
