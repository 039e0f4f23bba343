/**
 * Kernel state of one overlay network as data: what should be, what is, and the steps between.
 *
 * Law: `desired`, `observe` and `diff` speak only these types, so the road from the tables to the
 * kernel is pure up to the text of the batches. Names: a *neighbour* is a permanent neigh entry on
 * vxlan0 (IP → MAC, answered by the ARP proxy), a *forward* is a permanent `self` FDB entry of
 * vxlan0 (MAC → VTEP), a *steer* is a static FDB entry of br0 (MAC → the port vxlan0), a *copy* is
 * one of several `self` FDB entries of vxlan0 for a MAC that many listen to (group MAC → VTEP).
 */
import type { LocalEndpoint } from "./model.ts";

/** Device names inside an overlay namespace; the same in every one. */
export const BRIDGE = "br0";
export const VXLAN = "vxlan0";
/** Way out of the namespace for what is sent without a tunnel: see direct/. */
export const DIRECT = "gw0";

/** What a network's namespace on this host should hold. */
export interface DesiredNetwork {
  readonly netns: string;
  /** Name of the network. */
  readonly network: string;
  /** Gateway with prefix length, e.g. `10.32.0.1/12`: the only address of br0. */
  readonly gatewayCidr: string;
  readonly bridgeMac: string;
  readonly mtuBytes: number;
  readonly vni: number;
  readonly vxlanPort: number;
  /** IP version of the underlay: a vxlan device sends over one of them only. */
  readonly underlay: 4 | 6;
  /** Local endpoints by the name of their overlay end. BOUNDED: LIMITS.rowsPerOriginMax. */
  readonly ports: ReadonlyMap<string, LocalEndpoint>;
  /** Addresses that live on this host, gateway included: never in vxlan0's tables. */
  readonly localIps: ReadonlySet<string>;
  readonly localMacs: ReadonlySet<string>;
  readonly remote: RemoteEntries;
  readonly copies: Copies;
}

/**
 * MAC of a group, or the broadcast MAC → the VTEPs that get a copy of each frame for it.
 * BOUNDED: LIMITS.groupCopiesMax of a network.
 */
export type Copies = ReadonlyMap<string, ReadonlySet<string>>;

/** The three tables for remote endpoints. BOUNDED: rows of all peers of the mesh. */
export interface RemoteEntries {
  /** IP → MAC. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** MAC → VTEP. Each of these MACs is also steered to vxlan0, or to gw0. */
  readonly forwards: ReadonlyMap<string, string>;
  /** Those of them that are steered to gw0. */
  readonly direct: ReadonlySet<string>;
}

export interface ObservedLink {
  readonly name: string;
  /** `bridge`, `vxlan`, `veth`, or empty for a link without a kind (lo). */
  readonly kind: string;
  readonly up: boolean;
  readonly mtuBytes: number;
  readonly mac: string;
  readonly master: string | undefined;
  /** Addresses with prefix length, link-local ones left out. */
  readonly cidrs: readonly string[];
  /** Spanning tree of a bridge. */
  readonly stp: boolean;
  /** A bridge that snoops IGMP and asks for memberships itself; undefined: nothing is told. */
  readonly snoops: boolean | undefined;
  /** Learning of a bridge port. */
  readonly portLearning: boolean;
  /** Whether a bridge port gets the frames of all groups; undefined: nothing is told. */
  readonly portAllGroups: boolean | undefined;
  readonly vxlan: ObservedVxlan | undefined;
}

export interface ObservedVxlan {
  readonly vni: number;
  readonly port: number;
  readonly learning: boolean;
  readonly proxy: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
  /** True when the UDP socket is in another namespace, as it must be. */
  readonly foreignSocket: boolean;
  readonly underlay: 4 | 6;
}

/** A `self` entry of vxlan0 with a destination. */
export interface ObservedForward {
  readonly mac: string;
  readonly vtep: string;
  /** False when it is not permanent, or has its own port or VNI: to be replaced. */
  readonly plain: boolean;
}

export interface ObservedNetwork {
  readonly netns: string;
  /** `broken`: the name exists but no namespace is behind it (left by a crash). */
  readonly state: "present" | "absent" | "broken";
  /** True when br_netfilter sends bridged frames through iptables in this namespace. */
  readonly filtered: boolean;
  readonly links: ReadonlyMap<string, ObservedLink>;
  /** These four become the mirror's own: see Mirror.load. */
  readonly neighbours: Map<string, string>;
  /** Unicast forwards by MAC. */
  readonly forwards: Map<string, ObservedForward>;
  /** Forwards of the zero and of group MACs, by `floodKey`: several a MAC are possible. */
  readonly floods: Map<string, ObservedForward>;
  /** MAC → `static` or how else br0 came to know that it is behind vxlan0; `direct`: behind gw0. */
  readonly steers: Map<string, string>;
}

/** One change of kernel state; each renders to one line of one tool's batch. */
export type Step =
  | { readonly kind: "netns-add"; readonly netns: string }
  | { readonly kind: "netns-del"; readonly netns: string }
  | { readonly kind: "filter-off"; readonly netns: string }
  | { readonly kind: "loopback-up"; readonly netns: string }
  | (BridgeShape & { readonly kind: "bridge-add" })
  | (BridgeShape & { readonly kind: "bridge-set" })
  | { readonly kind: "address-add"; readonly netns: string; readonly cidr: string }
  | { readonly kind: "address-del"; readonly netns: string; readonly cidr: string }
  | (VxlanShape & { readonly kind: "vxlan-add" })
  | (PortShape & { readonly kind: "port-set" })
  | { readonly kind: "learning-off"; readonly netns: string }
  | (VethShape & { readonly kind: "veth-add" })
  | { readonly kind: "link-del"; readonly netns: string; readonly device: string }
  | {
      readonly kind: "port-move";
      readonly netns: string;
      readonly device: string;
      /** Namespace that it goes to. */
      readonly to: string;
    }
  | { readonly kind: "host-link-del"; readonly device: string }
  | {
      readonly kind: "neigh-put";
      readonly netns: string;
      readonly ip: string;
      readonly mac: string;
    }
  | { readonly kind: "neigh-del"; readonly netns: string; readonly ip: string }
  | ForwardStep
  | CopyStep
  | SteerStep;

interface SteerStep {
  readonly kind: "steer-put" | "steer-del";
  readonly netns: string;
  readonly mac: string;
  /** To gw0 instead of vxlan0. */
  readonly direct?: true;
}

interface ForwardStep {
  readonly kind: "forward-put" | "forward-del";
  readonly netns: string;
  readonly mac: string;
  readonly vtep: string;
}

interface CopyStep {
  readonly kind: "copy-put" | "copy-del";
  readonly netns: string;
  readonly mac: string;
  readonly vtep: string;
}

interface BridgeShape {
  readonly netns: string;
  readonly mac: string;
  readonly mtuBytes: number;
}

interface VxlanShape {
  readonly netns: string;
  readonly vni: number;
  readonly port: number;
  readonly mtuBytes: number;
  readonly underlay: 4 | 6;
}

interface PortShape {
  readonly netns: string;
  readonly device: string;
  readonly mtuBytes: number;
}

interface VethShape {
  readonly netns: string;
  readonly overlayEnd: string;
  readonly containerEnd: string;
  /** MAC of the container end. */
  readonly mac: string;
  readonly mtuBytes: number;
}

/** What `observe` is asked about: one network namespace. */
export interface Scope {
  readonly netns: string;
}

/** Zero MAC (default destinations) or group bit set: several destinations are possible. */
export function isFlood(mac: string): boolean {
  return mac === "00:00:00:00:00:00" || /^[0-9a-f][13579bdf]/.test(mac);
}

/** What one destination of a MAC with several is known by. */
export function floodKey(mac: string, vtep: string): string {
  return `${mac} ${vtep}`;
}

/** The entry that a step is about, for people, too; undefined for a step about a device. */
export function entryKey(step: Step): string | undefined {
  switch (step.kind) {
    case "neigh-put":
    case "neigh-del":
      return `neighbour ${step.ip}`;
    case "forward-put":
    case "forward-del":
      return `forward ${step.mac}`;
    case "copy-put":
    case "copy-del":
      return `copy ${floodKey(step.mac, step.vtep)}`;
    case "steer-put":
    case "steer-del":
      return `steer ${step.mac}`;
    default:
      return undefined;
  }
}

/** An observation of a namespace that is not there, or has nothing in it. */
export function emptyObservation(
  netns: string,
  state: ObservedNetwork["state"] = "absent",
): ObservedNetwork {
  return {
    netns,
    state,
    filtered: true,
    links: new Map(),
    neighbours: new Map(),
    forwards: new Map(),
    floods: new Map(),
    steers: new Map(),
  };
}
