/**
 * Merges what others publish of their ranges.
 *
 * Law: what is merged is durable before it is known, and only what a member may say counts: every
 * row is judged by the roster of the moment it is merged at, and again when the roster changes.
 */
import { type Log, messageOf, type PeerId, type RowChange } from "../mesh/index.ts";
import { wasForgotten } from "./forgotten.ts";
import { type Commit, type Ledger, learn } from "./ledger.ts";
import { news } from "./ownership.ts";
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
      let any = false;
      for (const key of [...this.#pending.keys()]) {
        const row = this.#pending.get(key);
        if (row === undefined) continue;
        this.#pending.delete(key);
        try {
          any = (await this.#mergeRow(commit, row)) || any;
        } catch (error) {
          // Not on disk, so not known: it is merged again with the next row that comes.
          if (!this.#pending.has(key)) this.#pending.set(key, row);
          throw error;
        }
      }
      return any;
    });
    if (learned) this.#changed();
  }

  async #mergeRow(commit: Commit, row: RowChange): Promise<boolean> {
    const { state } = this.#ledger;
    const { value, ...place } = row;
    if (value === undefined) return false;
    const found = tryRead({ ...place, value }, this.#log, (present) => {
      const read = readRangesRow(present);
      if (read.meshId !== state.founding?.meshId) return undefined;
      const records = acceptable(state, read.records, read.store);
      return { pool: state.ensurePool(read.cidr), records };
    });
    if (found === undefined) return false;
    const { ownership } = found.pool;
    if (wasForgotten(news(found.records, ownership), ownership, state.store)) {
      await this.#retire(commit);
      return false;
    }
    return await learn(commit, found.pool, found.records);
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
