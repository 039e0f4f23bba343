/**
 * A set of addresses as sorted ranges, in chunks of bounded length: a pool of a million free
 * addresses is one range, and in a pool with a hole at every second address a look-up and a change
 * still cost two binary searches and one move within a chunk.
 *
 * Law: ranges never touch nor overlap, so equal sets have equal ranges; no chunk is empty.
 */

export interface Range {
  readonly start: bigint;
  /** One past the last address. */
  readonly end: bigint;
}

/** Ranges of one chunk; twice as many are split. */
const CHUNK_RANGES = 256;

export class RangeSet {
  /** BOUNDED: ranges ≤ intervalsPerRowMax + leasesMax + 1. */
  readonly #chunks: Range[][] = [];
  readonly #chunkRanges: number;
  #size = 0n;

  constructor(ranges: Iterable<Range> = [], chunkRanges = CHUNK_RANGES) {
    this.#chunkRanges = chunkRanges;
    for (const range of ranges) this.add(range.start, range.end);
  }

  /** Number of addresses. */
  get size(): bigint {
    return this.#size;
  }

  has(address: bigint): boolean {
    return this.firstFrom(address) === address;
  }

  /** Adds [start, end); addresses already present stay. */
  add(start: bigint, end: bigint): void {
    if (start >= end) return;
    const { chunk, at } = this.#seek(start);
    const touching = this.#take(chunk, at, end);
    const first = touching[0];
    const last = touching.at(-1);
    const from = first !== undefined && first.start < start ? first.start : start;
    const to = last !== undefined && last.end > end ? last.end : end;
    this.#put(chunk, at, [{ start: from, end: to }]);
  }

  /** Removes [start, end); absent addresses stay absent. */
  remove(start: bigint, end: bigint): void {
    if (start >= end) return;
    const { chunk, at } = this.#seek(start);
    const rest: Range[] = [];
    for (const range of this.#take(chunk, at, end)) {
      if (range.start < start) rest.push({ start: range.start, end: least(range.end, start) });
      if (range.end > end)
        rest.push({ start: range.start > end ? range.start : end, end: range.end });
    }
    this.#put(chunk, at, rest);
  }

  /** The lowest member at or above `from`, or undefined. */
  firstFrom(from: bigint): bigint | undefined {
    const { chunk, at } = this.#seek(from + 1n);
    const range = this.#chunks[chunk]?.[at];
    return range === undefined || range.start > from ? range?.start : from;
  }

  /** The ranges in order. */
  *ranges(): Generator<Range> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** Place of the first range that ends at or behind `address`, or else behind the last one. */
  #seek(address: bigint): { readonly chunk: number; readonly at: number } {
    const chunks = this.#chunks;
    const chunk = firstIndex(chunks.length, (index) => {
      const last = chunks[index]?.at(-1);
      return last !== undefined && last.end >= address;
    });
    const ranges = chunks[chunk];
    if (ranges === undefined) {
      return chunk === 0
        ? { chunk, at: 0 }
        : { chunk: chunk - 1, at: chunks[chunk - 1]?.length ?? 0 };
    }
    return { chunk, at: firstIndex(ranges.length, (at) => (ranges[at] as Range).end >= address) };
  }

  /** Takes out every range from a place on that begins at or before `end`. */
  #take(chunk: number, at: number, end: bigint): readonly Range[] {
    const taken: Range[] = [];
    for (let index = chunk; index < this.#chunks.length; ) {
      const ranges = this.#chunks[index] as Range[];
      const from = index === chunk ? at : 0;
      let to = from;
      while (to < ranges.length && (ranges[to] as Range).start <= end) to++;
      const isWhole = to === ranges.length;
      for (const range of ranges.splice(from, to - from)) {
        taken.push(range);
        this.#size -= range.end - range.start;
      }
      if (!isWhole) break;
      // The chunk of the place itself stays, even empty: what is put next goes there.
      if (index > chunk) this.#chunks.splice(index, 1);
      else index++;
    }
    return taken;
  }

  #put(chunk: number, at: number, ranges: readonly Range[]): void {
    let present = this.#chunks[chunk];
    if (present === undefined) {
      present = [];
      this.#chunks.push(present);
    }
    present.splice(at, 0, ...ranges);
    for (const { start, end } of ranges) this.#size += end - start;
    if (present.length === 0) this.#chunks.splice(chunk, 1);
    else if (present.length >= 2 * this.#chunkRanges) {
      this.#chunks.splice(chunk + 1, 0, present.splice(this.#chunkRanges));
    }
  }
}

/** The lowest index for which `holds`, which once true stays true; `count` if there is none. */
function firstIndex(count: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
