/**
 * One pool as this host knows it: who owns what, what is given out here, what is free here.
 *
 * Law: every change comes from a durable journal record, so an address can be given out only if a
 * durable record says it is this store's. Free space is a range set: a pool of a million
 * addresses costs a few numbers. Addresses are taken lowest first and onwards (next fit), so that
 * freed ones rest longest.
 */
import { LIMITS } from "../mesh/index.ts";
import { type Cidr, networkOf, usableOf } from "./cidr.ts";
import { Leases } from "./leases.ts";
import { assertOwnership, join, type Ownership, recordAt, type StoreId } from "./ownership.ts";
import type { Range, RangeSet } from "./range-set.ts";

/** Why an address cannot be given out here; undefined when it can. */
export type Obstacle = "reserved" | "leased" | "resting" | "foreign" | undefined;

export class Pool {
  readonly cidr: Cidr;
  readonly store: StoreId;
  readonly leases = new Leases();
  /** Addresses that are the user's own. BOUNDED: leasesMax, checked by the caller. */
  readonly auxiliary = new Set<bigint>();
  open = false;
  /** The gateway, and whether the caller chose it. */
  gateway: bigint;
  gatewayGiven = false;
  #ownership: Ownership = [];
  #free: RangeSet | undefined;
  #owned = 0n;
  #cursor: bigint;

  constructor(cidr: Cidr, store: StoreId) {
    this.cidr = cidr;
    this.store = store;
    this.gateway = usableOf(cidr).first;
    this.#cursor = cidr.start;
  }

  get ownership(): Ownership {
    return this.#ownership;
  }

  /** Addresses this store owns. */
  get owned(): bigint {
    this.#freeSet();
    return this.#owned;
  }

  /** Addresses this store could give out now. */
  get free(): bigint {
    return this.#freeSet().size;
  }

  /** Joins durable records into the view. */
  learn(records: Ownership): void {
    const before = this.#ownership;
    this.#ownership = join(before, records);
    assertOwnership(this.#ownership, this.cidr, before);
    this.#free = undefined;
  }

  /** Forgets the computed free space after a change of reserved addresses. */
  refresh(): void {
    this.#free = undefined;
  }

  isReserved(address: bigint): boolean {
    return (
      address === this.cidr.start ||
      address === this.cidr.end - 1n ||
      address === this.gateway ||
      this.auxiliary.has(address)
    );
  }

  /** What forbids giving out `address` here. */
  obstacle(address: bigint): Obstacle {
    if (this.isReserved(address)) return "reserved";
    if (this.leases.at(address) !== undefined) return "leased";
    if (recordAt(this.#ownership, address)?.owner !== this.store) return "foreign";
    return this.leases.restsUntilMs(address) === undefined ? undefined : "resting";
  }

  /** The next free address of `within`, or undefined. */
  pick(within: Range): bigint | undefined {
    if (this.leases.load >= LIMITS.leasesMax) return undefined;
    const free = this.#freeSet();
    const inside = this.#cursor > within.start && this.#cursor < within.end;
    for (const from of inside ? [this.#cursor, within.start] : [within.start]) {
      const found = free.firstFrom(from);
      if (found !== undefined && found < within.end) return found;
    }
    return undefined;
  }

  /** Records a lease; a picked address moves the place where the search goes on. */
  lease(address: bigint, key: string, sinceMs: number, picked: boolean): void {
    this.leases.grant(address, { key, sinceMs });
    this.#free?.remove(address, address + 1n);
    if (picked) this.#cursor = address + 1n;
  }

  /** Gives the addresses whose rest is over back to free space. */
  wake(nowMs: number): void {
    for (const address of this.leases.wake(nowMs)) {
      if (this.obstacle(address) === undefined) this.#free?.add(address, address + 1n);
    }
  }

  /**
   * The largest free aligned block inside `within` of at most half the free space; of several the
   * highest, because addresses are taken from the low end.
   */
  spareBlock(within: Range): Range | undefined {
    const half = this.free / 2n;
    let best: Range | undefined;
    let bestBits = -1;
    for (const whole of this.#freeSet().ranges()) {
      const range = { start: max(whole.start, within.start), end: min(whole.end, within.end) };
      for (let bits = half.toString(2).length - 1; bits >= Math.max(bestBits, 0); bits--) {
        const size = 1n << BigInt(bits);
        const start = networkOf(range.end, this.cidr.bits - bits, this.cidr.bits) - size;
        if (size > half || start < range.start) continue;
        best = { start, end: start + size };
        bestBits = bits;
        break;
      }
    }
    return best;
  }

  #freeSet(): RangeSet {
    if (this.#free !== undefined) return this.#free;
    const mine = this.#ownership.filter(({ owner }) => owner === this.store);
    this.#owned = mine.reduce((sum, { start, end }) => sum + end - start, 0n);
    const free = this.leases.without(mine);
    const fixed = [this.cidr.start, this.cidr.end - 1n, this.gateway, ...this.auxiliary];
    for (const address of fixed) free.remove(address, address + 1n);
    this.#free = free;
    return free;
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
