/**
 * Endpoints that no engine made, as plain data: what they are attached to, and what is wished.
 *
 * Law: a target is a network namespace, known by its inode and cookie in this life of the kernel;
 * the path it is entered by is only where it was last found.
 */

/** `host` is this host's own namespace, to which `expose` gives an address. */
export type TargetKind = "container" | "netns" | "process" | "host";

/** What tells one network namespace from every other one of the same boot. */
export interface NetnsIdentity {
  /** Inode of its nsfs file. The kernel uses numbers again. */
  readonly inode: number;
  /** SO_NETNS_COOKIE, never used again; empty where the kernel has none (before 5.14). */
  readonly cookie: string;
}

export interface Target extends NetnsIdentity {
  readonly kind: TargetKind;
  /** As people know it: a container's name, a path, a process id, `host`. */
  readonly label: string;
  /** Where the namespace can be entered: `/run/netns/blue`, `/proc/1234/ns/net`. */
  readonly path: string;
  /** /proc/sys/kernel/random/boot_id: no namespace outlives it. */
  readonly bootId: string;
  /** Empty unless it is a container. */
  readonly containerId: string;
}

/** Who answers names in the target: nobody of ours, we beside Docker's resolver, or we alone. */
export type ResolverKind = "none" | "docker" | "own";

/** An endpoint of this host that is not Docker's, from attach to detach. */
export interface Attachment {
  /** 64 hex digits, as an engine's endpoint id. */
  readonly id: string;
  /** Name of the network. */
  readonly network: string;
  readonly ip: string;
  readonly mac: string;
  /** Name of the device in the target. */
  readonly device: string;
  readonly names: readonly string[];
  readonly target: Target;
  readonly resolver: ResolverKind;
  /** Address on tsweave_gw with prefix length, empty without one. */
  readonly gatewayCidr: string;
  /** Name of the device in the target that leads there, empty without one. */
  readonly gatewayDevice: string;
  /** False while it is made or undone: the next start undoes it. */
  readonly joined: boolean;
}

/** What `attach` is asked for. */
export interface AttachWish {
  /** A container's name or id, a process id, a name or path of a namespace. */
  readonly target: string;
  /** The default network unless given. */
  readonly network?: string | undefined;
  /** `IP` or `IP/PREFIX`; any free address unless given. */
  readonly ip?: string | undefined;
  readonly names: readonly string[];
  /** The first free of eth0, eth1, … unless given. */
  readonly device?: string | undefined;
  readonly mac?: string | undefined;
  /** Unless given: when the target has no default route and the network is not internal. */
  readonly gateway?: boolean | undefined;
  readonly dns: boolean;
}

/** `expose`: the host itself as target. */
export type ExposeWish = Pick<AttachWish, "network" | "ip">;

/** What `attach` and `ps` tell. */
export interface AttachedEndpoint {
  readonly id: string;
  readonly kind: TargetKind;
  readonly target: string;
  readonly network: string;
  readonly ip: string;
  /** With the prefix length of the subnet. */
  readonly cidr: string;
  readonly mac: string;
  readonly device: string;
  readonly names: readonly string[];
  /** Address on tsweave_gw, null without one. */
  readonly gateway: string | null;
  readonly resolver: ResolverKind;
}

/** Key of an attachment's address in the allocator. */
export function leaseKey(id: string): string {
  return `${LEASE_PREFIX}${id.slice(0, 16)}`;
}

export const LEASE_PREFIX = "attach-";
