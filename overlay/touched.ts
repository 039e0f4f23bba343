/**
 * From "these rows changed" to the steps for just those addresses, without reading the kernel.
 *
 * Law: the fast path decides exactly as the full pass would. An IP's winner can depend on who
 * else has its MAC and the other way round, so the touched keys are closed over such ties first.
 */
import { canonicalIp, isIp, macOf } from "./address.ts";
import { remoteEntries } from "./desired.ts";
import { diffRemote, type EntryTables, type Touched } from "./diff-remote.ts";
import { type LocalEndpoint, type Network, netnsName, type RemoteEndpoint } from "./model.ts";
import type { ReconcileInput } from "./pass.ts";
import type { Step } from "./state.ts";

/** One address pair whose row appeared, changed or went; give the old and the new pair. */
export interface RemoteChange {
  /** Name of the network. */
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
}

/** Ties between addresses are rare; a long chain of them is left to the full pass. */
const ROUNDS_MAX = 8;

/** Steps for the touched keys of one network; undefined when only a full pass can tell. */
export function touchedSteps(
  network: Network,
  changes: readonly RemoteChange[],
  input: ReconcileInput,
  tables: EntryTables,
): Step[] | undefined {
  const remotes = input.remotes.filter((remote) => remote.network === network.name);
  const only = closure(changes, remotes, tables);
  if (only === undefined) return undefined;
  const candidates = remotes.filter(
    (remote) => only.ips.has(keyOf(remote.ip)) || only.macs.has(remote.mac),
  );
  const locals = input.locals.filter((endpoint) => endpoint.network === network.name);
  const { ips: localIps, macs: localMacs } = localKeys(network, locals);
  const remote = remoteEntries(network, localIps, localMacs, candidates, input.options);
  const target = { netns: netnsName(network), localIps, localMacs, remote };
  return diffRemote(target, tables, input.keep, only);
}

/** Steps that make room for a local endpoint: nothing remote may hold its IP or MAC. */
export function evictionSteps(
  netns: string,
  endpoint: LocalEndpoint,
  tables: EntryTables | undefined,
): Step[] {
  const { mac } = endpoint;
  const ip = canonicalIp(endpoint.ip);
  const steps: Step[] = [];
  const vtep = tables?.forwards.get(mac)?.vtep;
  if (tables?.neighbours.has(ip)) steps.push({ kind: "neigh-del", netns, ip });
  if (vtep !== undefined) steps.push({ kind: "forward-del", netns, mac, vtep });
  if (tables?.steers.has(mac)) steps.push({ kind: "steer-del", netns, mac });
  return steps;
}

function localKeys(network: Network, locals: readonly LocalEndpoint[]): Touched {
  const ips = new Set([canonicalIp(network.gateway)]);
  const macs = new Set([macOf(network.gateway)]);
  for (const endpoint of locals) {
    ips.add(canonicalIp(endpoint.ip));
    macs.add(endpoint.mac);
  }
  return { ips, macs };
}

function closure(
  changes: readonly RemoteChange[],
  remotes: readonly RemoteEndpoint[],
  tables: EntryTables,
): Touched | undefined {
  const ips = new Set(changes.map((change) => keyOf(change.ip)));
  const macs = new Set(changes.map((change) => change.mac));
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const size = ips.size + macs.size;
    for (const remote of remotes) {
      if (!ips.has(keyOf(remote.ip)) && !macs.has(remote.mac)) continue;
      ips.add(keyOf(remote.ip));
      macs.add(remote.mac);
    }
    for (const ip of ips) {
      const mac = tables.neighbours.get(ip);
      if (mac !== undefined) macs.add(mac);
    }
    if (ips.size + macs.size === size) return { ips, macs };
  }
  return undefined;
}

/** The key of an address in the tables; what is no address keeps its text and matches nothing. */
function keyOf(ip: string): string {
  return isIp(ip) ? canonicalIp(ip) : ip;
}
