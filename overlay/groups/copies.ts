/**
 * Who gets a copy of a frame for many: entries from the tables, and the steps to them. Pure.
 *
 * Laws: a copy goes only to hosts that said they have a member, and what all listen to only to
 * hosts with endpoints of the network; ARP and unknown unicast have no entry and are never copied
 * (the proxy of vxlan0 swallows the first, the second finds nothing); never remove on doubt.
 */
import { LIMITS, type PeerId } from "../../mesh/index.ts";
import type { Keep } from "../diff-remote.ts";
import { type Copies, floodKey, type ObservedForward, type Step } from "../state.ts";
import { ALL_HOSTS_MACS, groupMac } from "./group.ts";

/** Groups that a host has members of, on one network. */
export interface RemoteGroups {
  /** Name of the network. */
  readonly network: string;
  /** Underlay address that the copies go to. */
  readonly vtep: string;
  readonly peer: PeerId;
  /** Canonical IPv4. */
  readonly groups: readonly string[];
}

/**
 * The copies of one network. `vteps` are the hosts with endpoints on it; where they are more than
 * LIMITS.broadcastPeersMax, broadcast stays on each host: each frame would be sent so many times.
 */
export function copiesOf(
  vteps: ReadonlySet<string>,
  remoteGroups: readonly RemoteGroups[],
): Copies {
  const copies = new Map<string, Set<string>>();
  if (vteps.size > 0 && vteps.size <= LIMITS.broadcastPeersMax) {
    for (const mac of ALL_HOSTS_MACS) copies.set(mac, new Set(vteps));
  }
  let room: number = LIMITS.groupCopiesMax;
  const inOrder = remoteGroups.toSorted((a, b) => (a.peer < b.peer ? -1 : 1));
  for (const { vtep, groups } of inOrder) {
    for (const group of groups.slice(0, Math.max(room, 0))) {
      const mac = groupMac(group);
      const known = copies.get(mac);
      if (known === undefined) copies.set(mac, new Set([vtep]));
      else known.add(vtep);
      room -= 1;
    }
  }
  return copies;
}

/** Steps from the entries that are there to the desired ones. */
export function copySteps(
  desired: { readonly netns: string; readonly copies: Copies },
  floods: ReadonlyMap<string, ObservedForward>,
  keep: Pick<Keep, "mayRemove">,
): Step[] {
  const { netns, copies } = desired;
  const steps: Step[] = [];
  for (const { mac, vtep, plain } of floods.values()) {
    const wanted = copies.get(mac)?.has(vtep) === true;
    const stale = wanted ? !plain : keep.mayRemove({ mac, vtep });
    if (stale) steps.push({ kind: "copy-del", netns, mac, vtep });
  }
  for (const [mac, vteps] of copies) {
    for (const vtep of vteps) {
      if (floods.get(floodKey(mac, vtep))?.plain === true) continue;
      steps.push({ kind: "copy-put", netns, mac, vtep });
    }
  }
  return steps;
}

/** The VTEPs with those that new forwards lead to; undefined where these bring none. */
export function vtepsAfter(
  before: ReadonlySet<string>,
  steps: readonly Step[],
): ReadonlySet<string> | undefined {
  const added = steps.flatMap((step) => (step.kind === "forward-put" ? [step.vtep] : []));
  return added.some((vtep) => !before.has(vtep)) ? new Set([...before, ...added]) : undefined;
}
