/** Tables in hand: a test writes rows of any origin, and the watchers hear of them at once. */
import type { RowChange, TableName, TableRow, Tables, WireValue } from "../../../mesh/index.ts";

type Receive = (changes: readonly RowChange[]) => void;
/** Table, origin, key, and the value or, for a row that goes, undefined. */
export type Written = readonly [TableName, string, string, WireValue | undefined];

export class TablesInHand {
  readonly #rows = new Map<string, TableRow>();
  readonly #watchers: { readonly table: TableName; readonly receive: Receive }[] = [];

  /** For what asks for the whole port: only reading and watching are there. */
  get port(): Tables {
    return this as unknown as Tables;
  }

  rows(table: TableName): readonly TableRow[] {
    return [...this.#rows.values()].filter((row) => row.table === table);
  }

  watch(table: TableName, receive: Receive): () => void {
    this.#watchers.push({ table, receive });
    return () => undefined;
  }

  /** Rows of one table that change together. */
  write(rows: readonly Written[]): void {
    const changes = rows.map(([table, origin, key, value]) => ({ table, origin, key, value }));
    for (const { table, origin, key, value } of changes) {
      const id = `${table}/${origin}/${key}`;
      if (value === undefined) this.#rows.delete(id);
      else this.#rows.set(id, { table, origin, key, value });
    }
    for (const { table, receive } of this.#watchers) {
      if (table === changes[0]?.table) receive(changes);
    }
  }
}
