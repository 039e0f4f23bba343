/**
 * Networks, endpoints and remote entries as plain data: the vocabulary that the ledger, the
 * driver, the desired state and the daemon share.
 */
import type { PeerId } from "../mesh/index.ts";

/** One overlay network as this host knows it. The mesh identifies it by `name`. */
export interface Network {
  readonly name: string;
  /** The engine's 64-digit network id, or a stable hash where no engine made it. */
  readonly id: string;
  /** VXLAN network identifier, 24 bit. */
  readonly vni: number;
  /** CIDR, e.g. `10.32.0.0/12`. */
  readonly subnet: string;
  /** Plain IP reserved for the gateway. */
  readonly gateway: string;
  readonly mtuBytes: number;
  readonly internal: boolean;
}

/** An endpoint of this host, with its veth pair. */
export interface LocalEndpoint {
  /** The engine's 64-digit endpoint id. */
  readonly id: string;
  /** Name of the network. */
  readonly network: string;
  readonly ip: string;
  /** Lower case, colon separated. */
  readonly mac: string;
}

/** An endpoint on another host. */
export interface RemoteEndpoint {
  readonly id: string;
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
  /** Underlay address that VXLAN frames for it go to. */
  readonly vtep: string;
  readonly peer: PeerId;
}

/** Network namespace of a network on this host, visible to `ip netns`. */
export function netnsName(network: Pick<Network, "id">): string {
  return `tsweave-${network.id.slice(0, 10)}`;
}

/** Container end of an endpoint's veth pair, as long as it is in the host's namespace. */
export function containerEnd(endpointId: string): string {
  return `tswc${endpointId.slice(0, 7)}`;
}

/** Overlay end of an endpoint's veth pair, inside the overlay namespace. */
export function overlayEnd(endpointId: string): string {
  return `veth${endpointId.slice(0, 7)}`;
}
