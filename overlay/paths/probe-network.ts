/**
 * A network of its own that carries nothing but probes: hosts reach one another in it through the
 * same VXLAN port, headers and offloads as containers do, whether or not there are any. Pure.
 *
 * Laws: the addresses inside are the underlay's own, so nothing has to be agreed on; its outer
 * packets carry DF, so what passes whole is known; it is made by the daemon and goes with it.
 */
import type { PeerId } from "../../mesh/index.ts";

/** Below Swarm's first (4096), beside the default network's. */
export const PROBE_VNI = 255;
const DEVICE = "vxlan0";
/** What is left of an IPv4 packet within VXLAN. */
const DEVICE_MTU = 65_000;

/** A peer as the probe network knows it. */
export interface ProbePeer {
  readonly peer: PeerId;
  /** Where frames for it are sent from here. */
  readonly vtep: string;
  /** All its addresses of the underlay's IP version. */
  readonly hosts: readonly string[];
}

export interface ProbeSelf {
  readonly peer: PeerId;
  readonly hosts: readonly string[];
  readonly vxlanPort: number;
  readonly underlay: 4 | 6;
}

function probeMac(peer: PeerId): string {
  const digits = peer.slice(0, 8).match(/../g) ?? [];
  return ["02", "43", ...digits].join(":");
}

/** Lines for `ip -n NETNS -batch -` that make the device; the namespace is new. */
export function probeDeviceLines(self: ProbeSelf, hostNetns: string): string[] {
  const { peer, hosts, vxlanPort, underlay } = self;
  const shape = underlay === 6 ? " local :: udp6zerocsumrx" : " df set";
  const bits = underlay === 6 ? "128 nodad" : "32";
  return [
    "link set dev lo up",
    `link add ${DEVICE} mtu ${DEVICE_MTU} address ${probeMac(peer)} link-netns ${hostNetns} ` +
      `type vxlan id ${PROBE_VNI} dstport ${vxlanPort} nolearning${shape}`,
    ...hosts.map((host) => `addr replace ${host}/${bits} dev ${DEVICE}`),
    `link set dev ${DEVICE} up`,
  ];
}

/** Entries for one peer: for `ip -batch -`, and for `bridge -batch -`. */
export function probePeerLines(
  { peer, vtep, hosts }: ProbePeer,
  underlay: 4 | 6,
): { readonly ip: string[]; readonly bridge: string[] } {
  const mac = probeMac(peer);
  const bits = underlay === 6 ? 128 : 32;
  const ip = hosts.flatMap((host) => [
    `route replace ${host}/${bits} dev ${DEVICE}`,
    `neigh replace ${host} lladdr ${mac} dev ${DEVICE} nud permanent`,
  ]);
  return { ip, bridge: [`fdb replace ${mac} dev ${DEVICE} dst ${vtep} self permanent`] };
}
