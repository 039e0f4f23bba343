/**
 * The difference in the tables of remote endpoints, for all of them or for a few touched keys.
 *
 * Laws: local wins over remote for an IP or a MAC; never remove on doubt. A stale permanent
 * forward silently drops traffic (moby#53663), so `replace` repairs in place; a steer without a
 * forward can be dropped without proof, since no frame gets through it.
 */
import type { DesiredNetwork, ObservedForward, RemoteEntries, Step } from "./state.ts";

/** What is known of an entry that the kernel has and nobody desires. */
export interface Entry {
  readonly ip?: string;
  readonly mac?: string;
  readonly vtep?: string;
}

/** Proofs of staleness, asked for each entry before it is removed. */
export interface Keep {
  /** True with proof: tombstone seen, owner known and synced, or its grace over. */
  readonly mayRemove: (entry: Entry) => boolean;
  /** True when no endpoint whose id starts with these seven digits can still exist here. */
  readonly mayRemoveEndpoint: (prefix7: string) => boolean;
}

/** Removes nothing: the answer while the tables are not yet synced. */
export const KEEP_ALL: Keep = { mayRemove: () => false, mayRemoveEndpoint: () => false };

/** The part of an observation that entries are compared with. */
export interface EntryTables {
  readonly neighbours: ReadonlyMap<string, string>;
  readonly forwards: ReadonlyMap<string, ObservedForward>;
  readonly floods: ReadonlyMap<string, ObservedForward>;
  readonly steers: ReadonlyMap<string, string>;
}

/** Restricts a difference to some keys. */
export interface Touched {
  readonly ips: ReadonlySet<string>;
  readonly macs: ReadonlySet<string>;
}

/** The part of the desired state that this comparison needs. */
export interface RemoteTarget {
  readonly netns: string;
  readonly localIps: ReadonlySet<string>;
  readonly localMacs: ReadonlySet<string>;
  readonly remote: RemoteEntries;
}

/** Steps for remote entries: forwards and steers before the neighbours that lead to them. */
export function diffRemote(
  desired: DesiredNetwork | RemoteTarget,
  observed: EntryTables,
  keep: Keep,
  only?: Touched,
): Step[] {
  const forwards = forwardSteps(desired, observed, keep, only);
  const steers = steerSteps(desired, observed, forwards, only);
  return [...forwards, ...steers, ...neighbourSteps(desired, observed, keep, only)];
}

function neighbourSteps(
  desired: RemoteTarget,
  observed: EntryTables,
  keep: Keep,
  only: Touched | undefined,
): Step[] {
  const { netns } = desired;
  const steps: Step[] = [];
  for (const [ip, mac] of within(observed.neighbours, only?.ips)) {
    if (desired.remote.neighbours.has(ip)) continue;
    const vtep = observed.forwards.get(mac)?.vtep;
    const entry = vtep === undefined ? { ip, mac } : { ip, mac, vtep };
    if (desired.localIps.has(ip) || keep.mayRemove(entry)) {
      steps.push({ kind: "neigh-del", netns, ip });
    }
  }
  for (const [ip, mac] of within(desired.remote.neighbours, only?.ips)) {
    if (observed.neighbours.get(ip) !== mac) steps.push({ kind: "neigh-put", netns, ip, mac });
  }
  return steps;
}

function forwardSteps(
  desired: RemoteTarget,
  observed: EntryTables,
  keep: Keep,
  only: Touched | undefined,
): Step[] {
  const { netns } = desired;
  const steps: Step[] = [];
  for (const [mac, { vtep }] of within(observed.forwards, only?.macs)) {
    if (desired.remote.forwards.has(mac)) continue;
    if (desired.localMacs.has(mac) || keep.mayRemove({ mac, vtep })) {
      steps.push({ kind: "forward-del", netns, mac, vtep });
    }
  }
  for (const [mac, vtep] of within(desired.remote.forwards, only?.macs)) {
    const present = observed.forwards.get(mac);
    if (present?.vtep === vtep && present.plain) continue;
    steps.push({ kind: "forward-put", netns, mac, vtep });
  }
  return steps;
}

function steerSteps(
  desired: RemoteTarget,
  observed: EntryTables,
  forwards: readonly Step[],
  only: Touched | undefined,
): Step[] {
  const { netns } = desired;
  const steps: Step[] = [];
  const gone = new Set(forwards.map((step) => (step.kind === "forward-del" ? step.mac : "")));
  for (const [mac, state] of within(observed.steers, only?.macs)) {
    if (desired.remote.forwards.has(mac)) continue;
    const local = desired.localMacs.has(mac);
    // A permanent entry is the port's own MAC, not a steer.
    const useless = state !== "permanent" && (gone.has(mac) || !observed.forwards.has(mac));
    if (local || useless) steps.push({ kind: "steer-del", netns, mac, ...by(state === "direct") });
    // Kept on doubt: in the tunnel, which nobody has to look after.
    else if (state === "direct") steps.push({ kind: "steer-put", netns, mac });
  }
  for (const [mac] of within(desired.remote.forwards, only?.macs)) {
    const direct = desired.remote.direct.has(mac);
    if (observed.steers.get(mac) === (direct ? "direct" : "static")) continue;
    steps.push({ kind: "steer-put", netns, mac, ...by(direct) });
  }
  return steps;
}

/** The mark of a steer to gw0. */
export function by(direct: boolean): { readonly direct?: true } {
  return direct ? { direct } : {};
}

/** The entries of a table, or only those of the touched keys. */
function within<V>(table: ReadonlyMap<string, V>, keys: ReadonlySet<string> | undefined) {
  if (keys === undefined) return [...table];
  const found: [string, V][] = [];
  for (const key of keys) {
    const value = table.get(key);
    if (value !== undefined) found.push([key, value]);
  }
  return found;
}
