/**
 * The direct path as data: peers on one Ethernet segment with this host exchange the packets of
 * containers without a tunnel.
 *
 * Law: what decides here is pure; a path that is not proved by packets is not used.
 */
import type { PeerId } from "../../mesh/index.ts";
import type { RemoteEndpoint } from "../model.ts";

/** A network of this host. */
export interface DirectNetwork {
  readonly name: string;
  readonly netns: string;
  /** CIDR. */
  readonly subnet: string;
  readonly gateway: string;
  readonly vni: number;
  readonly mtuBytes: number;
  /** True when its label keeps it in the tunnels. */
  readonly isRefused: boolean;
}

export interface DirectPeer {
  readonly id: PeerId;
  readonly name: string;
  /** Underlay address that its endpoints are sent to. */
  readonly vtep: string;
  /** Its incarnation: a peer that started anew may answer now. */
  readonly life: number;
}

/** All that decisions are made from, read at one moment. */
export interface DirectScene {
  readonly networks: readonly DirectNetwork[];
  /** Every network of the mesh, this host's included. */
  readonly known: readonly { readonly name: string; readonly subnet: string }[];
  /** Other hosts that are not known to be gone. */
  readonly peers: readonly DirectPeer[];
  /** Names of networks with endpoints on this host. */
  readonly inUse: ReadonlySet<string>;
  readonly remotes: readonly RemoteEndpoint[];
}

/** How the host would reach an address: over which Ethernet, to which MAC; or why not so. */
export type Hop =
  | {
      readonly device: string;
      readonly deviceMac: string;
      readonly deviceMtuBytes: number;
      readonly mac: string;
    }
  | { readonly obstacle: string };

/** What one look at the host's own devices, routes and neighbours shows. */
export interface Segment {
  /** By underlay address. BOUNDED: the peers asked about. */
  readonly hops: ReadonlyMap<string, Hop>;
  /** MACs of the host's devices by name. BOUNDED: the devices. */
  readonly devices: ReadonlyMap<string, string>;
}

/** Label of a network that is to stay in its tunnels, with the value `off`. */
export const DIRECT_LABEL = "tsweave.direct";

/** Host end of a network's way out; the other end is gw0 in the overlay namespace. */
export function hostEnd(netns: string): string {
  return `tswd${netns.slice("tsweave-".length).slice(0, 10)}`;
}
