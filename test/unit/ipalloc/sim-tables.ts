/** Replicated tables reduced to their contract: whole origins, the newer (epoch, seq) wins. */
import {
  type Cancel,
  decodeWire,
  encodeWire,
  LIMITS,
  type PeerId,
  type RowChange,
  type TableName,
  type TableRow,
  type Tables,
  type WireValue,
} from "../../../mesh/index.ts";

export interface OriginRows {
  readonly origin: PeerId;
  readonly epoch: number;
  readonly seq: number;
  /** Encoded values by `table key`. */
  readonly rows: ReadonlyMap<string, Uint8Array>;
}

export class SimTables implements Tables {
  readonly #origins = new Map<PeerId, OriginRows>();
  readonly #watchers = new Set<{ table: TableName; receive: (c: readonly RowChange[]) => void }>();
  readonly #self: PeerId;
  readonly #push: (rows: OriginRows) => void;

  constructor(self: PeerId, epoch: number, push: (rows: OriginRows) => void) {
    this.#self = self;
    this.#push = push;
    this.#origins.set(self, { origin: self, epoch, seq: 0, rows: new Map() });
  }

  put(table: TableName, key: string, value: WireValue): void {
    const bytes = encodeWire(value);
    if (bytes.length > LIMITS.rowBytesMax) throw new Error(`row of ${bytes.length} bytes`);
    this.#change(table, key, bytes);
  }

  remove(table: TableName, key: string): void {
    this.#change(table, key, undefined);
  }

  rows(table: TableName): readonly TableRow[] {
    return [...this.#origins.values()].flatMap(({ origin, rows }) =>
      [...rows].flatMap(([name, bytes]) => {
        const [of, key = ""] = name.split(" ");
        return of === table ? [{ origin, table, key, value: decodeWire(bytes) }] : [];
      }),
    );
  }

  watch(table: TableName, receive: (changes: readonly RowChange[]) => void): Cancel {
    const watcher = { table, receive };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  async announce(): Promise<{ late: readonly PeerId[] }> {
    return { late: [] };
  }

  known(): OriginRows[] {
    return [...this.#origins.values()];
  }

  /** Merges what another host knows of one origin. */
  absorb(rows: OriginRows): void {
    const mine = this.#origins.get(rows.origin);
    if (rows.origin === this.#self) return;
    if (mine !== undefined && (rows.epoch - mine.epoch || rows.seq - mine.seq) <= 0) return;
    this.#origins.set(rows.origin, rows);
    const names = new Set([...(mine?.rows.keys() ?? []), ...rows.rows.keys()]);
    this.#tell(
      [...names]
        .filter((name) => !same(mine?.rows.get(name), rows.rows.get(name)))
        .map((name) => changeOf(rows.origin, name, rows.rows.get(name))),
    );
  }

  #change(table: TableName, key: string, bytes: Uint8Array | undefined): void {
    const mine = this.#origins.get(this.#self);
    const name = `${table} ${key}`;
    if (mine === undefined || same(mine.rows.get(name), bytes)) return;
    const rows = new Map(mine.rows);
    if (bytes === undefined) rows.delete(name);
    else rows.set(name, bytes);
    const next = { ...mine, seq: mine.seq + 1, rows };
    this.#origins.set(this.#self, next);
    this.#push(next);
    this.#tell([changeOf(this.#self, name, bytes)]);
  }

  #tell(changes: readonly RowChange[]): void {
    for (const { table, receive } of [...this.#watchers]) {
      const mine = changes.filter((change) => change.table === table);
      if (mine.length > 0) receive(mine);
    }
  }
}

function changeOf(origin: PeerId, name: string, bytes: Uint8Array | undefined): RowChange {
  const [table, key = ""] = name.split(" ");
  const value = bytes === undefined ? undefined : decodeWire(bytes);
  return { origin, table: table as TableName, key, value };
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.compare(a, b) === 0;
}
