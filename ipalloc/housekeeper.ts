/** When ownership is tidied (`tidy.ts`): a while after a change, one pool and record at a time. */
import { type Cancel, messageOf, TIMES } from "../mesh/index.ts";
import type { FounderPorts } from "./founder.ts";
import type { Ledger } from "./ledger.ts";
import type { StoreId } from "./ownership.ts";
import { inReach } from "./reach.ts";
import { directoryOf } from "./rows.ts";
import { merges, returned } from "./tidy.ts";

export class Housekeeper {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #changed: () => void;
  readonly #paused: () => boolean;
  #cancel: Cancel | undefined;
  #stopped = false;

  /** `paused`: this store is leaving and hands its space on whole. */
  constructor(
    ports: FounderPorts,
    ledger: Ledger,
    changed: () => void,
    paused: () => boolean = () => false,
  ) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#changed = changed;
    this.#paused = paused;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** To be called after changes of ownership; they come in bursts, so it waits for their end. */
  consider(): void {
    if (this.#stopped || this.#cancel !== undefined) return;
    this.#cancel = this.#ports.clock.timer("ipalloc-tidy", TIMES.useCountMs, () => {
      this.#cancel = undefined;
      this.#tidy().catch((error: unknown) => {
        this.#ports.log.warn({ err: messageOf(error) }, "ranges were not tidied");
      });
    });
  }

  async #tidy(): Promise<void> {
    const { state } = this.#ledger;
    const canTake = this.#takers();
    const wrote = await this.#ledger.exclusive(async (commit) => {
      if (this.#stopped || !state.isMember || this.#paused()) return false;
      let any = false;
      for (const pool of state.pools.values()) {
        pool.wake(this.#ports.clock.nowMs());
        const merged = merges(pool.ownership, state.store, state.roster?.removedAt);
        const records = merged.length > 0 ? merged : (returned(pool, canTake) ?? []);
        if (records.length === 0) continue;
        await commit({ kind: "own", cidr: pool.cidr, records });
        any = true;
      }
      return any;
    });
    if (wrote && !this.#stopped) this.#changed();
  }

  /** Members in reach. */
  #takers(): (store: StoreId) => boolean {
    const { tables, log, members } = this.#ports;
    const { state } = this.#ledger;
    const directory = directoryOf(tables, state, log);
    const live = inReach(members());
    return (store) => {
      const peer = directory.peerOf(store);
      return peer !== undefined && live.has(peer) && state.isPeer(store);
    };
  }
}
