/**
 * Tells the kernel's echo of our own writes from changes by others, so that one changed row among
 * ten thousand does not cause a look at all of them.
 *
 * Law: a line of a monitor only ever saves a look, and only when the mirror already holds exactly
 * what it says; whatever does not read, or says anything else, is looked into. A line lost or
 * misread costs the time until the next full pass.
 */
import type { EntryTables } from "./diff-remote.ts";
import { floodKey, isFlood } from "./state.ts";

/** What one line of `ip monitor neigh` says of an entry of vxlan0. */
export interface EntryLine {
  readonly table: "neighbour" | "forward" | "steer";
  readonly isGone: boolean;
  /** Of the neighbour, or the VTEP of a forward. */
  readonly ip?: string;
  readonly mac?: string;
  /** Of a steer: to gw0 instead of vxlan0. */
  readonly direct?: boolean;
}

const WORD = "([0-9a-f:.]+)";
const NEIGHBOUR = new RegExp(`^(Deleted )?${WORD} dev vxlan0 (?:lladdr ${WORD} )?(\\w+) *$`);
const FORWARD = new RegExp(`^(Deleted )?${WORD} dev vxlan0 lladdr ${WORD} NOARP PERMANENT *$`);
const STEER = new RegExp(`^(Deleted )?dev (vxlan0|gw0) lladdr ${WORD} NOARP *$`);

/** Reads a line; undefined for all that is not a permanent entry of vxlan0 or the end of one. */
export function readEntryLine(line: string): EntryLine | undefined {
  const forward = FORWARD.exec(line);
  if (forward?.[2] !== undefined && forward[3] !== undefined) {
    const isGone = forward[1] !== undefined;
    return { table: "forward", isGone, ip: forward[2], mac: forward[3] };
  }
  const steer = STEER.exec(line);
  if (steer?.[3] !== undefined) {
    const direct = steer[2] === "gw0";
    return { table: "steer", isGone: steer[1] !== undefined, mac: steer[3], direct };
  }
  const [, deleted, ip, mac, state] = NEIGHBOUR.exec(line) ?? [];
  if (ip === undefined) return undefined;
  if (state === "FAILED") return { table: "neighbour", isGone: true, ip };
  if (state !== "PERMANENT" || mac === undefined) return undefined;
  return { table: "neighbour", isGone: deleted !== undefined, ip, mac };
}

/** What an entry is known by: two VTEPs of one MAC are two entries. */
export function keyOf({ table, ip, mac }: EntryLine): string {
  return table === "neighbour" ? `${table} ${ip}` : `${table} ${mac} ${ip}`;
}

/** Whether the tables, as we last wrote and saw them, hold just what the line says. */
export function isEcho(
  { table, isGone, ip, mac, direct }: EntryLine,
  tables: EntryTables,
): boolean {
  if (table === "neighbour") {
    const held = ip === undefined ? undefined : tables.neighbours.get(ip);
    return isGone ? held === undefined : held === mac;
  }
  if (mac === undefined) return false;
  if (table === "steer") {
    return isGone !== (tables.steers.get(mac) === (direct === true ? "direct" : "static"));
  }
  if (ip !== undefined && isFlood(mac)) {
    return isGone !== (tables.floods.get(floodKey(mac, ip))?.plain === true);
  }
  const held = tables.forwards.get(mac);
  return isGone ? held?.vtep !== ip : held?.vtep === ip && held?.plain === true;
}
