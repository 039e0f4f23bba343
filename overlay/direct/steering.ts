/**
 * Which container MACs leave by the direct path. Pure.
 *
 * Law: only endpoints whose MAC follows from their address, for the receiving host rebuilds it
 * from that; where rows disagree about a MAC, it stays in the tunnel.
 */
import type { PeerId } from "../../mesh/index.ts";
import { macOf } from "../address.ts";
import type { RemoteEndpoint } from "../model.ts";
import type { Pair } from "./pairs.ts";

export interface Steer {
  readonly netns: string;
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
  readonly vtep: string;
  readonly peer: PeerId;
  /** Underlay device. */
  readonly device: string;
  /** MAC of the peer's host. */
  readonly host: string;
}

/** What should leave directly, by MAC, given the pairs whose path works. */
export function steersOf(
  up: readonly Pair[],
  remotes: readonly RemoteEndpoint[],
): Map<string, Steer> {
  const paths = new Map(up.map((pair) => [`${pair.network.name} ${pair.peer.vtep}`, pair]));
  const steers = new Map<string, Steer>();
  const disputed = new Set<string>();
  const homes = new Map<string, string>();
  for (const { network, ip, mac, vtep } of up.length === 0 ? [] : remotes) {
    const home = `${network} ${vtep}`;
    if ((homes.get(mac) ?? home) !== home) disputed.add(mac);
    homes.set(mac, home);
    const pair = paths.get(home);
    if (pair === undefined || ip.includes(":") || macOf(ip) !== mac) continue;
    const { id: peer, device, mac: host } = pair.peer;
    steers.set(mac, { netns: pair.network.netns, network, ip, mac, vtep, peer, device, host });
  }
  for (const mac of disputed) steers.delete(mac);
  return steers;
}

export function isSameSteer(a: Steer, b: Steer | undefined): boolean {
  if (b === undefined) return false;
  return a.netns === b.netns && a.vtep === b.vtep && a.device === b.device && a.host === b.host;
}
