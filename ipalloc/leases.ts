/**
 * Which addresses of one pool this host has given out, and which rest before they may be again.
 *
 * Law: an address has at most one lease and a key at most one address, so a repeated request gets
 * the same answer. A released address rests (a neighbour may still hold its old MAC, a peer its
 * old row).
 */
export interface Lease {
  /** What holds the address, named by the caller: an endpoint, an attachment. */
  readonly key: string;
  /** Wall clock of the grant, for people. */
  readonly sinceMs: number;
}

export class Leases {
  /** BOUNDED: leasesMax, checked before a grant. Iterates in order of grant. */
  readonly #byAddress = new Map<bigint, Lease>();
  /** BOUNDED: one per lease. */
  readonly #byKey = new Map<string, bigint>();
  /** Address → monotonic ms until which it rests. BOUNDED: leasesMax together with leases. */
  readonly #resting = new Map<bigint, number>();

  /** Leases and resting addresses. */
  get load(): number {
    return this.#byAddress.size + this.#resting.size;
  }

  get count(): number {
    return this.#byAddress.size;
  }

  at(address: bigint): Lease | undefined {
    return this.#byAddress.get(address);
  }

  ofKey(key: string): bigint | undefined {
    return this.#byKey.get(key);
  }

  /** Monotonic ms until which the address rests, or undefined. */
  restsUntilMs(address: bigint): number | undefined {
    return this.#resting.get(address);
  }

  /** Records a lease, replacing one of the same address. */
  grant(address: bigint, lease: Lease): void {
    const previous = this.#byAddress.get(address);
    if (previous !== undefined) this.#byKey.delete(previous.key);
    this.#resting.delete(address);
    this.#byAddress.set(address, lease);
    this.#byKey.set(lease.key, address);
  }

  /** Ends a lease; the address rests until `untilMs`. Unknown addresses change nothing. */
  release(address: bigint, untilMs: number): void {
    const lease = this.#byAddress.get(address);
    if (lease === undefined) return;
    this.#byAddress.delete(address);
    this.#byKey.delete(lease.key);
    this.#resting.set(address, untilMs);
  }

  /** Lets an address rest without a lease, as read from the journal. */
  rest(address: bigint, untilMs: number): void {
    this.#resting.set(address, untilMs);
  }

  /** Ends the rests that are over and returns their addresses. */
  wake(nowMs: number): bigint[] {
    const awake: bigint[] = [];
    for (const [address, untilMs] of this.#resting) {
      if (untilMs > nowMs) break;
      awake.push(address);
    }
    for (const address of awake) this.#resting.delete(address);
    return awake;
  }

  /** In order of grant. */
  entries(): IterableIterator<[bigint, Lease]> {
    return this.#byAddress.entries();
  }

  resting(): IterableIterator<[bigint, number]> {
    return this.#resting.entries();
  }

  /** Every address that is leased or rests. */
  *addresses(): Generator<bigint> {
    yield* this.#byAddress.keys();
    yield* this.#resting.keys();
  }
}
