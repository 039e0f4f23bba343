/**
 * What the rest of the product tells dns: names of endpoints, subnets, sandboxes. Data only.
 */
import type { PeerId } from "../mesh/index.ts";

/** The names of one endpoint on one network, wherever it runs. */
export interface NameRecord {
  /** Name of the network. */
  readonly network: string;
  /** Container name first, then aliases, short id, hostname; any case. */
  readonly names: readonly string[];
  /** Plain IPv4. */
  readonly ip: string;
  readonly peer: PeerId;
  readonly endpointId: string;
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
