/**
 * A replicated table read as typed rows, kept up to date by its changes.
 *
 * Law: a row that does not read is skipped with one log line; it hides no other row and stays in
 * the replica, for a newer version to read.
 */
import { messageOf } from "../errors.ts";
import type { Log, PeerId, WireValue } from "../ports.ts";
import type { RowChange, TableName, Tables } from "./types.ts";

export interface TypedRow<Row> {
  readonly origin: PeerId;
  readonly key: string;
  readonly row: Row;
}

/** One net change: `before` and `after` are undefined where there is no readable row. */
export interface TypedChange<Row> {
  readonly before: TypedRow<Row> | undefined;
  readonly after: TypedRow<Row> | undefined;
}

export class TypedTable<Row> {
  readonly #read: (value: WireValue) => Row;
  readonly #log: Log;
  readonly #name: TableName;
  /** BOUNDED: peersMax × rowsPerOriginMax, as the replica itself. */
  readonly #rows = new Map<string, TypedRow<Row>>();
  readonly #receivers: ((changes: readonly TypedChange<Row>[]) => unknown)[] = [];

  /** `read` throws on values it cannot read. */
  constructor(tables: Tables, name: TableName, read: (value: WireValue) => Row, log: Log) {
    this.#read = read;
    this.#log = log;
    this.#name = name;
    this.#take(tables.rows(name));
    tables.watch(name, (changes) => {
      const net = this.#take(changes);
      const work = this.#receivers.map((receive) => receive(net));
      return work.some((one) => one instanceof Promise) ? Promise.allSettled(work) : undefined;
    });
  }

  /** All readable rows of all origins. */
  rows(): Iterable<TypedRow<Row>> {
    return this.#rows.values();
  }

  get(origin: PeerId, key: string): Row | undefined {
    return this.#rows.get(`${origin}/${key}`)?.row;
  }

  /** A promise that `receive` returns counts as a RowWatcher's. */
  onChange(receive: (changes: readonly TypedChange<Row>[]) => unknown): void {
    this.#receivers.push(receive);
  }

  #take(changes: readonly RowChange[]): TypedChange<Row>[] {
    return changes.map((change) => {
      const id = `${change.origin}/${change.key}`;
      const before = this.#rows.get(id);
      const after = this.#typed(change);
      if (after === undefined) this.#rows.delete(id);
      else this.#rows.set(id, after);
      return { before, after };
    });
  }

  #typed(change: RowChange): TypedRow<Row> | undefined {
    if (change.value === undefined) return undefined;
    try {
      return { origin: change.origin, key: change.key, row: this.#read(change.value) };
    } catch (error) {
      const { origin, key } = change;
      const fields = { table: this.#name, origin, key, error: messageOf(error) };
      this.#log.warn(fields, "skipped a row that does not read");
      return undefined;
    }
  }
}
