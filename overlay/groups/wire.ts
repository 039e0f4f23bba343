/** A host's groups on one network as a row; the row's key is the network's name. */
import { LIMITS, readArray, readInteger, readString, type WireValue } from "../../mesh/index.ts";
import { UNDERLAY } from "../rows.ts";
import { groupBits, groupText } from "./group.ts";

export interface GroupsRow {
  /** Underlay address that copies go to. */
  readonly vtep: string;
  /** Canonical IPv4, none of 224.0.0.0/24. */
  readonly groups: readonly string[];
}

/** 224.0.1.0 and 239.255.255.255: all that can be snooped. */
const FIRST = 0xe000_0100;
const LAST = 0xefff_ffff;

export function groupsToWire({ vtep, groups }: GroupsRow): WireValue {
  return [vtep, groups.slice(0, LIMITS.groupsPerHostMax).map(groupBits)];
}

/** @throws TsweaveError BAD_MESSAGE */
export function groupsFromWire(value: WireValue): GroupsRow {
  const [vtep, groups] = readArray(value, "groups", 2, 16);
  return {
    vtep: readString(vtep, "groups.vtep", 45, UNDERLAY),
    groups: readArray(groups, "groups.groups", 0, LIMITS.groupsPerHostMax).map((bits) =>
      groupText(readInteger(bits, "group", FIRST, LAST)),
    ),
  };
}
