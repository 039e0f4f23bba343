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
import { joinAll, type Ownership } from "./ownership.ts";
import type { Pool } from "./pool.ts";
import { acceptable, readRangesRow, tryRead } from "./rows.ts";

export class Intake {
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
    const { store } = this.#ledger.state;
    let any = false;
    for (const [pool, views] of this.#byPool(rows)) {
      const shown = joinAll(views);
      const byStore = joinAll(views.map((view) => view.filter(({ by }) => by === store)));
      if (wasForgotten(shown, pool.ownership, store, byStore)) {
        await this.#retire(commit);
        return any;
      }
      any = (await learn(commit, pool, shown)) || any;
    }
    return any;
  }

  #byPool(rows: readonly RowChange[]): Map<Pool, Ownership[]> {
    const { state } = this.#ledger;
    /** BOUNDED: networksMax pools, one view a row. */
    const views = new Map<Pool, Ownership[]>();
    for (const { value, ...place } of rows) {
      if (value === undefined) continue;
      tryRead({ ...place, value }, this.#log, (present) => {
        const read = readRangesRow(present);
        if (read.meshId !== state.founding?.meshId) return;
        const pool = state.ensurePool(read.cidr);
        const records = acceptable(state, read.records, read.store);
        const known = views.get(pool);
        if (known === undefined) views.set(pool, [records]);
        else known.push(records);
      });
    }
    return views;
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
