/**
 * What other peers said, on disk, so that a daemon that starts in a partition forgets nothing.
 *
 * Law: a save costs what has changed, not what is held: a journal of deltas, folded into a
 * snapshot when it has grown as large. Reading back is a merge, so a record that was written twice
 * or is older than the snapshot does no harm. A cache that does not read is begun anew.
 */
import { messageOf } from "../errors.ts";
import { TIMES } from "../limits.ts";
import type { Cancel, Clock, Log, Store } from "../ports.ts";
import type { VectorEntry } from "./messages.ts";
import type { Replica } from "./replica.ts";

const KEY = "tables";
/** Remote rows are worth keeping, not worth a disk write each. */
const SAVE_DELAY_MS = 1000;
/** A journal below this is not worth a snapshot. */
const JOURNAL_BYTES = 64 * 1024;

interface KeeperPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

export class TablesKeeper {
  readonly #ports: KeeperPorts;
  readonly #replica: Replica;
  /** BOUNDED: one entry an origin (peersMax): how far the disk holds each log. */
  #saved: readonly VectorEntry[] = [];
  #savedForgets = 0;
  #snapshotBytes = 0;
  #journalBytes = 0;
  #cancel: Cancel | undefined;
  #closed = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(ports: KeeperPorts, replica: Replica) {
    this.#ports = ports;
    this.#replica = replica;
  }

  /** Reads back what the last life knew. @throws TsweaveError STATE_CORRUPT from the store. */
  async load(): Promise<void> {
    const { store, log } = this.#ports;
    const snapshot = await store.load(KEY);
    const records = await store.records(KEY);
    try {
      for (const bytes of snapshot === undefined ? records : [snapshot, ...records]) {
        this.#replica.restore(bytes);
      }
    } catch (error) {
      log.error({ error: messageOf(error) }, "what other peers said does not read: asked anew");
    }
    // The first save is a snapshot: what is on disk may be of another layout.
    this.#journalBytes = Number.POSITIVE_INFINITY;
  }

  /** The replica changed: it is saved within a second, or soon after there is room. */
  changed(): void {
    this.#saveIn(SAVE_DELAY_MS);
  }

  /** Saves what is not saved yet. Rejects when the store does. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#save();
  }

  #saveIn(delayMs: number): void {
    if (this.#cancel !== undefined || this.#closed) return;
    this.#cancel = this.#ports.clock.timer("save-tables", delayMs, () => {
      this.#cancel = undefined;
      this.#save().catch((error: unknown) => {
        this.#ports.log.error({ error: messageOf(error) }, "cannot save what other peers said");
        this.#saveIn(TIMES.storeRetryMs);
      });
    });
  }

  #save(): Promise<void> {
    const after = this.#saving.catch(() => undefined).then(() => this.#write());
    this.#saving = after;
    return after;
  }

  async #write(): Promise<void> {
    const vector = this.#replica.vector();
    const { forgets } = this.#replica;
    const news = this.#replica.dumpSince(this.#saved);
    if (news === undefined && forgets === this.#savedForgets) return;
    const grown = this.#journalBytes + (news?.length ?? 0);
    const journalMax = Math.max(JOURNAL_BYTES, this.#snapshotBytes);
    if (news === undefined || forgets !== this.#savedForgets || grown > journalMax) {
      await this.#snapshot();
    } else {
      await this.#ports.store.append(KEY, news);
      this.#journalBytes = grown;
    }
    this.#saved = vector;
    this.#savedForgets = forgets;
  }

  /** The snapshot first: until the journal is cut, reading both gives the same. */
  async #snapshot(): Promise<void> {
    const bytes = this.#replica.dump();
    await this.#ports.store.save(KEY, bytes);
    await this.#ports.store.rewrite(KEY, []);
    this.#snapshotBytes = bytes.length;
    this.#journalBytes = 0;
  }
}
