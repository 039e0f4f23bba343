/**
 * What the bridge learned of local members (`bridge mdb`), and what of it is told to others. Pure.
 *
 * Law: what a container joins is outside input. So many groups an endpoint and a host are told of,
 * and those told already stay, so that a container that joins thousands drives out no other's.
 */
import { LIMITS, messageOf, TsweaveError } from "../../mesh/index.ts";
import { BRIDGE, VXLAN } from "../state.ts";
import { isSnooped } from "./group.ts";

/** Groups by the overlay end of the endpoint that joined them. BOUNDED: the kernel's table. */
export type Joins = ReadonlyMap<string, ReadonlySet<string>>;

export interface ToldGroups {
  /** In the order of their addresses. */
  readonly groups: readonly string[];
  /** How many joined groups are not told, because of the bounds. */
  readonly leftOut: number;
}

/**
 * Reads `bridge -j mdb show`. Undefined while the bridge does not snoop, or is not set up: then an
 * empty table says nothing of members. @throws TsweaveError COMMAND_FAILED.
 */
export function readJoins(json: string): Joins | undefined {
  let tables: unknown;
  try {
    tables = JSON.parse(json.trim() === "" ? "[]" : json);
  } catch (error) {
    throw new TsweaveError("COMMAND_FAILED", `bridge mdb show: no JSON: ${messageOf(error)}`);
  }
  const joins = new Map<string, Set<string>>();
  let snoops = false;
  for (const table of asRows(tables)) {
    const routers = asRows(asFields(table.router)[BRIDGE]);
    snoops ||= routers.some(({ port }) => port === VXLAN);
    for (const { dev, port, grp } of asRows(table.mdb)) {
      if (dev !== BRIDGE || typeof port !== "string" || typeof grp !== "string") continue;
      if (!/^veth[0-9a-f]{7}$/.test(port) || !isSnooped(grp)) continue;
      const known = joins.get(port) ?? new Set();
      joins.set(port, known.add(grp));
    }
  }
  return snoops ? joins : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

function asFields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function asRows(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(asFields) : [];
}

/** What to tell, given what was told before. */
export function toTell(joins: Joins, before: readonly string[]): ToldGroups {
  const known = new Set(before);
  const joined = new Set<string>();
  const chosen = new Set<string>();
  const oldFirst = (a: string, b: string) => Number(known.has(b)) - Number(known.has(a));
  for (const groups of joins.values()) {
    for (const group of groups) joined.add(group);
    const own = [...groups].sort(oldFirst).slice(0, LIMITS.groupsPerEndpointMax);
    for (const group of own) chosen.add(group);
  }
  const told = [...chosen].sort(oldFirst).slice(0, LIMITS.groupsPerHostMax);
  return { groups: told.sort(), leftOut: joined.size - told.length };
}
