/**
 * What keeps ownership in few pieces: an owner makes one record of ranges of its own that touch,
 * and gives back an island that it does not use.
 *
 * Law: both are ordinary writes of the present owner. A merge changes no owner and keeps what the
 * newest removal brought apart (`free-space.ts` says why); an island is given only to a member in
 * reach, and only while much more than enough stays free here.
 */
import { give, type Interval, type Ownership, type StoreId } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import type { Range } from "./range-set.ts";

/** An island may be at most this part of the free space: what is given back must not be missed. */
const SMALL = 8n;

/**
 * One record for each run of touching intervals that `store` owns by several records. Generations
 * from `removedAt` on, the number of the newest roster that removed somebody, stay by themselves.
 */
export function merges(view: Ownership, store: StoreId, removedAt = 0): Ownership {
  const isTaken = ({ generation }: Interval) => removedAt > 0 && generation >= removedAt;
  const alike = (a: Interval, b: Interval) => isTaken(a) === isTaken(b);
  return runsOf(view, store, alike).flatMap(({ start, end, pieces }) =>
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

/** Runs of touching intervals of `store`; of several kinds only where those are `alike`. */
function runsOf(
  view: Ownership,
  store: StoreId,
  alike: (a: Interval, b: Interval) => boolean = () => true,
): Run[] {
  const runs: Run[] = [];
  for (let index = 0; index < view.length; ) {
    const first = view[index] as Interval;
    let next = index + 1;
    let { end } = first;
    for (let more = view[next]; more !== undefined; more = view[++next]) {
      if (more.owner !== first.owner || more.start !== end || !alike(first, more)) break;
      end = more.end;
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
