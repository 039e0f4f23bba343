/**
 * The `ranges` rows: what each store publishes of a pool, and what can be read from all of them.
 * Row key = CIDR, value = [meshId, store, subnet, ownership, used].
 *
 * A store publishes the records that name it as owner or as writer, beyond the first division that
 * all compute. The view of a pool is the join of them all, so a gift whose answer was lost is in
 * the giver's row until the new owner shows it too.
 *
 * Law: rows of another mesh are not merged. Use counts inform people and choose donors, nothing
 * depends on them.
 */
import {
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
import type { Ownership, StoreId } from "./ownership.ts";
import { decodeOwnership, encodeOwnership, readStore } from "./ownership-codec.ts";
import type { Pool } from "./pool.ts";
import type { State } from "./state.ts";

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

/** Writes or removes this store's row of a pool. */
export function publish(tables: Tables, state: State, pool: Pool): void {
  const records = published(pool);
  if (state.founding === undefined || (!pool.open && records.length === 0)) {
    tables.remove("ranges", pool.cidr.text);
    return;
  }
  tables.put("ranges", pool.cidr.text, [
    state.founding.meshId,
    state.store,
    pool.cidr.text,
    encodeOwnership(records, pool.cidr.bits),
    pool.leases.count,
  ]);
}

/** @throws TsweaveError BAD_MESSAGE or CONFIG. */
export function readRangesRow(value: WireValue): RangesHeader & { readonly records: Ownership } {
  const header = readHeader(value);
  const records = readArray(value, "ranges", 5, 16)[3];
  return { ...header, records: decodeOwnership(records, "ranges", header.cidr) };
}

function readHeader(value: WireValue): RangesHeader {
  const [mesh, store, subnet, , used] = readArray(value, "ranges", 5, 16);
  return {
    meshId: readStore(mesh, "ranges.meshId"),
    store: readStore(store, "ranges.store"),
    cidr: parseCidr(readString(subnet, "ranges.subnet", 64)),
    used: readInteger(used, "ranges.used"),
  };
}

/** Which peer runs a store now, and how much of a pool it uses. */
export interface Directory {
  /** Undefined when no known peer runs the store any more. */
  peerOf(store: StoreId): PeerId | undefined;
  /** Whether the peer of `peerOf` has itself been heard to run this store. */
  used(store: StoreId, cidr: string): number;
}

/** The directory from the rows of all peers; founders count until their peer shows otherwise. */
export function directoryOf(tables: Tables, state: State, log: Log): Directory {
  const storeOfPeer = new Map<PeerId, StoreId>();
  const used = new Map<string, number>();
  for (const row of tables.rows("ranges")) {
    const header = tryRead(row, log, readHeader);
    if (header === undefined || header.meshId !== state.founding?.meshId) continue;
    storeOfPeer.set(row.origin, header.store);
    used.set(`${header.store} ${header.cidr.text}`, header.used);
  }
  const peers = new Map<StoreId, PeerId>();
  for (const { store, peer } of state.founding?.founders ?? []) {
    if (storeOfPeer.get(peer) === undefined) peers.set(store, peer);
  }
  for (const [peer, store] of storeOfPeer) peers.set(store, peer);
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
