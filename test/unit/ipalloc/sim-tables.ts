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
  /** Live peers that do not confirm this host's rows. */
  late: readonly PeerId[] = [];
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
    const held = this.#origins.get(this.#self)?.rows.get(`${table} ${key}`);
    if (held !== undefined && isSame(decoded(held), value)) return;
    const bytes = encodeWire(value);
    if (bytes.length > LIMITS.rowBytesMax) throw new Error(`row of ${bytes.length} bytes`);
    this.#change(table, key, bytes);
  }

  remove(table: TableName, key: string): void {
    this.#change(table, key, undefined);
  }

  rows(table: TableName): readonly TableRow[] {
    return [...this.#origins.values()].flatMap((rows) => rowsByTable(rows).get(table) ?? []);
  }

  watch(table: TableName, receive: (changes: readonly RowChange[]) => void): Cancel {
    const watcher = { table, receive };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  async announce(): Promise<{ late: readonly PeerId[] }> {
    return { late: this.late };
  }

  /** Forgets an origin. */
  drop(origin: PeerId): void {
    const rows = this.#origins.get(origin)?.rows;
    this.#origins.delete(origin);
    this.#tell([...(rows?.keys() ?? [])].map((name) => changeOf(origin, name, undefined)));
  }

  /** Origins of which this host knows more than `other`. */
  newerThan(other: SimTables): OriginRows[] {
    return [...this.#origins.values()].filter((rows) =>
      isNewer(rows, other.#origins.get(rows.origin)),
    );
  }

  /** Merges what another host knows of one origin. */
  absorb(rows: OriginRows): void {
    const mine = this.#origins.get(rows.origin);
    if (rows.origin === this.#self || !isNewer(rows, mine)) return;
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

function isNewer(rows: OriginRows, known: OriginRows | undefined): boolean {
  return known === undefined || (rows.epoch - known.epoch || rows.seq - known.seq) > 0;
}

function changeOf(origin: PeerId, name: string, bytes: Uint8Array | undefined): RowChange {
  const [table, key = ""] = name.split(" ");
  const value = bytes === undefined ? undefined : decoded(bytes);
  return { origin, table: table as TableName, key, value };
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === b || a === undefined || b === undefined) return a === b;
  return Buffer.compare(a, b) === 0;
}

/** Whether both are written alike: then a row need not be written to see that it did not change. */
function isSame(a: WireValue, b: WireValue): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  return a.every((item, index) => isSame(item, b[index] as WireValue));
}

/** What an origin shows never changes, and is read far more often than it is replaced. */
const tables = new WeakMap<OriginRows, ReadonlyMap<string, readonly TableRow[]>>();

function rowsByTable(rows: OriginRows): ReadonlyMap<string, readonly TableRow[]> {
  const known = tables.get(rows);
  if (known !== undefined) return known;
  const made = new Map<string, TableRow[]>();
  for (const [name, bytes] of rows.rows) {
    const [table = "", key = ""] = name.split(" ");
    const row = { origin: rows.origin, table: table as TableName, key, value: decoded(bytes) };
    made.set(table, [...(made.get(table) ?? []), row]);
  }
  tables.set(rows, made);
  return made;
}

/** Values are read far more often than written. */
const values = new WeakMap<Uint8Array, WireValue>();

function decoded(bytes: Uint8Array): WireValue {
  const known = values.get(bytes);
  if (known !== undefined) return known;
  const value = decodeWire(bytes);
  values.set(bytes, value);
  return value;
}
