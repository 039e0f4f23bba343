/**
 * What a member wrote, is known here, and is not in its own row any more: its disk was set back.
 * This store shows it in that member's place, so that the member finds out, and gives way to
 * another store whose space can be taken over. So does what it was given by a store that is no
 * member any more, of which nobody else may know.
 *
 * Law: it informs the member alone. Who else reads it takes nothing from it, because a record
 * counts from whom it names; a row that is only late is witnessed for a moment, which its store has
 * on disk.
 */
import { compareRecords, join, news, type Ownership, type StoreId, sweep } from "./ownership.ts";
import type { Pool } from "./pool.ts";

const NOTHING: Ownership = [];

export class Witness {
  /** By pool, then by the store that wrote it. BOUNDED: pools, and stores of the roster. */
  readonly #missed = new Map<Pool, Map<StoreId, Ownership>>();
  /** All of it, joined. BOUNDED: as above. */
  readonly #joined = new Map<Pool, Ownership>();

  /** Compares what a member shows of a pool with what is known. Whether anything is to be shown. */
  look(
    pool: Pool,
    store: StoreId,
    records: Ownership,
    isMember: (store: StoreId) => boolean,
  ): boolean {
    const shouldShow = pool.ownership.filter(
      ({ owner, by, generation, step }) =>
        generation + step > 0 && (by === store || (owner === store && !isMember(by))),
    );
    const missed = news(shouldShow, records);
    const stores = this.#missed.get(pool);
    if (missed.length === 0 && !stores?.has(store)) return false;
    const all = stores ?? new Map<StoreId, Ownership>();
    if (missed.length === 0) all.delete(store);
    else all.set(store, missed);
    this.#missed.set(pool, all);
    this.#joined.set(pool, [...all.values()].reduce(join, NOTHING));
    return true;
  }

  /** What to show of a pool in the place of members; the same array until it changes. */
  of(pool: Pool): Ownership {
    return this.#joined.get(pool) ?? NOTHING;
  }

  /** Forgets who is no member any more. */
  keep(isMember: (store: StoreId) => boolean): void {
    for (const [pool, stores] of this.#missed) {
      for (const store of [...stores.keys()]) if (!isMember(store)) stores.delete(store);
      this.#joined.set(pool, [...stores.values()].reduce(join, NOTHING));
    }
  }
}

/** The part of `witnessed` that is still the newest known. */
export function standing(witnessed: Ownership, view: Ownership): Ownership {
  return sweep(witnessed, view, (then, now) =>
    then !== undefined && now !== undefined && compareRecords(then, now) === 0 ? now : undefined,
  );
}
