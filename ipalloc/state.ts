/**
 * All durable knowledge about addresses of this host: the fold of its journal.
 *
 * Law: `apply` is the only road by which anything here changes and it is called only with records
 * that are on disk. What this object shows may therefore be shown to anyone.
 */
import { LIMITS, type PeerId, TIMES, TsweaveError } from "../mesh/index.ts";
import { type Cidr, overlaps, usableOf } from "./cidr.ts";
import { NO_VOTE, type Vote } from "./consensus.ts";
import type { AddressesInUse } from "./departures.ts";
import { divide, type Founding } from "./founding.ts";
import type { JournalRecord } from "./journal.ts";
import type { StoreId } from "./ownership.ts";
import { Pool } from "./pool.ts";
import {
  compareRosters,
  descends,
  firstRoster,
  isMember,
  type Roster,
  rosterKey,
} from "./roster.ts";
import type { Wish } from "./roster-codec.ts";
import { isRosterRecord, type RosterRecord, type RosterVote } from "./roster-records.ts";
import { type Binding, boundRoster, supersedes, unboundSeed } from "./seeds.ts";
import { overrides, SURRENDERS_MAX, type Surrender } from "./surrender.ts";

/** A store's place in a mesh that has admitted it. */
export interface Place {
  readonly store: StoreId;
  readonly founding: Founding;
  readonly roster: Roster;
}

/** Both clocks at the moment a record is applied. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

const NOTHING_RUNS: ReadonlyMap<bigint, PeerId> = new Map();

export class State {
  #store: StoreId;
  founding: Founding | undefined;
  vote: Vote = NO_VOTE;
  /** The newest roster; the founders' own until another was decided. */
  roster: Roster | undefined;
  /** This store was a member and is none any more: it owns nothing, whatever it remembers. */
  retired = false;
  ballot: { readonly base: string; readonly vote: RosterVote } | undefined;
  /** The roster whose successor may be without this store, by its own proposal. */
  leavingFrom: string | undefined;
  /** BOUNDED: wishesMax, see the codec. */
  wishes: readonly Wish[] = [];
  /** Who runs the stores of a seeded mesh. BOUNDED: one a founder; others are not taken. */
  readonly bindings = new Map<StoreId, Binding>();
  /** By the mesh that is given up. BOUNDED: SURRENDERS_MAX, the oldest goes. */
  readonly surrenders = new Map<string, Surrender>();
  /** The store that this host is to have in another mesh. */
  candidate: { readonly meshId: string; readonly store: StoreId } | undefined;
  /** What runs where by the endpoint rows; not durable, it only keeps addresses back. */
  running: AddressesInUse = () => NOTHING_RUNS;
  /** Who has this store, by its own account; not durable: it is the journal that is copied. */
  self: PeerId | undefined;
  /** By CIDR. BOUNDED: networksMax, see roomFor. */
  readonly pools = new Map<string, Pool>();

  constructor(store: StoreId) {
    this.#store = store;
  }

  get store(): StoreId {
    return this.#store;
  }

  /** Refuses a question of another mesh. @throws TsweaveError NOT_FOUNDED, BAD_REQUEST */
  requireMesh(mesh: unknown): void {
    if (this.founding === undefined) throw new TsweaveError("NOT_FOUNDED", "has not founded");
    if (mesh !== this.founding.meshId) throw new TsweaveError("BAD_REQUEST", "is of another mesh");
  }

  /** Whether this store belongs to the mesh: only then it grants, gives and votes. */
  get isMember(): boolean {
    return !this.retired && this.isPeer(this.#store);
  }

  /** It proposed to leave, and nobody knows yet whether that was decided: it must not grant. */
  get isFrozen(): boolean {
    return this.roster !== undefined && this.leavingFrom === rosterKey(this.roster);
  }

  /** Whether `store` belongs to the mesh by the newest roster. */
  isPeer(store: StoreId): boolean {
    return this.roster !== undefined && isMember(this.roster, store);
  }

  /**
   * The peer that a roster says has this store, where it is another: this journal was copied from
   * that peer's disk, which may be in use, or that peer's from this one.
   */
  copiedFrom(roster: Roster | undefined): PeerId | undefined {
    const owner = roster?.members.find(({ store }) => store === this.#store)?.peer;
    if (owner === undefined || this.self === undefined || owner === this.self) return undefined;
    const isUnbound = this.founding !== undefined && unboundSeed(this.founding, owner);
    return isUnbound ? undefined : owner;
  }

  /** What to write when `roster` was heard of; undefined when it is not newer. */
  adoption(roster: Roster): RosterRecord | undefined {
    const known = this.roster;
    if (known !== undefined && compareRosters(roster, known) <= 0) return undefined;
    const cut = known !== undefined && !(descends(roster, known) && isMember(roster, this.#store));
    // It may have been admitted and removed again without ever hearing of it.
    const told = roster.former.some(({ store }) => store === this.#store);
    // In the same record: a grant must not come in between.
    const isCopy = this.copiedFrom(roster) !== undefined;
    const retired = this.retired || (this.isMember && cut) || told || isCopy;
    return { kind: "roster", roster, retired };
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
    const pool = new Pool(cidr, this.store, () => this.running(cidr.text));
    if (this.founding !== undefined) pool.learn(divide(cidr, this.founding));
    this.pools.set(cidr.text, pool);
    return pool;
  }

  /**
   * Begins anew as another store, with the leases and without the ownership of the former one.
   * To be called when the journal holds exactly `recordsOfNewStore`.
   */
  rebirth(store: StoreId): void {
    this.#store = store;
    this.retired = false;
    this.ballot = undefined;
    this.leavingFrom = undefined;
    for (const pool of this.pools.values()) {
      pool.rebirth(store);
      if (this.founding !== undefined) pool.learn(divide(pool.cidr, this.founding));
    }
  }

  /** Folds one durable record. */
  apply(record: JournalRecord, now: Moment): void {
    if (isRosterRecord(record)) {
      this.#applyRoster(record);
      return;
    }
    switch (record.kind) {
      case "store":
        return;
      case "founding":
        this.founding = record.founding;
        this.roster ??= boundRoster(firstRoster(record.founding), this.bindings);
        for (const pool of this.pools.values()) pool.learn(divide(pool.cidr, record.founding));
        return;
      case "vote":
        this.vote = record.vote;
        return;
      case "bind":
        this.#bind(record.bindings);
        return;
      case "surrender":
        this.#giveUp(record.word);
        return;
      case "candidate":
        this.candidate = { meshId: record.meshId, store: record.store };
        return;
      default:
        this.#applyToPool(record, this.ensurePool(record.cidr), now);
    }
  }

  /** The shortest journal with the same fold. */
  *records(now: Moment): Generator<JournalRecord> {
    yield { kind: "store", store: this.#store };
    if (this.vote !== NO_VOTE) yield { kind: "vote", vote: this.vote };
    if (this.founding !== undefined) yield { kind: "founding", founding: this.founding };
    if (this.bindings.size > 0) yield { kind: "bind", bindings: [...this.bindings.values()] };
    yield* this.#rosterRecords(this.retired);
    if (this.ballot !== undefined) yield { kind: "ballot", ...this.ballot };
    if (this.leavingFrom !== undefined) yield { kind: "leaving", base: this.leavingFrom };
    yield* this.#surrenderRecords();
    for (const pool of this.pools.values()) yield* recordsOf(pool, now);
  }

  /** The journal after `rebirth(store)`. */
  *recordsOfNewStore(store: StoreId, now: Moment): Generator<JournalRecord> {
    yield { kind: "store", store };
    if (this.founding !== undefined) yield { kind: "founding", founding: this.founding };
    if (this.bindings.size > 0) yield { kind: "bind", bindings: [...this.bindings.values()] };
    yield* this.#rosterRecords(false);
    yield* this.#surrenderRecords();
    yield* this.#heldRecords(now);
  }

  /** The journal of this host in another mesh: what runs and rests here goes along. */
  *recordsAt({ store, founding, roster }: Place, now: Moment): Generator<JournalRecord> {
    yield { kind: "store", store };
    yield { kind: "founding", founding };
    yield { kind: "roster", roster, retired: false };
    for (const word of this.surrenders.values()) yield { kind: "surrender", word };
    yield* this.#heldRecords(now);
  }

  /** Everything about pools but who owns them. */
  *#heldRecords(now: Moment): Generator<JournalRecord> {
    for (const pool of this.pools.values()) {
      for (const record of recordsOf(pool, now)) if (record.kind !== "own") yield record;
    }
  }

  *#surrenderRecords(): Generator<JournalRecord> {
    for (const word of this.surrenders.values()) yield { kind: "surrender", word };
    if (this.candidate !== undefined) yield { kind: "candidate", ...this.candidate };
  }

  *#rosterRecords(retired: boolean): Generator<RosterRecord> {
    const { roster, wishes } = this;
    if (roster !== undefined && (roster.number > 0 || retired))
      yield { kind: "roster", roster, retired };
    if (wishes.length > 0) yield { kind: "wishes", wishes };
  }

  /** What of these is news about this mesh's seeds. */
  unknownBindings(heard: Iterable<Binding>): Binding[] {
    const { founding, bindings } = this;
    if (founding?.seeds === undefined) return [];
    const stores = new Set(founding.founders.map(({ store }) => store));
    return [...heard].filter(
      (one) => stores.has(one.store) && supersedes(one, bindings.get(one.store)),
    );
  }

  #giveUp(word: Surrender): void {
    if (!overrides(word, this.surrenders.get(word.mesh))) return;
    this.surrenders.delete(word.mesh);
    this.surrenders.set(word.mesh, word);
    const oldest = this.surrenders.keys().next();
    if (this.surrenders.size > SURRENDERS_MAX && !oldest.done) this.surrenders.delete(oldest.value);
  }

  #bind(heard: readonly Binding[]): void {
    for (const binding of this.unknownBindings(heard)) this.bindings.set(binding.store, binding);
    if (this.roster !== undefined) this.roster = boundRoster(this.roster, this.bindings);
  }

  #applyRoster(record: RosterRecord): void {
    if (record.kind === "wishes") this.wishes = record.wishes;
    else if (record.kind === "leaving") this.leavingFrom = record.base;
    else if (record.kind === "ballot") this.ballot = { base: record.base, vote: record.vote };
    else {
      this.roster = boundRoster(record.roster, this.bindings);
      this.retired = record.retired;
      this.wishes = this.wishes.filter(({ store }) => isMember(record.roster, store));
    }
  }

  #applyToPool(
    record: Extract<JournalRecord, { readonly cidr: Cidr }>,
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
  if (moved.length > 0) yield { kind: "own", cidr, records: moved };
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
