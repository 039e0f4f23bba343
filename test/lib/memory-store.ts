/** A Store in memory whose contents survive a simulated crash of the code that uses it. */
import type { JournalDamage, Store } from "../../mesh/index.ts";

export class MemoryStore implements Store {
  readonly snapshots = new Map<string, Uint8Array>();
  readonly journals = new Map<string, Uint8Array[]>();
  /** When set, every write rejects with it: a full or broken disk. */
  failure: Error | undefined;

  /** What `damage` tells of any journal until it is rewritten. */
  damaged: JournalDamage | undefined;

  damage(): JournalDamage | undefined {
    return this.damaged;
  }

  async load(key: string): Promise<Uint8Array | undefined> {
    return this.snapshots.get(key);
  }

  async save(key: string, bytes: Uint8Array): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.snapshots.set(key, Uint8Array.from(bytes));
  }

  async records(key: string): Promise<Uint8Array[]> {
    return [...(this.journals.get(key) ?? [])];
  }

  async append(key: string, record: Uint8Array): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    const journal = this.journals.get(key) ?? [];
    journal.push(Uint8Array.from(record));
    this.journals.set(key, journal);
  }

  async rewrite(key: string, records: readonly Uint8Array[]): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.damaged = undefined;
    this.journals.set(
      key,
      records.map((record) => Uint8Array.from(record)),
    );
  }
}
