/**
 * From "these rows changed" to the steps for just those addresses, without reading the kernel.
 *
 * Law: the fast path decides exactly as the full pass would. An IP's winner can depend on who
 * else has its MAC and the other way round, so the touched keys are closed over such ties first.
 */
import { canonicalIp, isIp, macOf } from "./address.ts";
import { entriesInSlices } from "./desired.ts";
import { by, type EntryTables, remoteInSlices, type Touched } from "./diff-remote.ts";
import { type LocalEndpoint, type Network, netnsName, type RemoteEndpoint } from "./model.ts";
import type { ReconcileInput } from "./pass.ts";
import { whole } from "./slices.ts";
import type { Step } from "./state.ts";

/** One address pair whose row appeared, changed or went; give the old and the new pair. */
export interface RemoteChange {
  /** Name of the network. */
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
}

/** Steps for the touched keys of one network; `told` hears which keys they decide on. */
export function touchedSteps(
  network: Network,
  changes: readonly RemoteChange[],
  input: ReconcileInput,
  tables: EntryTables,
  told?: (decided: Touched) => void,
): Step[] {
  const { only, candidates } = tied(network, changes, input, tables);
  told?.(only);
  const locals = input.locals.filter((endpoint) => endpoint.network === network.name);
  const { ips: localIps, macs: localMacs } = localKeys(network, locals);
  const remote = whole(entriesInSlices(network, localIps, localMacs, candidates, input.options));
  const target = { netns: netnsName(network), localIps, localMacs, remote };
  return whole(remoteInSlices(target, tables, input.keep, only));
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
  const steer = tables?.steers.get(mac);
  if (steer !== undefined) {
    steps.push({ kind: "steer-del", netns, mac, ...by(steer === "direct") });
  }
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

/**
 * The changed keys with all that rows tie to them, and those rows, some of them twice. Each round
 * looks up the addresses that the last one met first; the rows of the mesh bound them.
 */
function tied(
  network: Network,
  changes: readonly RemoteChange[],
  input: ReconcileInput,
  tables: EntryTables,
): { readonly only: Touched; readonly candidates: readonly RemoteEndpoint[] } {
  const near = input.near ?? lookThrough(input.remotes);
  const ips = new Set<string>();
  const macs = new Set<string>();
  const candidates: RemoteEndpoint[] = [];
  let met: readonly RemoteChange[] = changes;
  while (met.length > 0) {
    const fresh: string[] = [];
    for (const change of met) {
      const ip = keyOf(change.ip);
      if (meet(ips, ip)) fresh.push(ip);
      for (const mac of [change.mac, tables.neighbours.get(ip)]) {
        if (mac !== undefined && meet(macs, mac)) fresh.push(mac);
      }
    }
    const found = fresh.length === 0 ? [] : near(fresh);
    const next = found.filter((remote) => remote.network === network.name);
    for (const remote of next) candidates.push(remote);
    met = next;
  }
  return { only: { ips, macs }, candidates };
}

/** Adds an address; true when it was not there. */
function meet(known: Set<string>, address: string): boolean {
  const isNew = !known.has(address);
  known.add(address);
  return isNew;
}

/** `near` where there is no index. */
function lookThrough(
  remotes: readonly RemoteEndpoint[],
): (addresses: Iterable<string>) => RemoteEndpoint[] {
  return (addresses) => {
    const wanted = new Set(addresses);
    return remotes.filter(({ ip, mac }) => wanted.has(keyOf(ip)) || wanted.has(mac));
  };
}

/** The key of an address in the tables; what is no address keeps its text and matches nothing. */
function keyOf(ip: string): string {
  return isIp(ip) ? canonicalIp(ip) : ip;
}
