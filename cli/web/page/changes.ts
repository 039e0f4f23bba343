/**
 * The difference between two states of the map, made by the daemon and applied by the page.
 *
 * Law: `applied(a, changesBetween(a, b))` holds the rows of `b`; nothing changed gives undefined.
 */
import type { MapEndpoint, MapHost, MapModel, MapNetwork, MapSummary } from "./model.ts";

interface TableChange<Row> {
  readonly set: readonly Row[];
  readonly gone: readonly string[];
}

/** A table that is left out did not change. */
export interface MapChanges {
  readonly summary?: MapSummary;
  readonly hosts?: TableChange<MapHost>;
  readonly networks?: TableChange<MapNetwork>;
  readonly endpoints?: TableChange<MapEndpoint>;
}

type Keyed = { readonly key: string };

/** Undefined when both say the same. */
export function changesBetween(before: MapModel, after: MapModel): MapChanges | undefined {
  const hosts = tableChange(before.hosts, after.hosts);
  const networks = tableChange(before.networks, after.networks);
  const endpoints = tableChange(before.endpoints, after.endpoints);
  const changes: MapChanges = {
    ...(isSame(before.summary, after.summary) ? {} : { summary: after.summary }),
    ...(hosts === undefined ? {} : { hosts }),
    ...(networks === undefined ? {} : { networks }),
    ...(endpoints === undefined ? {} : { endpoints }),
  };
  return Object.keys(changes).length === 0 ? undefined : changes;
}

/** The model with the changes; rows that are new come last. */
export function applied(model: MapModel, changes: MapChanges): MapModel {
  return {
    summary: changes.summary ?? model.summary,
    hosts: appliedTable(model.hosts, changes.hosts),
    networks: appliedTable(model.networks, changes.networks),
    endpoints: appliedTable(model.endpoints, changes.endpoints),
  };
}

function tableChange<Row extends Keyed>(
  before: readonly Row[],
  after: readonly Row[],
): TableChange<Row> | undefined {
  const old = new Map(before.map((row) => [row.key, row]));
  const set = after.filter((row) => !isSame(old.get(row.key), row));
  const kept = new Set(after.map(({ key }) => key));
  const gone = before.filter(({ key }) => !kept.has(key)).map(({ key }) => key);
  return set.length + gone.length === 0 ? undefined : { set, gone };
}

function appliedTable<Row extends Keyed>(
  rows: readonly Row[],
  change: TableChange<Row> | undefined,
): readonly Row[] {
  if (change === undefined) return rows;
  const byKey = new Map(rows.map((row) => [row.key, row]));
  for (const key of change.gone) byKey.delete(key);
  for (const row of change.set) byKey.set(row.key, row);
  return [...byKey.values()];
}

/** Equality of JSON values; thousands of rows are compared each second. */
function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object") return false;
  if (one === null || other === null) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  const [left, right] = [one as Fields, other as Fields];
  for (const name of names) if (!isSame(left[name], right[name])) return false;
  return true;
}

type Fields = Readonly<Record<string, unknown>>;
