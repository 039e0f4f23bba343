/**
 * One pool as this host knows it: who owns what, what is given out here, what is free here.
 *
 * Law: every change comes from a durable journal record, so an address can be given out only if a
 * durable record says it is this store's. Free space is a range set: a pool of a million
 * addresses costs a few numbers. Addresses are taken lowest first and onwards (next fit), so that
 * freed ones rest longest.
 */
import { LIMITS, type PeerId, TIMES } from "../mesh/index.ts";
import { type Cidr, networkOf, usableOf } from "./cidr.ts";
import { FreeSpace } from "./free-space.ts";
import { Leases } from "./leases.ts";
import { assertOwnership, join, type Ownership, recordAt, type StoreId } from "./ownership.ts";
import { type Range, RangeSet } from "./range-set.ts";

/** Why an address cannot be given out here; undefined when it can. */
export type Obstacle = "reserved" | "leased" | "resting" | "foreign" | "running" | undefined;

/** A gift of older space may be this many powers of two smaller than one of newer space. */
const OLDER_BITS = 3;

interface Block {
  readonly block: Range | undefined;
  /** The power of two that is its size; -1 for none. */
  readonly bits: number;
  readonly touches: boolean;
}

export class Pool {
  readonly cidr: Cidr;
  readonly leases = new Leases();
  /** Addresses that are the user's own. BOUNDED: leasesMax, checked by the caller. */
  readonly auxiliary = new Set<bigint>();
  open = false;
  /** The gateway, and whether the caller chose it. */
  gateway: bigint;
  gatewayGiven = false;
  #store: StoreId;
  #ownership: Ownership = [];
  readonly #running: () => ReadonlyMap<bigint, PeerId>;
  #free: FreeSpace | undefined;
  #cursor: bigint;

  /** `running`: which peer runs each address by the endpoint rows; such are never picked. */
  constructor(
    cidr: Cidr,
    store: StoreId,
    running: () => ReadonlyMap<bigint, PeerId> = () => NOTHING_RUNS,
  ) {
    this.cidr = cidr;
    this.#store = store;
    this.#running = running;
    this.gateway = usableOf(cidr).first;
    this.#cursor = cidr.start;
  }

  get store(): StoreId {
    return this.#store;
  }

  get ownership(): Ownership {
    return this.#ownership;
  }

  /** Belongs to another store from now on, which owns nothing yet. */
  rebirth(store: StoreId): void {
    this.#store = store;
    this.#ownership = [];
    this.#free = undefined;
  }

  /** The peer whose endpoint row names the address. */
  runner(address: bigint): PeerId | undefined {
    return this.#running().get(address);
  }

  /** Every address that an endpoint row names, with its peer. */
  running(): ReadonlyMap<bigint, PeerId> {
    return this.#running();
  }

  /** Addresses this store owns. */
  get owned(): bigint {
    return this.#freeSpace().owned;
  }

  /** Addresses this store could give out now. */
  get free(): bigint {
    return this.#freeSpace().size;
  }

  /** Joins durable records into the view. */
  learn(records: Ownership): void {
    const before = this.#ownership;
    this.#ownership = join(before, records);
    assertOwnership(this.#ownership, this.cidr, before);
    this.#free?.follow(before, this.#ownership, () => this.#taken());
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
    if (!this.owns(address)) return "foreign";
    if (this.runner(address) !== undefined) return "running";
    return this.leases.restsUntilMs(address) === undefined ? undefined : "resting";
  }

  /** The next free address of `within`, or undefined. */
  pick(within: Range): bigint | undefined {
    if (this.leases.load >= LIMITS.leasesMax) return undefined;
    const isIdle = (address: bigint) => this.runner(address) === undefined;
    return this.#freeSpace().next(within, this.#cursor, isIdle);
  }

  /**
   * The address of `within` that rests longest, if it was released by `beforeMs` (monotonic) and
   * nothing else forbids it.
   */
  pickResting(within: Range, beforeMs: number): bigint | undefined {
    if (this.leases.load >= LIMITS.leasesMax) return undefined;
    for (const [address, untilMs] of this.leases.resting()) {
      if (untilMs - TIMES.addressQuarantineMs > beforeMs) return undefined;
      const isInside = address >= within.start && address < within.end;
      if (isInside && this.obstacle(address) === "resting") return address;
    }
    return undefined;
  }

  /** When a resting address was released (monotonic ms). */
  restedSinceMs(address: bigint): number {
    const untilMs = this.leases.restsUntilMs(address) ?? Number.POSITIVE_INFINITY;
    return untilMs - TIMES.addressQuarantineMs;
  }

  /** Whether the records say that the address is this store's. */
  owns(address: bigint): boolean {
    return recordAt(this.#ownership, address)?.owner === this.#store;
  }

  /** Records a lease; a picked address moves the place where the search goes on. */
  lease(address: bigint, key: string, sinceMs: number, picked: boolean): void {
    this.leases.grant(address, { key, sinceMs });
    this.#free?.take(address);
    if (picked) this.#cursor = address + 1n;
  }

  /** Gives the addresses whose rest is over back to free space. */
  wake(nowMs: number): void {
    for (const address of this.leases.wake(nowMs)) {
      const obstacle = this.obstacle(address);
      if (obstacle === undefined || obstacle === "running") {
        this.#free?.put(this.#ownership, address);
      }
    }
  }

  /**
   * The largest free aligned block inside `within` of at most half the free space; of the oldest
   * space that has one not much smaller, as addresses are given out of the oldest.
   */
  spareBlock(within: Range, to?: StoreId): Range | undefined {
    const half = this.#spare(this.#freeSpace().whole()).size / 2n;
    const ages = this.#freeSpace().byAge();
    const blocks = ages.map((free) => this.#largest(this.#spare(free), within, half, to));
    const most = Math.max(...blocks.map(({ bits }) => bits));
    return blocks.find(({ bits }) => bits >= 0 && bits >= most - OLDER_BITS)?.block;
  }

  /**
   * The largest aligned block of a set. Of several one that touches what `to` owns, so that both
   * become one range there; else the highest, because addresses are taken from the low end.
   */
  #largest(spare: RangeSet, within: Range, most: bigint, to: StoreId | undefined): Block {
    let best: Block = { block: undefined, bits: -1, touches: false };
    for (const whole of spare.ranges()) {
      const range = { start: max(whole.start, within.start), end: min(whole.end, within.end) };
      const size = min(range.end - range.start, most);
      for (let bits = bitsOf(size); bits >= Math.max(best.bits, 0); bits--) {
        const blocks = this.#alignedEnds(range, bits);
        if (blocks.length === 0) continue;
        for (const block of blocks) {
          const touches = to !== undefined && this.#touches(block, to);
          if (bits === best.bits && best.touches && !touches) continue;
          best = { block, bits, touches };
        }
        break;
      }
    }
    return best;
  }

  /** The lowest and the highest aligned block of a range, the highest last. */
  #alignedEnds({ start, end }: Range, bits: number): Range[] {
    const size = 1n << BigInt(bits);
    const prefix = this.cidr.bits - bits;
    const low = networkOf(start + size - 1n, prefix, this.cidr.bits);
    const high = networkOf(end, prefix, this.cidr.bits) - size;
    if (low + size > end) return [];
    return [...new Set([low, high])].map((at) => ({ start: at, end: at + size }));
  }

  #touches({ start, end }: Range, store: StoreId): boolean {
    const ownerAt = (address: bigint) => recordAt(this.#ownership, address)?.owner;
    return ownerAt(start - 1n) === store || ownerAt(end) === store;
  }

  /** Whether every address of a range is this store's, free, and named by no endpoint row. */
  isSpare({ start, end }: Range): boolean {
    const spare = this.#spare(this.#freeSpace().whole());
    return [...spare.ranges()].some((range) => range.start <= start && end <= range.end);
  }

  /** Free space without what endpoint rows name. */
  #spare(free: RangeSet): RangeSet {
    if (this.#running().size === 0) return free;
    const spare = new RangeSet(free.ranges());
    for (const address of this.#running().keys()) spare.remove(address, address + 1n);
    return spare;
  }

  /** Owned or not, what is never free here. */
  *#taken(): Generator<bigint> {
    yield* [this.cidr.start, this.cidr.end - 1n, this.gateway, ...this.auxiliary];
    yield* this.leases.addresses();
  }

  #freeSpace(): FreeSpace {
    if (this.#free !== undefined) return this.#free;
    this.#free = new FreeSpace(this.#store);
    this.#free.follow([], this.#ownership, () => this.#taken());
    return this.#free;
  }
}

const NOTHING_RUNS: ReadonlyMap<bigint, PeerId> = new Map();

/** The largest power of two that fits into a positive size; -1 for none. */
function bitsOf(size: bigint): number {
  return size <= 0n ? -1 : size.toString(2).length - 1;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
