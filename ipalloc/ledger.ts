/**
 * The one writer of durable state: takes turns, appends to the journal, then folds.
 *
 * Law: one turn at a time, and within it disk before memory. After a failed append nobody knows
 * what the disk holds, so nothing more is written until the whole journal has been replaced by
 * what memory holds: a gift that was refused cannot come back from the disk.
 */
import {
  type Clock,
  type JournalDamage,
  type Log,
  messageOf,
  type Store,
  TsweaveError,
} from "../mesh/index.ts";
import { decodeRecord, encodeRecord, type JournalRecord } from "./journal.ts";
import { news, type Ownership, type StoreId } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import type { Problem } from "./problem.ts";
import { type Place, State } from "./state.ts";

const KEY = "ipalloc";
/** A journal shorter than this is never compacted. */
const COMPACT_RECORDS = 1024;
/** Records that say which mesh this host belongs to. */
const OF_THE_MESH: readonly JournalRecord["kind"][] = ["founding", "bind", "roster", "wishes"];

export interface LedgerPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Log;
}

/** Makes one record durable, then visible. */
export type Commit = (record: JournalRecord) => Promise<void>;

export class Ledger {
  readonly state: State;
  /** Called when a newer roster has become durable, by whichever road. */
  onRoster: () => void = () => undefined;
  readonly #ports: LedgerPorts;
  #turn: Promise<unknown> = Promise.resolve();
  /** Records appended since the last compaction, and when the next is due. */
  #appended: number;
  #compactAt = COMPACT_RECORDS;
  #doubtful = false;
  #closed = false;
  /** By code. BOUNDED: one a kind of loss. */
  readonly #losses = new Map<string, Problem>();

  private constructor(ports: LedgerPorts, state: State, appended: number) {
    this.#ports = ports;
    this.state = state;
    this.#appended = appended;
  }

  /**
   * Reads the journal back, or begins one under a new store id.
   * @throws TsweaveError STATE_CORRUPT, STATE_UNWRITABLE.
   */
  static async open(ports: LedgerPorts, newStore: () => StoreId): Promise<Ledger> {
    const bytes = await ports.store.records(KEY);
    const damage = ports.store.damage(KEY);
    if (damage !== undefined) return await Ledger.#recover(ports, bytes, damage, newStore());
    const records = bytes.map(decodeRecord);
    const first = records[0];
    if (first === undefined) {
      const store = newStore();
      const begin = encodeRecord({ kind: "store", store });
      await ports.store.append(KEY, begin).catch(unwritable);
      return new Ledger(ports, new State(store), 1);
    }
    if (first.kind !== "store") {
      throw new TsweaveError("STATE_CORRUPT", "the journal of addresses has lost its beginning", {
        hint: "restore the state directory, or remove it to start as a new peer",
      });
    }
    const state = new State(first.store);
    const now = { nowMs: ports.clock.nowMs(), wallMs: stampMs(ports.clock) };
    for (const record of records) state.apply(record, now);
    refuseUnlisted(state);
    return new Ledger(ports, state, records.length);
  }

  /**
   * Begins anew as another store: of a damaged journal the last records are missing, and they may
   * have given addresses away. Kept are the leases that can be read, which Docker's list completes,
   * and the mesh, if others are in it who can admit the new store.
   */
  static async #recover(
    ports: LedgerPorts,
    bytes: readonly Uint8Array[],
    damage: JournalDamage,
    store: StoreId,
  ): Promise<Ledger> {
    const now = { nowMs: ports.clock.nowMs(), wallMs: stampMs(ports.clock) };
    const former = new State(store);
    const [first, ...rest] = bytes.map(decodeRecord);
    const old = first?.kind === "store" ? first.store : undefined;
    for (const record of rest) former.apply(record, now);
    const hasOthers = former.roster?.members.some((member) => member.store !== old) ?? false;
    const kept = [...former.recordsOfNewStore(store, now)].filter(
      ({ kind }) => hasOthers || !OF_THE_MESH.includes(kind),
    );
    const state = new State(store);
    for (const record of kept) state.apply(record, now);
    await ports.store.rewrite(KEY, kept.map(encodeRecord)).catch(unwritable);
    const { lostBytes, keptAt } = damage;
    ports.log.error(
      { former: old, store, lostBytes, keptAt },
      "address journal damaged: new store",
    );
    const ledger = new Ledger(ports, state, kept.length);
    ledger.lost({
      code: "STATE_DAMAGED",
      text:
        `the journal of addresses was damaged: ${bytes.length} records could be read, ` +
        `${lostBytes} bytes were lost; this peer began anew as store ${store} and asks for space`,
      next: `check the disk of the state directory; the damaged file is ${keptAt}`,
    });
    return ledger;
  }

  /** What was lost of what this host had promised to remember, for people. */
  get losses(): readonly Problem[] {
    return [...this.#losses.values()];
  }

  /** Keeps what was lost in view until the next start. */
  lost(problem: Problem): void {
    this.#losses.set(problem.code, problem);
  }

  /** The last write failed and the journal has not been repaired since. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** This host has gone to another mesh: the journal is another ledger's. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Runs `work` alone; work must not wait for the network.
   * @throws TsweaveError NOT_RUNNING once closed, and what `work` throws.
   */
  exclusive<T>(work: (commit: Commit) => Promise<T> | T): Promise<T> {
    const turn = this.#turn.then(() => {
      if (!this.#closed) return work((record) => this.#commit(record));
      throw new TsweaveError("NOT_RUNNING", "this peer has just gone to another mesh", {
        hint: "retry in a moment",
      });
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /**
   * Begins anew as another store, which owns nothing and keeps the leases (R10): on disk at once or
   * not at all.
   */
  rebirth(store: StoreId): Promise<void> {
    return this.exclusive(async () => {
      const { clock } = this.#ports;
      const now = { nowMs: clock.nowMs(), wallMs: stampMs(clock) };
      const records = [...this.state.recordsOfNewStore(store, now)].map(encodeRecord);
      await this.#replace(records);
      this.state.rebirth(store);
    });
  }

  /**
   * Begins anew in another mesh, with the leases: on disk at once or not at all. Whatever was under
   * way here and comes later finds this ledger closed, so nothing of one mesh gets into the other.
   */
  moveTo(place: Place): Promise<Ledger> {
    return this.exclusive(async () => {
      const { clock } = this.#ports;
      const now = { nowMs: clock.nowMs(), wallMs: stampMs(clock) };
      const records = [...this.state.recordsAt(place, now)];
      await this.#replace(records.map(encodeRecord));
      this.#closed = true;
      const state = new State(place.store);
      state.running = this.state.running;
      state.self = this.state.self;
      for (const record of records) state.apply(record, now);
      const next = new Ledger(this.#ports, state, records.length);
      for (const loss of this.losses) next.lost(loss);
      return next;
    });
  }

  async #commit(record: JournalRecord): Promise<void> {
    const { store, clock } = this.#ports;
    if (this.#doubtful || this.#appended >= this.#compactAt) await this.#rewrite();
    const bytes = encodeRecord(record);
    // What could not be read back would stop the next start: refuse it now.
    decodeRecord(bytes);
    try {
      await store.append(KEY, bytes);
    } catch (error) {
      this.#doubtful = true;
      this.#ports.log.error({ err: messageOf(error) }, "journal of addresses: append failed");
      unwritable(error);
    }
    this.#appended++;
    this.state.apply(record, { nowMs: clock.nowMs(), wallMs: stampMs(clock) });
    if (record.kind === "roster") this.onRoster();
  }

  async #rewrite(): Promise<void> {
    const { clock } = this.#ports;
    const now = { nowMs: clock.nowMs(), wallMs: stampMs(clock) };
    await this.#replace([...this.state.records(now)].map(encodeRecord));
  }

  async #replace(records: readonly Uint8Array[]): Promise<void> {
    await this.#ports.store.rewrite(KEY, records).catch(unwritable);
    this.#doubtful = false;
    this.#appended = records.length;
    this.#compactAt = Math.max(COMPACT_RECORDS, records.length * 2);
  }
}

/** The wall clock as a record may hold it: a clock before 1970 or between milliseconds is cut. */
export function stampMs(clock: Clock): number {
  return Math.max(0, Math.floor(clock.wallMs()));
}

/** Makes what `records` know better durable, in one write. Resolves with whether there was any. */
export async function learn(commit: Commit, pool: Pool, records: Ownership): Promise<boolean> {
  const better = news(records, pool.ownership);
  if (better.length > 0) await commit({ kind: "own", cidr: pool.cidr, records: better });
  return better.length > 0;
}

/** Before there were rosters a store could own space without being in one. */
function refuseUnlisted(state: State): void {
  if (state.roster === undefined || state.isPeer(state.store) || state.retired) return;
  const owning = [...state.pools.values()].find((pool) => pool.owned > 0n);
  if (owning === undefined) return;
  throw new TsweaveError(
    "STATE_CORRUPT",
    `the state owns addresses of ${owning.cidr.text} but is in no roster`,
    {
      hint: "it was written before the first release: remove the state directory and launch again",
    },
  );
}

function unwritable(error: unknown): never {
  throw new TsweaveError("STATE_UNWRITABLE", `the address journal: ${messageOf(error)}`, {
    hint: "free space on the disk of the state directory, then try again",
    cause: error,
  });
}
