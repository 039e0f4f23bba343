/**
 * All durable knowledge about addresses of this host: the fold of its journal.
 *
 * Law: `apply` is the only road by which anything here changes and it is called only with records
 * that are on disk. What this object shows may therefore be shown to anyone.
 */
import { LIMITS, TIMES, TsweaveError } from "../mesh/index.ts";
import { type Cidr, overlaps, usableOf } from "./cidr.ts";
import { NO_VOTE, type Vote } from "./consensus.ts";
import { divide, type Founding } from "./founding.ts";
import type { JournalRecord } from "./journal.ts";
import { type StoreId, slices } from "./ownership.ts";
import { Pool } from "./pool.ts";

/** Both clocks at the moment a record is applied. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

export class State {
  readonly store: StoreId;
  founding: Founding | undefined;
  vote: Vote = NO_VOTE;
  /** By CIDR. BOUNDED: networksMax, see roomFor. */
  readonly pools = new Map<string, Pool>();

  constructor(store: StoreId) {
    this.store = store;
  }

  pool(cidr: string): Pool | undefined {
    return this.pools.get(cidr);
  }

  /** The open pool that shares an address with `cidr` under another name. */
  overlapping(cidr: Cidr): Pool | undefined {
    for (const pool of this.pools.values()) {
      if (pool.open && pool.cidr.text !== cidr.text && overlaps(pool.cidr, cidr)) return pool;
    }
    return undefined;
  }

  /** The pool, made with its first division if new. @throws TsweaveError NO_ADDRESS when full. */
  ensurePool(cidr: Cidr): Pool {
    const known = this.pools.get(cidr.text);
    if (known !== undefined) return known;
    if (this.pools.size >= LIMITS.networksMax) this.#dropUnused();
    if (this.pools.size >= LIMITS.networksMax) {
      throw new TsweaveError("NO_ADDRESS", `${LIMITS.networksMax} pools exist; no room for more`, {
        hint: "use one of the subnets that exist",
      });
    }
    const pool = new Pool(cidr, this.store);
    if (this.founding !== undefined) pool.learn(divide(cidr, this.founding));
    this.pools.set(cidr.text, pool);
    return pool;
  }

  /** Folds one durable record. */
  apply(record: JournalRecord, now: Moment): void {
    switch (record.kind) {
      case "store":
        return;
      case "founding":
        this.founding = record.founding;
        for (const pool of this.pools.values()) pool.learn(divide(pool.cidr, record.founding));
        return;
      case "vote":
        this.vote = record.vote;
        return;
      default:
        this.#applyToPool(record, this.ensurePool(record.cidr), now);
    }
  }

  /** The shortest journal with the same fold. */
  *records(now: Moment): Generator<JournalRecord> {
    yield { kind: "store", store: this.store };
    if (this.vote !== NO_VOTE) yield { kind: "vote", vote: this.vote };
    if (this.founding !== undefined) yield { kind: "founding", founding: this.founding };
    for (const pool of this.pools.values()) yield* recordsOf(pool, now);
  }

  #applyToPool(
    record: Exclude<JournalRecord, { kind: "store" | "founding" | "vote" }>,
    pool: Pool,
    now: Moment,
  ): void {
    switch (record.kind) {
      case "open":
        pool.open = true;
        pool.gateway = record.gateway;
        pool.gatewayGiven = record.given;
        pool.refresh();
        break;
      case "close":
        pool.open = false;
        pool.gateway = usableOf(pool.cidr).first;
        pool.gatewayGiven = false;
        pool.auxiliary.clear();
        pool.refresh();
        break;
      case "own":
        pool.learn(record.records);
        break;
      case "reserve":
        if (record.present) pool.auxiliary.add(record.address);
        else pool.auxiliary.delete(record.address);
        pool.refresh();
        break;
      case "lease":
        pool.lease(record.address, record.key, record.sinceMs, record.picked);
        break;
      case "free":
        rest(pool, record.address, record.atMs, now);
        break;
    }
  }

  #dropUnused(): void {
    for (const [text, pool] of this.pools) {
      const untouched = pool.ownership.every(({ generation, step }) => generation + step === 0);
      if (!pool.open && untouched && pool.leases.load === 0) this.pools.delete(text);
    }
  }
}

function* recordsOf(pool: Pool, now: Moment): Generator<JournalRecord> {
  const { cidr, gateway } = pool;
  if (pool.open) yield { kind: "open", cidr, gateway, given: pool.gatewayGiven };
  const moved = pool.ownership.filter(({ generation, step }) => generation + step > 0);
  for (const records of slices(moved)) yield { kind: "own", cidr, records };
  for (const address of pool.auxiliary) yield { kind: "reserve", cidr, address, present: true };
  for (const [address, { key, sinceMs }] of pool.leases.entries()) {
    yield { kind: "lease", cidr, address, key, sinceMs, picked: true };
  }
  for (const [address, untilMs] of pool.leases.resting()) {
    const atMs = Math.max(
      0,
      Math.floor(now.wallMs - TIMES.addressQuarantineMs + untilMs - now.nowMs),
    );
    yield { kind: "free", cidr, address, atMs };
  }
}

/** A wall clock that was set back can only lengthen a rest to its full time. */
function rest(pool: Pool, address: bigint, atMs: number, now: Moment): void {
  const passedMs = now.wallMs - atMs;
  const whole = TIMES.addressQuarantineMs;
  const untilMs = now.nowMs + (passedMs < 0 ? whole : Math.max(0, whole - passedMs));
  if (pool.leases.at(address) !== undefined) {
    pool.leases.release(address, untilMs);
  } else {
    pool.leases.rest(address, untilMs);
    pool.refresh();
  }
}
