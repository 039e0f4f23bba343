/**
 * A set of addresses as one sorted array of boundaries: even index = start, odd index = end of a
 * half-open range. A pool of a million free addresses is two numbers.
 *
 * Law: ranges never touch nor overlap, so equal sets have equal arrays. Look-ups are binary
 * searches; a change moves at most the boundaries above it.
 */

export interface Range {
  readonly start: bigint;
  /** One past the last address. */
  readonly end: bigint;
}

export class RangeSet {
  /** Strictly rising. BOUNDED: two per range; ranges ≤ intervalsPerRowMax + leasesMax + 1. */
  #bounds: bigint[] = [];
  #size = 0n;

  constructor(ranges: Iterable<Range> = []) {
    for (const range of ranges) this.add(range.start, range.end);
  }

  /** Number of addresses. */
  get size(): bigint {
    return this.#size;
  }

  has(address: bigint): boolean {
    return this.#after(address) % 2 === 1;
  }

  /** Adds [start, end); addresses already present stay. */
  add(start: bigint, end: bigint): void {
    this.#replace(start, end, true);
  }

  /** Removes [start, end); absent addresses stay absent. */
  remove(start: bigint, end: bigint): void {
    this.#replace(start, end, false);
  }

  /** The lowest member at or above `from`, or undefined. */
  firstFrom(from: bigint): bigint | undefined {
    const at = this.#after(from);
    return at % 2 === 1 ? from : this.#bounds[at];
  }

  /** The ranges in order. */
  *ranges(): Generator<Range> {
    for (let at = 0; at < this.#bounds.length; at += 2) {
      const start = this.#bounds[at];
      const end = this.#bounds[at + 1];
      if (start !== undefined && end !== undefined) yield { start, end };
    }
  }

  /** Count of boundaries ≤ address; odd exactly when the address is a member. */
  #after(address: bigint): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[middle] as bigint) <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #replace(start: bigint, end: bigint, present: boolean): void {
    if (start >= end) return;
    // Boundaries within [start, end] vanish; the new ends appear where membership changes there.
    const first = this.#after(start - 1n);
    const last = this.#after(end);
    const removed = this.#bounds.slice(first, last);
    let before = 0n;
    let from = start;
    let inside = first % 2 === 1;
    for (const bound of removed) {
      if (inside) before += bound - from;
      from = bound;
      inside = !inside;
    }
    if (inside) before += end - from;
    const edges: bigint[] = [];
    if ((first % 2 === 1) !== present) edges.push(start);
    if ((last % 2 === 1) !== present) edges.push(end);
    this.#bounds.splice(first, last - first, ...edges);
    this.#size += (present ? end - start : 0n) - before;
  }
}
