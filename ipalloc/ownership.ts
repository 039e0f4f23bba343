/**
 * Who owns which addresses of one pool: the CRDT.
 *
 * Conceptually a function address → (generation, step, owner, by), kept as sorted, coalesced
 * intervals. Only the present owner writes the next step of an address, so its records form one
 * chain and the larger record is the newer one.
 *
 * Law: join is the pointwise larger record under a total order. It is therefore commutative,
 * associative and idempotent, and, because intervals are coalesced, equal views have equal bytes.
 * Generation rises only when the space of removed stores is taken over: it is the number of the
 * roster in which nobody owned it any more, so no record of a removed store can reach it.
 */
import { ok } from "node:assert/strict";
import { LIMITS } from "../mesh/index.ts";
import type { Range } from "./range-set.ts";

/** A store's identity: 64 random bits as 16 lower-case hex digits, made with its journal. */
export type StoreId = string;

export interface OwnerRecord {
  readonly generation: number;
  readonly step: number;
  readonly owner: StoreId;
  /** The store that wrote the record: the owner of the step before. */
  readonly by: StoreId;
}

export interface Interval extends Range, OwnerRecord {}

/** Sorted by start, disjoint, coalesced. Addresses in no interval are unknown. */
export type Ownership = readonly Interval[];

/** Steps beyond this are refused: a hostile peer must not exhaust the counter. */
export const STEP_MAX = 2 ** 47;

/** Total order of records: (generation, step), then names so that even broken rules converge. */
export function compareRecords(a: OwnerRecord, b: OwnerRecord): number {
  if (a.generation !== b.generation) return a.generation - b.generation;
  if (a.step !== b.step) return a.step - b.step;
  if (a.owner !== b.owner) return a.owner < b.owner ? -1 : 1;
  if (a.by !== b.by) return a.by < b.by ? -1 : 1;
  return 0;
}

/** The pointwise larger record of both views. */
export function join(a: Ownership, b: Ownership): Ownership {
  return sweep(a, b, (left, right) => {
    if (left === undefined || right === undefined) return left ?? right;
    return compareRecords(left, right) >= 0 ? left : right;
  });
}

/** The join of many views: halves first, so that each interval is looked at few times. */
export function joinAll(views: readonly Ownership[]): Ownership {
  if (views.length <= 1) return views[0] ?? [];
  const middle = views.length >>> 1;
  return join(joinAll(views.slice(0, middle)), joinAll(views.slice(middle)));
}

/** What `view` knows better than `known`, pointwise. */
export function news(view: Ownership, known: Ownership): Ownership {
  return sweep(view, known, (ours, theirs) =>
    ours !== undefined && (theirs === undefined || compareRecords(ours, theirs) > 0)
      ? ours
      : undefined,
  );
}

/** The part of a view within [start, end). */
export function clip(view: Ownership, start: bigint, end: bigint): Ownership {
  return sweep(view, [{ start, end, generation: 0, step: 0, owner: "", by: "" }], (ours, window) =>
    window === undefined ? undefined : ours,
  );
}

/** The record of one address. */
export function recordAt(view: Ownership, address: bigint): Interval | undefined {
  let low = 0;
  let high = view.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((view[middle] as Interval).start <= address) low = middle + 1;
    else high = middle;
  }
  const interval = view[low - 1];
  return interval !== undefined && address < interval.end ? interval : undefined;
}

/**
 * The records by which `from` hands [start, end) to `to`: one step above the highest of the range,
 * so that the gift is one interval. Undefined unless `from` owns every address of it.
 */
export function give(
  view: Ownership,
  range: Range,
  from: StoreId,
  to: StoreId,
): Ownership | undefined {
  const part = clip(view, range.start, range.end);
  let next = range.start;
  let step = 0;
  let generation = 0;
  for (const interval of part) {
    if (interval.start !== next || interval.owner !== from) return undefined;
    next = interval.end;
    if (interval.generation > generation) step = 0;
    generation = Math.max(generation, interval.generation);
    step = Math.max(step, interval.step);
  }
  if (next !== range.end || range.start >= range.end || step >= STEP_MAX) return undefined;
  return [{ ...range, generation, step: step + 1, owner: to, by: from }];
}

/**
 * What nobody owns any more: records whose owner is no member, and gifts of non-members that their
 * owner did not have when it froze (`confirmed` holds what each owner showed of its own).
 */
export function remainder(
  view: Ownership,
  confirmed: Ownership,
  isMember: (store: StoreId) => boolean,
): Ownership {
  return sweep(view, confirmed, (record, shown) => {
    if (record === undefined) return undefined;
    if (!isMember(record.owner)) return record;
    const active = shown !== undefined && compareRecords(record, shown) === 0;
    return isMember(record.by) || active ? undefined : record;
  });
}

/** A view in parts that each fit one record or row. */
export function slices(view: Ownership): Ownership[] {
  const size = LIMITS.intervalsPerRowMax;
  const count = Math.ceil(view.length / size);
  return Array.from({ length: count }, (_, index) => view.slice(index * size, (index + 1) * size));
}

/** Throws when a view breaks its form or lost knowledge that `before` had. */
export function assertOwnership(view: Ownership, within: Range, before: Ownership = []): void {
  let previous: Interval | undefined;
  for (const interval of view) {
    ok(interval.start < interval.end, "ownership: an empty interval");
    ok(interval.start >= within.start && interval.end <= within.end, "ownership: outside its pool");
    if (previous !== undefined) {
      ok(previous.end <= interval.start, "ownership: intervals overlap");
      const touching = previous.end === interval.start;
      ok(!(touching && compareRecords(previous, interval) === 0), "ownership: not coalesced");
    }
    previous = interval;
  }
  ok(news(before, view).length === 0, "ownership: a record fell");
}

/** Walks two views at once; `pick` decides each stretch where neither changes. */
export function sweep(
  a: Ownership,
  b: Ownership,
  pick: (a: Interval | undefined, b: Interval | undefined) => OwnerRecord | undefined,
): Ownership {
  const out: Interval[] = [];
  let at: bigint | undefined;
  let i = 0;
  let j = 0;
  for (;;) {
    const left = a[i];
    const right = b[j];
    if (left === undefined && right === undefined) return out;
    const from = later(at, earlier(left?.start, right?.start) as bigint);
    const leftHere = left !== undefined && left.start <= from ? left : undefined;
    const rightHere = right !== undefined && right.start <= from ? right : undefined;
    const to = earlier(
      leftHere === undefined ? left?.start : leftHere.end,
      rightHere === undefined ? right?.start : rightHere.end,
    ) as bigint;
    const record = pick(leftHere, rightHere);
    if (record !== undefined) append(out, from, to, record);
    at = to;
    if (left !== undefined && left.end <= to) i++;
    if (right !== undefined && right.end <= to) j++;
  }
}

function append(out: Interval[], start: bigint, end: bigint, record: OwnerRecord): void {
  const last = out.at(-1);
  if (last !== undefined && last.end === start && compareRecords(last, record) === 0) {
    out[out.length - 1] = { ...last, end };
    return;
  }
  const { generation, step, owner, by } = record;
  out.push({ start, end, generation, step, owner, by });
}

function earlier(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

function later(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || a < b ? b : a;
}
