/**
 * What the rest of the product tells dns: names of endpoints, subnets, sandboxes. Data only.
 */
import type { PeerId } from "../mesh/index.ts";

/** Stands for every network in the record of a service outside of the mesh. */
export const EVERY_NETWORK = "*";

/** The names of one endpoint on one network, wherever it runs, or of an outside service. */
export interface NameRecord {
  /** Name of the network, or EVERY_NETWORK. */
  readonly network: string;
  /** Container name first, then aliases, short id, hostname; any case. */
  readonly names: readonly string[];
  /** Plain IPv4. */
  readonly ip: string;
  readonly peer: PeerId;
  readonly endpointId: string;
  /** What the container exposes; absent: nothing. */
  readonly ports?: readonly ServicePort[];
  /** Unhealthy, or its host does not answer just now: answered only for want of better ones. */
  readonly isDoubtful?: boolean;
}

/** What tells records apart. */
export type RecordId = Pick<NameRecord, "peer" | "endpointId">;

export interface ServicePort {
  readonly protocol: string;
  readonly port: number;
}

/** An overlay network's addresses; reverse lookups in them are ours alone. */
export interface NetworkSubnet {
  readonly network: string;
  readonly cidr: string;
}

/** An endpoint of a container on this host, whose lookups are to be answered. */
export interface SandboxEndpoint {
  /** Path of the container's network namespace; one key may carry several endpoints. */
  readonly key: string;
  readonly endpointId: string;
  readonly network: string;
  /** Aliases that `--link` defined in this container; Docker answers those. */
  readonly links: readonly string[];
  readonly internal: boolean;
}
