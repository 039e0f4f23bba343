/**
 * Tables and local endpoints → the kernel state this host should have. Pure.
 *
 * Laws: a local address is never in vxlan0's tables (its ARP proxy would answer for a container
 * that is right here, moby#29024); one deterministic winner per IP and per MAC among remotes, the
 * same on every host; a record that names this host as the far end is never programmed
 * (moby#32195); nothing malformed gets past this file.
 */
import { type PeerId, TsweaveError } from "../mesh/index.ts";
import { canonicalIp, cidrContains, isMac, isUnicast, macOf, readCidr } from "./address.ts";
import { copiesOf, type RemoteGroups } from "./groups/copies.ts";
import {
  type LocalEndpoint,
  type Network,
  netnsName,
  overlayEnd,
  type RemoteEndpoint,
} from "./model.ts";
import { inSlices, type Sliced, whole } from "./slices.ts";
import type { Copies, DesiredNetwork, RemoteEntries } from "./state.ts";

export interface DesiredOptions {
  readonly vxlanPort: number;
  /** This peer: remote rows of its id or its VTEP are ignored. */
  readonly self: { readonly peer: PeerId; readonly vtep: string };
  /** Whether frames for a MAC at a VTEP leave by gw0; absent: all go through the tunnel. */
  readonly isDirect?: (netns: string, mac: string, vtep: string) => boolean;
}

/** A host's part in a network, whatever it has there. */
type Far = Pick<RemoteEndpoint, "peer" | "vtep">;

/** Desired state of every network, in the order given. */
export function desired(
  networks: readonly Network[],
  locals: readonly LocalEndpoint[],
  remotes: readonly RemoteEndpoint[],
  options: DesiredOptions,
): DesiredNetwork[] {
  return networks.map((network) => desiredNetwork(network, locals, remotes, options));
}

/** `desiredInSlices` in one go. */
export function desiredNetwork(...input: Parameters<typeof desiredInSlices>): DesiredNetwork {
  return whole(desiredInSlices(...input));
}

/**
 * Desired state of one network; endpoints of other networks are left out.
 * Throws `CONFIG` when the network's own numbers make no sense.
 */
export function* desiredInSlices(
  network: Network,
  locals: readonly LocalEndpoint[],
  remotes: readonly RemoteEndpoint[],
  options: DesiredOptions,
  groups: readonly RemoteGroups[] = [],
): Sliced<DesiredNetwork> {
  const gatewayCidr = checkedGateway(network);
  const ports = new Map<string, LocalEndpoint>();
  const bridgeMac = macOf(network.gateway);
  const localIps = new Set([canonicalIp(network.gateway)]);
  const localMacs = new Set([bridgeMac]);
  for (const endpoint of locals) {
    if (endpoint.network !== network.name) continue;
    ports.set(overlayEnd(endpoint.id), endpoint);
    localIps.add(canonicalIp(endpoint.ip));
    localMacs.add(endpoint.mac);
  }
  const remote = yield* entriesInSlices(network, localIps, localMacs, remotes, options);
  const vteps = new Set(remote.forwards.values());
  return {
    netns: netnsName(network),
    network: network.name,
    gatewayCidr,
    bridgeMac,
    mtuBytes: network.mtuBytes,
    vni: network.vni,
    vxlanPort: options.vxlanPort,
    underlay: ipVersion(options.self.vtep),
    ports,
    localIps,
    localMacs,
    remote,
    copies: networkCopies(network, vteps, groups, options),
  };
}

/** Who gets copies of a network's frames for many; `vteps` have endpoints on it. */
export function networkCopies(
  network: Pick<Network, "name">,
  vteps: ReadonlySet<string>,
  groups: readonly RemoteGroups[],
  options: DesiredOptions,
): Copies {
  const own = groups.filter((host) => host.network === network.name && isFar(host, options));
  return copiesOf(vteps, own);
}

function checkedGateway(network: Network): string {
  const subnet = readCidr(network.subnet);
  if (subnet === undefined || !isUnicast(network.gateway)) {
    throw new TsweaveError("CONFIG", `network ${network.name}: bad subnet or gateway`, {
      hint: `subnet ${network.subnet}, gateway ${network.gateway}`,
    });
  }
  if (!Number.isInteger(network.vni) || network.vni < 1 || network.vni > 0xffffff) {
    throw new TsweaveError("CONFIG", `network ${network.name}: VNI ${network.vni} is not 24 bit`);
  }
  return `${canonicalIp(network.gateway)}/${subnet.prefix}`;
}

/**
 * The remote tables of one network, with conflicts decided: the winner is the lowest peer id, then
 * the lowest endpoint id, on every host. So rows are ordered by peer first, and each peer's own by
 * themselves, which needs no long sort.
 */
export function* entriesInSlices(
  network: Network,
  localIps: ReadonlySet<string>,
  localMacs: ReadonlySet<string>,
  remotes: readonly RemoteEndpoint[],
  options: DesiredOptions,
): Sliced<RemoteEntries> {
  const subnet = readCidr(network.subnet);
  const neighbours = new Map<string, string>();
  const forwards = new Map<string, string>();
  const direct = new Set<string>();
  const netns = netnsName(network);
  const byPeer = new Map<PeerId, RemoteEndpoint[]>();
  yield* inSlices(remotes, (remote) => {
    if (remote.network !== network.name || !usable(remote, options)) return;
    if (subnet === undefined || !cidrContains(subnet, remote.ip)) return;
    if (localIps.has(canonicalIp(remote.ip)) || localMacs.has(remote.mac)) return;
    const own = byPeer.get(remote.peer);
    if (own === undefined) byPeer.set(remote.peer, [remote]);
    else own.push(remote);
  });
  const inOrder = byPrecedence(byPeer);
  yield* inSlices(inOrder, (remote) => {
    const ip = canonicalIp(remote.ip);
    if (neighbours.has(ip)) return;
    const vtep = canonicalIp(remote.vtep);
    if ((forwards.get(remote.mac) ?? vtep) !== vtep) return;
    neighbours.set(ip, remote.mac);
    forwards.set(remote.mac, vtep);
    if (options.isDirect?.(netns, remote.mac, vtep) === true) direct.add(remote.mac);
  });
  return { neighbours, forwards, direct };
}

/** True when a record may be programmed at all: well formed, of another host, for vxlan0. */
function usable(remote: RemoteEndpoint, options: DesiredOptions): boolean {
  return isFar(remote, options) && isUnicast(remote.ip) && isMac(remote.mac);
}

function isFar({ peer, vtep }: Far, { self }: DesiredOptions): boolean {
  if (peer === self.peer || vtep === self.vtep) return false;
  return isUnicast(vtep) && ipVersion(vtep) === ipVersion(self.vtep);
}

function ipVersion(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function* byPrecedence(
  byPeer: ReadonlyMap<PeerId, RemoteEndpoint[]>,
): Generator<RemoteEndpoint, void> {
  for (const [, own] of [...byPeer].sort(([a], [b]) => (a < b ? -1 : 1))) yield* own.sort(byId);
}

function byId(a: RemoteEndpoint, b: RemoteEndpoint): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
