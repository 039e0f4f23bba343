/**
 * The one writer of durable state: takes turns, appends to the journal, then folds.
 *
 * Law: one turn at a time, and within it disk before memory. After a failed append nobody knows
 * what the disk holds, so nothing more is written until the whole journal has been replaced by
 * what memory holds: a gift that was refused cannot come back from the disk.
 */
import { type Clock, type Log, messageOf, type Store, TsweaveError } from "../mesh/index.ts";
import { decodeRecord, encodeRecord, type JournalRecord } from "./journal.ts";
import { news, type Ownership, type StoreId, slices } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import { State } from "./state.ts";

const KEY = "ipalloc";
/** A journal shorter than this is never compacted. */
const COMPACT_RECORDS = 1024;

export interface LedgerPorts {
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Log;
}

/** Makes one record durable, then visible. */
export type Commit = (record: JournalRecord) => Promise<void>;

export class Ledger {
  readonly state: State;
  readonly #ports: LedgerPorts;
  #turn: Promise<unknown> = Promise.resolve();
  /** Records appended since the last compaction, and when the next is due. */
  #appended: number;
  #compactAt = COMPACT_RECORDS;
  #doubtful = false;

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
    const records = (await ports.store.records(KEY)).map(decodeRecord);
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
    return new Ledger(ports, state, records.length);
  }

  /** The last write failed and the journal has not been repaired since. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** Runs `work` alone; work must not wait for the network. */
  exclusive<T>(work: (commit: Commit) => Promise<T> | T): Promise<T> {
    const turn = this.#turn.then(() => work((record) => this.#commit(record)));
    this.#turn = turn.catch(() => undefined);
    return turn;
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
  }

  async #rewrite(): Promise<void> {
    const { store, clock } = this.#ports;
    const now = { nowMs: clock.nowMs(), wallMs: stampMs(clock) };
    const records = [...this.state.records(now)].map(encodeRecord);
    await store.rewrite(KEY, records).catch(unwritable);
    this.#doubtful = false;
    this.#appended = records.length;
    this.#compactAt = Math.max(COMPACT_RECORDS, records.length * 2);
  }
}

/** The wall clock as a record may hold it: a clock before 1970 or between milliseconds is cut. */
export function stampMs(clock: Clock): number {
  return Math.max(0, Math.floor(clock.wallMs()));
}

/** Makes what `records` know better durable. Resolves with whether there was any. */
export async function learn(commit: Commit, pool: Pool, records: Ownership): Promise<boolean> {
  const better = news(records, pool.ownership);
  for (const part of slices(better)) await commit({ kind: "own", cidr: pool.cidr, records: part });
  return better.length > 0;
}

function unwritable(error: unknown): never {
  throw new TsweaveError("STATE_UNWRITABLE", `the address journal: ${messageOf(error)}`, {
    hint: "free space on the disk of the state directory, then try again",
    cause: error,
  });
}
