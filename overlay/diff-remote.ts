/**
 * The difference in the tables of remote endpoints, for all of them or for a few touched keys.
 *
 * Laws: local wins over remote for an IP or a MAC; never remove on doubt. A stale permanent
 * forward silently drops traffic (moby#53663), so `replace` repairs in place; a steer without a
 * forward can be dropped without proof, since no frame gets through it.
 */
import { inSlices, type Sliced, whole } from "./slices.ts";
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

/** `remoteInSlices` in one go. */
export function diffRemote(...input: Parameters<typeof remoteInSlices>): Step[] {
  return whole(remoteInSlices(...input));
}

/** Steps for remote entries: forwards and steers before the neighbours that lead to them. */
export function* remoteInSlices(
  desired: DesiredNetwork | RemoteTarget,
  observed: EntryTables,
  keep: Keep,
  only?: Touched,
): Sliced<Step[]> {
  const forwards = yield* forwardSteps(desired, observed, keep, only);
  const steers = yield* steerSteps(desired, observed, forwards, only);
  return forwards.concat(steers, yield* neighbourSteps(desired, observed, keep, only));
}

function* neighbourSteps(
  desired: RemoteTarget,
  observed: EntryTables,
  keep: Keep,
  only: Touched | undefined,
): Sliced<Step[]> {
  const { netns } = desired;
  const steps: Step[] = [];
  yield* inSlices(within(observed.neighbours, only?.ips), ([ip, mac]) => {
    if (desired.remote.neighbours.has(ip)) return;
    const vtep = observed.forwards.get(mac)?.vtep;
    const entry = vtep === undefined ? { ip, mac } : { ip, mac, vtep };
    if (desired.localIps.has(ip) || keep.mayRemove(entry)) {
      steps.push({ kind: "neigh-del", netns, ip });
    }
  });
  yield* inSlices(within(desired.remote.neighbours, only?.ips), ([ip, mac]) => {
    if (observed.neighbours.get(ip) !== mac) steps.push({ kind: "neigh-put", netns, ip, mac });
  });
  return steps;
}

function* forwardSteps(
  desired: RemoteTarget,
  observed: EntryTables,
  keep: Keep,
  only: Touched | undefined,
): Sliced<Step[]> {
  const { netns } = desired;
  const steps: Step[] = [];
  yield* inSlices(within(observed.forwards, only?.macs), ([mac, { vtep }]) => {
    if (desired.remote.forwards.has(mac)) return;
    if (desired.localMacs.has(mac) || keep.mayRemove({ mac, vtep })) {
      steps.push({ kind: "forward-del", netns, mac, vtep });
    }
  });
  yield* inSlices(within(desired.remote.forwards, only?.macs), ([mac, vtep]) => {
    const present = observed.forwards.get(mac);
    if (present?.vtep === vtep && present.plain) return;
    steps.push({ kind: "forward-put", netns, mac, vtep });
  });
  return steps;
}

function* steerSteps(
  desired: RemoteTarget,
  observed: EntryTables,
  forwards: readonly Step[],
  only: Touched | undefined,
): Sliced<Step[]> {
  const { netns } = desired;
  const steps: Step[] = [];
  const gone = new Set<string>();
  for (const step of forwards) if (step.kind === "forward-del") gone.add(step.mac);
  yield* inSlices(within(observed.steers, only?.macs), ([mac, state]) => {
    if (desired.remote.forwards.has(mac)) return;
    const local = desired.localMacs.has(mac);
    // A permanent entry is the port's own MAC, not a steer.
    const useless = state !== "permanent" && (gone.has(mac) || !observed.forwards.has(mac));
    if (local || useless) steps.push({ kind: "steer-del", netns, mac, ...by(state === "direct") });
    // Kept on doubt: in the tunnel, which nobody has to look after.
    else if (state === "direct") steps.push({ kind: "steer-put", netns, mac });
  });
  yield* inSlices(within(desired.remote.forwards, only?.macs), ([mac]) => {
    const direct = desired.remote.direct.has(mac);
    if (observed.steers.get(mac) === (direct ? "direct" : "static")) return;
    steps.push({ kind: "steer-put", netns, mac, ...by(direct) });
  });
  return steps;
}

/** The mark of a steer to gw0. */
export function by(direct: boolean): { readonly direct?: true } {
  return direct ? { direct } : {};
}

/** The entries of a table, or only those of the touched keys. */
function within<V>(
  table: ReadonlyMap<string, V>,
  keys: ReadonlySet<string> | undefined,
): Iterable<[string, V]> {
  if (keys === undefined) return table;
  const found: [string, V][] = [];
  for (const key of keys) {
    const value = table.get(key);
    if (value !== undefined) found.push([key, value]);
  }
  return found;
}
