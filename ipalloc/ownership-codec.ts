/**
 * Ownership as a wire value and back, for rows, answers and the journal:
 * [stores[], [start, end, generation, step, owner index, by index][]].
 *
 * Law: nothing decoded is trusted: bounds, order and names are checked, and the result is inside
 * the pool it claims to be about.
 */
import {
  LIMITS,
  readArray,
  readBytes,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import { addressFromBytes, addressToBytes } from "./address.ts";
import type { Cidr } from "./cidr.ts";
import { type Interval, join, type Ownership, STEP_MAX, type StoreId } from "./ownership.ts";

const STORE_SHAPE = /^[0-9a-f]{16}$/;

/** The wire value of a view of one pool. */
export function encodeOwnership(view: Ownership, bits: Cidr["bits"]): WireValue {
  const stores = [...new Set(view.flatMap(({ owner, by }) => [owner, by]))].sort();
  const indexes = new Map(stores.map((store, index) => [store, index]));
  const intervals = view.map((interval) => [
    addressToBytes(interval.start, bits),
    addressToBytes(interval.end - 1n, bits),
    interval.generation,
    interval.step,
    indexes.get(interval.owner) ?? 0,
    indexes.get(interval.by) ?? 0,
  ]);
  return [stores, intervals];
}

/** The view a wire value holds. @throws TsweaveError BAD_MESSAGE. */
export function decodeOwnership(value: WireValue | undefined, path: string, cidr: Cidr): Ownership {
  const [names, list] = readArray(value, path, 2, 8);
  const stores = readArray(names, `${path}.stores`, 0, LIMITS.peersMax).map((store) =>
    readStore(store, `${path}.stores`),
  );
  const items = readArray(list, `${path}.intervals`, 0, LIMITS.intervalsPerRowMax);
  const intervals = items.map((item) => readInterval(item, path, cidr, stores));
  let previousEnd = cidr.start;
  for (const interval of intervals) {
    if (interval.start < previousEnd || interval.end <= interval.start || interval.end > cidr.end) {
      throw new TsweaveError("BAD_MESSAGE", `${path}: intervals out of order or of their pool`);
    }
    previousEnd = interval.end;
  }
  return join([], intervals);
}

/** A store id. @throws TsweaveError BAD_MESSAGE. */
export function readStore(value: WireValue | undefined, path: string): StoreId {
  return readString(value, path, 16, STORE_SHAPE);
}

function readInterval(
  value: WireValue,
  path: string,
  cidr: Cidr,
  stores: readonly StoreId[],
): Interval {
  const [start, last, generation, step, owner, by] = readArray(value, path, 6, 12);
  const width = cidr.bits / 8;
  return {
    start: addressFromBytes(readBytes(start, `${path}.start`, width, width)),
    end: addressFromBytes(readBytes(last, `${path}.last`, width, width)) + 1n,
    generation: readInteger(generation, `${path}.generation`, 0, STEP_MAX),
    step: readInteger(step, `${path}.step`, 0, STEP_MAX),
    owner: stores[readInteger(owner, `${path}.owner`, 0, stores.length - 1)] ?? "",
    by: stores[readInteger(by, `${path}.by`, 0, stores.length - 1)] ?? "",
  };
}
