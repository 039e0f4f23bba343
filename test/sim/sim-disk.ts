/**
 * A disk that outlives its daemon: writes take time, and a crash leaves of those under way at most
 * the first of each key, whole or not at all (records and snapshots carry checksums).
 */
import type { Clock, Random, Store } from "../../mesh/index.ts";
import { MemoryStore } from "../lib/memory-store.ts";

interface Pending {
  readonly key: string;
  readonly write: () => Promise<void>;
}

export class SimDisk {
  #durable = new MemoryStore();
  readonly #pending = new Set<Pending>();
  /** Rises at each crash: what an earlier life still wants to write never begins. */
  #life = 0;

  /** The power goes: what was under way may have reached the disk. */
  async crash(random: Random): Promise<void> {
    this.#life += 1;
    const keys = new Set<string>();
    for (const { key, write } of this.#pending) {
      if (!keys.has(key) && random.u32() % 2 === 0) await write();
      keys.add(key);
    }
    this.#pending.clear();
  }

  /** A new, empty disk. */
  lose(): void {
    this.#durable = new MemoryStore();
    this.#pending.clear();
  }

  /** The store of one life; after it nothing is written any more. */
  store(clock: Clock, random: Random, delayMsMax: number): Store {
    const durable = this.#durable;
    const life = this.#life;
    /** BOUNDED: one tail a key. */
    const tails = new Map<string, Promise<void>>();
    const inOrder = (key: string, write: () => Promise<void>): Promise<void> => {
      const pending = { key, write };
      const run = (tails.get(key) ?? Promise.resolve()).then(async () => {
        if (life !== this.#life) await new Promise<never>(() => undefined);
        this.#pending.add(pending);
        await new Promise<void>((resolve) => {
          clock.timer("sim-disk", (random.u32() % 1000) * (delayMsMax / 1000), resolve);
        });
        if (!this.#pending.delete(pending)) await new Promise<never>(() => undefined);
        await write();
      });
      tails.set(key, run);
      return run;
    };
    return {
      load: (key) => durable.load(key),
      damage: () => durable.damage(),
      records: (key) => durable.records(key),
      save: (key, bytes) => inOrder(key, () => durable.save(key, bytes)),
      append: (key, record) => inOrder(key, () => durable.append(key, record)),
      rewrite: (key, records) => inOrder(key, () => durable.rewrite(key, records)),
    };
  }
}
