/**
 * What keeps ownership in few pieces: an owner makes one record of ranges of its own that touch,
 * and gives back an island that it does not use.
 *
 * Law: both are ordinary writes of the present owner. A merge changes no owner; an island is
 * given only to a member in reach, and only while much more than enough stays free here.
 */
import { give, type Interval, type Ownership, type StoreId } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import type { Range } from "./range-set.ts";

/** An island may be at most this part of the free space: what is given back must not be missed. */
const SMALL = 8n;

/** One record for each run of touching intervals that `store` owns by several records. */
export function merges(view: Ownership, store: StoreId): Ownership {
  return runsOf(view, store).flatMap(({ start, end, pieces }) =>
    pieces > 1 ? (give(view, { start, end }, store, store) ?? []) : [],
  );
}

/**
 * The record that gives back the smallest island of free space: an own run between two runs of one
 * other owner (or one and the end of the pool) which `canTake` it. Undefined when none is small, or
 * when less than half of what would remain would be free.
 */
export function returned(pool: Pool, canTake: (store: StoreId) => boolean): Ownership | undefined {
  const view = pool.ownership;
  const runs = runsOf(view, pool.store);
  if (runs.length < 2) return undefined;
  const islands = runs
    .filter((run) => sizeOf(run) * SMALL <= pool.free && pool.isSpare(run))
    .filter((run) => (pool.free - sizeOf(run)) * 2n > pool.owned - sizeOf(run))
    .sort((a, b) => (sizeOf(a) < sizeOf(b) ? -1 : 1));
  for (const { start, end, before, after } of islands) {
    const to = before ?? after;
    const isBetween = before === undefined || after === undefined || before === after;
    if (to === undefined || !isBetween || !canTake(to)) continue;
    return give(view, { start, end }, pool.store, to);
  }
  return undefined;
}

interface Run extends Range {
  readonly pieces: number;
  /** Owners beside it. */
  readonly before: StoreId | undefined;
  readonly after: StoreId | undefined;
}

function runsOf(view: Ownership, store: StoreId): Run[] {
  const runs: Run[] = [];
  for (let index = 0; index < view.length; ) {
    const first = view[index] as Interval;
    let next = index + 1;
    let { end } = first;
    while (view[next]?.owner === first.owner && view[next]?.start === end) {
      end = (view[next] as Interval).end;
      next++;
    }
    if (first.owner === store) {
      const [before, after] = [view[index - 1]?.owner, view[next]?.owner];
      runs.push({ start: first.start, end, pieces: next - index, before, after });
    }
    index = next;
  }
  return runs;
}

function sizeOf({ start, end }: Range): bigint {
  return end - start;
}
