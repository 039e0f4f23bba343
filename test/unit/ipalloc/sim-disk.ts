/** A disk that outlives its daemon, folded by record so that checkers see what is durable. */
import { decodeRecord, type JournalRecord } from "../../../ipalloc/journal.ts";
import { State } from "../../../ipalloc/state.ts";
import type { JournalDamage, Random, Store } from "../../../mesh/index.ts";
import type { SimHost, SimMesh } from "./sim-mesh.ts";

const KEY = "ipalloc";
const NOW = { nowMs: 0, wallMs: 0 };

export class SimDisk {
  records: Uint8Array[] = [];
  /** What the records mean; undefined until the first. */
  durable: State | undefined;
  onRecord: (record: JournalRecord) => void = () => undefined;
  /** Every write rejects with it. */
  failure: Error | undefined;
  /** Records behind the present ones cannot be read any more. */
  damaged: JournalDamage | undefined;
  readonly #pending = new Set<Uint8Array>();

  write(bytes: Uint8Array): void {
    this.records.push(Uint8Array.from(bytes));
    const record = decodeRecord(bytes);
    this.#fold(record);
    this.onRecord(record);
  }

  replace(records: readonly Uint8Array[]): void {
    this.records = records.map((record) => Uint8Array.from(record));
    this.durable = undefined;
    this.damaged = undefined;
    for (const record of this.records) this.#fold(decodeRecord(record));
  }

  begin(bytes: Uint8Array): void {
    this.#pending.add(bytes);
  }

  /** False when the write was already decided by a crash. */
  finish(bytes: Uint8Array): boolean {
    if (!this.#pending.delete(bytes)) return false;
    this.write(bytes);
    return true;
  }

  /** At most the first write under way can have reached the disk, whole or not at all. */
  crash(random: Random): void {
    const [first] = this.#pending;
    this.#pending.clear();
    if (first !== undefined && random.u32() % 2 === 0) this.write(first);
  }

  #fold(record: JournalRecord): void {
    if (record.kind === "store") this.durable = new State(record.store);
    else this.durable?.apply(record, NOW);
  }
}

export class SimStore implements Store {
  readonly #mesh: SimMesh;
  readonly #host: SimHost;
  readonly #alive: () => boolean;

  constructor(mesh: SimMesh, host: SimHost, alive: () => boolean) {
    this.#mesh = mesh;
    this.#host = host;
    this.#alive = alive;
  }

  damage(): JournalDamage | undefined {
    return this.#host.disk.damaged;
  }

  async load(): Promise<undefined> {
    return undefined;
  }

  async save(): Promise<void> {
    throw new Error("snapshots are not used");
  }

  async records(key: string): Promise<Uint8Array[]> {
    return key === KEY ? [...this.#host.disk.records] : [];
  }

  append(_: string, record: Uint8Array): Promise<void> {
    const { clock, random, faults } = this.#mesh;
    const { disk } = this.#host;
    if (disk.failure !== undefined) return Promise.reject(disk.failure);
    return new Promise((resolve) => {
      if (!this.#alive()) return;
      const answer = () => {
        if (this.#alive()) resolve();
      };
      if (!random.chance(faults.slowDisk)) {
        disk.write(record);
        return answer();
      }
      disk.begin(record);
      if (faults.lyingDisk) answer();
      clock.timer("sim-disk", random.below(30), () => {
        if (!disk.finish(record)) return;
        clock.timer("sim-disk", random.below(30), answer);
      });
    });
  }

  async rewrite(_: string, records: readonly Uint8Array[]): Promise<void> {
    if (this.#host.disk.failure !== undefined) throw this.#host.disk.failure;
    if (this.#alive()) this.#host.disk.replace(records);
  }
}
