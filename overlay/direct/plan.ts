/**
 * Which networks and which peers may use a direct path, and why the others may not. Pure.
 *
 * Laws: a packet without a tunnel carries no VNI, so only a network whose subnet overlaps no other
 * of the mesh leaves its tunnels; the peer must be a neighbour on an Ethernet segment, under a MAC
 * that no other peer has, for its MAC is what is believed on arrival.
 */
import type { PeerId } from "../../mesh/index.ts";
import { cidrsOverlap, readCidr } from "../address.ts";
import type { DirectNetwork, DirectPeer, DirectScene, Segment } from "./model.ts";

/** More of either are left in the tunnels: their numbers make up the probe addresses. */
export const DIRECT_NETWORKS_MAX = 60;
export const DIRECT_PEERS_MAX = 1000;

export interface PlannedPeer extends DirectPeer {
  readonly device: string;
  readonly mac: string;
  readonly deviceMtuBytes: number;
}

export interface DirectPlan {
  readonly networks: readonly DirectNetwork[];
  readonly peers: readonly PlannedPeer[];
  /** Devices that lead to the peers, with their own MACs. BOUNDED: the host's devices. */
  readonly devices: ReadonlyMap<string, string>;
  /** Why not, by network name. BOUNDED: the scene's networks. */
  readonly networkObstacles: ReadonlyMap<string, string>;
  /** Why not, by peer. BOUNDED: the scene's peers. */
  readonly peerObstacles: ReadonlyMap<PeerId, string>;
}

export function planDirect(scene: DirectScene, segment: Segment): DirectPlan {
  const networkObstacles = new Map<string, string>();
  const networks: DirectNetwork[] = [];
  for (const network of scene.networks) {
    const obstacle = networkObstacle(network, scene.known);
    if (obstacle !== undefined) networkObstacles.set(network.name, obstacle);
    else if (networks.length < DIRECT_NETWORKS_MAX) networks.push(network);
    else networkObstacles.set(network.name, `more than ${DIRECT_NETWORKS_MAX} networks`);
  }
  const { peers, peerObstacles } = plannedPeers(scene.peers, segment);
  const devices = new Map<string, string>();
  for (const { device } of peers) devices.set(device, segment.devices.get(device) ?? "");
  return { networks, peers, devices, networkObstacles, peerObstacles };
}

/** Why a network and a peer, both fit by themselves, do not fit together. */
export function pairObstacle(network: DirectNetwork, peer: PlannedPeer): string | undefined {
  if (network.mtuBytes <= peer.deviceMtuBytes) return undefined;
  return `packets of ${network.mtuBytes} bytes do not pass ${peer.device} (${peer.deviceMtuBytes})`;
}

function networkObstacle(network: DirectNetwork, known: DirectScene["known"]): string | undefined {
  if (network.isRefused) return "its label tsweave.direct says off";
  const own = readCidr(network.subnet);
  if (own === undefined || own.ip.includes(":")) return "it is not IPv4";
  for (const { name, subnet } of known) {
    if (name === network.name && subnet === network.subnet) continue;
    const other = readCidr(subnet);
    if (other !== undefined && cidrsOverlap(own, other)) {
      return `network ${name} has addresses of it too (${subnet})`;
    }
  }
  return undefined;
}

function plannedPeers(all: readonly DirectPeer[], { hops, devices }: Segment) {
  const peerObstacles = new Map<PeerId, string>();
  const found: PlannedPeer[] = [];
  const byMac = new Map<string, number>();
  for (const peer of all) {
    const hop = hops.get(peer.vtep) ?? { obstacle: "not looked at yet" };
    if ("obstacle" in hop) {
      peerObstacles.set(peer.id, hop.obstacle);
    } else {
      const { device, mac, deviceMtuBytes } = hop;
      found.push({ ...peer, device, mac, deviceMtuBytes });
      byMac.set(mac, (byMac.get(mac) ?? 0) + 1);
    }
  }
  const own = new Set(devices.values());
  const peers = found.filter(({ id, mac }, at) => {
    const isShared = (byMac.get(mac) ?? 0) > 1 || own.has(mac);
    if (isShared) peerObstacles.set(id, `another host answers for it too, at ${mac}`);
    else if (at >= DIRECT_PEERS_MAX) peerObstacles.set(id, `more than ${DIRECT_PEERS_MAX} peers`);
    return !isShared && at < DIRECT_PEERS_MAX;
  });
  return { peers, peerObstacles };
}
