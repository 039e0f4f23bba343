/**
 * Merges what others publish of their ranges.
 *
 * Law: what is merged is durable before it is known, and only what a member may say counts: every
 * row is judged by the roster of the moment it is merged at, and again when the roster changes.
 * Rows that wait are joined first and written at once: a peer that meets a large mesh is not held
 * up.
 */
import { type Log, messageOf, type PeerId, type RowChange } from "../mesh/index.ts";
import { wasForgotten } from "./forgotten.ts";
import { type Commit, type Ledger, learn } from "./ledger.ts";
import { joinAll, type Ownership, type StoreId } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import { acceptable, readRangesRow, tryRead } from "./rows.ts";
import { Witness } from "./witness.ts";

/** What rows say of one pool. */
interface Heard {
  /** What may be merged, by row. */
  readonly views: Ownership[];
  /** What members say that this store wrote, and that it was given. */
  readonly byStore: Ownership[];
  readonly toStore: Ownership[];
}

export class Intake {
  /** What others no longer know of themselves. */
  readonly witness = new Witness();
  readonly #log: Log;
  readonly #ledger: Ledger;
  readonly #self: PeerId;
  readonly #changed: () => void;
  /** Rows to merge, newest by origin and key. BOUNDED: by the tables' own rows. */
  readonly #pending = new Map<string, RowChange>();

  constructor({ log }: { readonly log: Log }, ledger: Ledger, self: PeerId, changed: () => void) {
    this.#log = log;
    this.#ledger = ledger;
    this.#self = self;
    this.#changed = changed;
  }

  receive(changes: readonly RowChange[]): void {
    for (const change of changes) {
      if (change.origin === this.#self || change.value === undefined) continue;
      this.#pending.set(`${change.origin} ${change.key}`, change);
    }
    // Unfounded, no row can be judged; all are read again once founded.
    if (this.#ledger.state.founding === undefined) this.#pending.clear();
    if (this.#pending.size === 0) return;
    this.#mergePending().catch((error: unknown) => {
      this.#log.error({ err: messageOf(error) }, "published ranges were not merged");
    });
  }

  async #mergePending(): Promise<void> {
    const learned = await this.#ledger.exclusive(async (commit) => {
      const rows = [...this.#pending];
      this.#pending.clear();
      try {
        return await this.#mergeRows(
          commit,
          rows.map(([, row]) => row),
        );
      } catch (error) {
        // Not on disk, so not known: it is merged again with the next row that comes.
        for (const [key, row] of rows) if (!this.#pending.has(key)) this.#pending.set(key, row);
        throw error;
      }
    });
    if (learned) this.#changed();
  }

  /** All rows of a pool as one, with one write; resolves with whether anything was new. */
  async #mergeRows(commit: Commit, rows: readonly RowChange[]): Promise<boolean> {
    const { state } = this.#ledger;
    const { pools, isWitness } = this.#byPool(rows);
    let any = isWitness;
    for (const [pool, { views, byStore, toStore }] of pools) {
      const mergeable = joinAll(views);
      const shown = { mergeable, byStore: joinAll(byStore), toStore: joinAll(toStore) };
      if (wasForgotten(shown, pool.ownership, state.store)) {
        await this.#retire(commit);
        return any;
      }
      any = (await learn(commit, pool, mergeable)) || any;
    }
    return any;
  }

  #byPool(rows: readonly RowChange[]): { pools: Map<Pool, Heard>; isWitness: boolean } {
    const { state } = this.#ledger;
    /** BOUNDED: networksMax pools, one view a row. */
    const pools = new Map<Pool, Heard>();
    let isWitness = false;
    const isMember = (store: StoreId) => state.isPeer(store);
    this.witness.keep(isMember);
    for (const { value, ...place } of rows) {
      if (value === undefined) continue;
      tryRead({ ...place, value }, this.#log, (present) => {
        const { meshId, cidr, store, records } = readRangesRow(present);
        if (meshId !== state.founding?.meshId) return;
        const pool = state.ensurePool(cidr);
        const heard = pools.get(pool) ?? { views: [], byStore: [], toStore: [] };
        pools.set(pool, heard);
        heard.views.push(acceptable(state, records, store));
        if (!state.isPeer(store) || store === state.store) return;
        heard.byStore.push(records.filter(({ by }) => by === state.store));
        heard.toStore.push(records.filter(({ owner }) => owner === state.store));
        isWitness = this.witness.look(pool, store, records, isMember) || isWitness;
      });
    }
    return { pools, isWitness };
  }

  /** Others hold what this store wrote and forgot: its disk was set back, it must not go on. */
  async #retire(commit: Commit): Promise<void> {
    const { roster, store, retired } = this.#ledger.state;
    if (roster === undefined || retired) return;
    this.#log.error({ store }, "the journal is older than what it told: begins anew");
    await commit({ kind: "roster", roster, retired: true });
    this.#ledger.lost({
      code: "STATE_SET_BACK",
      text: `the state directory is an older copy: peers hold what store ${store} wrote since`,
      next: "nothing: this peer began anew and asks for space; do not restore it from snapshots",
    });
  }
}
