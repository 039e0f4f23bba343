/**
 * What a store could give out of a pool, by the generation of its records: space that it took over
 * from removed stores stands behind its own, and is given out only when that is used up.
 *
 * Law: a removal that was wrong costs nothing as long as nothing of the taken space is in use. The
 * host that was only cut off still gives out there, until it hears of the removal.
 */
import { type Interval, type Ownership, recordAt, type StoreId } from "./ownership.ts";
import { type Range, RangeSet } from "./range-set.ts";

export class FreeSpace {
  readonly #store: StoreId;
  /** Rising generations. BOUNDED: those of the view's own intervals; an empty one is dropped. */
  #tiers: { readonly generation: number; readonly free: RangeSet }[] = [];
  #owned = 0n;

  constructor(store: StoreId) {
    this.#store = store;
  }

  /** Addresses that the store owns, free or not. */
  get owned(): bigint {
    return this.#owned;
  }

  /** Number of free addresses. */
  get size(): bigint {
    return this.#tiers.reduce((sum, { free }) => sum + free.size, 0n);
  }

  /** All of it without regard to generations; not to be changed. */
  whole(): RangeSet {
    const [first, ...more] = this.#tiers;
    if (first !== undefined && more.length === 0) return first.free;
    return new RangeSet(this.#tiers.flatMap(({ free }) => [...free.ranges()]));
  }

  /** What is free by generation, the oldest first; not to be changed. */
  byAge(): readonly RangeSet[] {
    return this.#tiers.map(({ free }) => free);
  }

  /** Takes one address out. */
  take(address: bigint): void {
    for (const { free } of this.#tiers) free.remove(address, address + 1n);
  }

  /** Puts one address that `view` says is the store's back. */
  put(view: Ownership, address: bigint): void {
    const record = recordAt(view, address);
    if (record?.owner === this.#store) this.#tier(record.generation).add(address, address + 1n);
  }

  /**
   * The next address of `within` that `fits`: of the lowest generation that has one, from `cursor`
   * on and then from the beginning.
   */
  next(within: Range, cursor: bigint, fits: (address: bigint) => boolean): bigint | undefined {
    const inside = cursor > within.start && cursor < within.end;
    for (const { free } of this.#tiers) {
      for (const from of inside ? [cursor, within.start] : [within.start]) {
        let found = free.firstFrom(from);
        while (found !== undefined && found < within.end) {
          if (fits(found)) return found;
          found = free.firstFrom(found + 1n);
        }
      }
    }
    return undefined;
  }

  /** Follows a change of ownership; `taken` yields what is never free. */
  follow(before: Ownership, after: Ownership, taken: () => Iterable<bigint>): void {
    const isOwn = ({ owner }: Interval) => owner === this.#store;
    const [old, now] = [before.filter(isOwn), after.filter(isOwn)];
    const gained = new RangeSet();
    for (const generation of generationsOf([...old, ...now])) {
      const ofIt = (one: Interval) => one.generation === generation;
      const tier = this.#tier(generation);
      const fresh = new RangeSet(now.filter(ofIt));
      for (const { start, end } of old.filter(ofIt)) fresh.remove(start, end);
      const lost = new RangeSet(old.filter(ofIt));
      for (const { start, end } of now.filter(ofIt)) lost.remove(start, end);
      for (const { start, end } of lost.ranges()) tier.remove(start, end);
      for (const { start, end } of fresh.ranges()) {
        tier.add(start, end);
        gained.add(start, end);
      }
      this.#owned += fresh.size - lost.size;
    }
    if (gained.size > 0n) {
      for (const address of taken()) if (gained.has(address)) this.take(address);
    }
    this.#tiers = this.#tiers.filter(({ free }) => free.size > 0n);
  }

  #tier(generation: number): RangeSet {
    const known = this.#tiers.find((tier) => tier.generation === generation);
    if (known !== undefined) return known.free;
    const free = new RangeSet();
    const behind = this.#tiers.findIndex((tier) => tier.generation > generation);
    const at = behind < 0 ? this.#tiers.length : behind;
    this.#tiers.splice(at, 0, { generation, free });
    return free;
  }
}

function generationsOf(intervals: readonly Interval[]): Set<number> {
  return new Set(intervals.map(({ generation }) => generation));
}
