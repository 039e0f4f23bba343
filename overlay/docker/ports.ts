/**
 * What the Docker half needs of the rest, as narrow types: the composition root wires them.
 *
 * Law: the driver knows neither the kernel, nor the allocator, nor the tables, nor DNS; each of
 * these can hang or fail without the driver losing its own truth, the ledger.
 */
import type { Engine, EngineEndpoint, EngineNetwork } from "../../mesh/index.ts";
import type { LocalEndpoint, Network } from "../model.ts";
import type { NamesRow } from "../rows.ts";

/** An address of this host in use or on its way into use. */
export interface HeldAddress {
  readonly ip: string;
  /** What the caller named the holder at allocate, claim or adopt. */
  readonly key: string;
  /** False for an adopted address that another peer owns: `claim` asks it again. */
  readonly owned: boolean;
}

/** The addresses of this host. Subnets are canonical CIDR text, addresses plain IPv4 text. */
export interface AddressBook {
  /** Makes a pool usable and names its gateway, the first usable address unless given. */
  openPool(subnet: string, gateway?: string): Promise<{ readonly gateway: string }>;
  /** This host has no network on the pool any more. Idempotent. */
  closePool(subnet: string): Promise<void>;
  /** Any free address, inside `within` if given. @throws TsweaveError NO_ADDRESS. */
  allocate(
    subnet: string,
    key: string,
    options: { readonly within?: string | undefined },
  ): Promise<string>;
  /**
   * Exactly this address; a repetition with its key is fine. A mesh that is being founded is waited
   * for, `deadlineMs` if given. @throws TsweaveError ADDRESS_TAKEN, NO_ADDRESS, NOT_FOUNDED.
   */
  claim(
    subnet: string,
    key: string,
    ip: string,
    options?: { readonly deadlineMs: number },
  ): Promise<void>;
  /**
   * Files an address that a running container already has, whoever owns it, asking nobody.
   * @throws TsweaveError ADDRESS_TAKEN when this host has it filed under another key.
   */
  adopt(subnet: string, key: string, ip: string): Promise<void>;
  /** Keeps an address of the user's own from being given out on this host. Idempotent. */
  reserve(subnet: string, ip: string): Promise<void>;
  /** Ends a lease or a reservation; unknown addresses change nothing. */
  release(subnet: string, ip: string): Promise<void>;
  leases(subnet: string): readonly HeldAddress[];
  /** Subnets of the pools that are open. */
  pools(): readonly string[];
}

/** The kernel side. It reads networks and endpoints from the ledger before it is called. */
export interface Datapath {
  /** Makes the veth pair; its container end then waits in the host's namespace. */
  plug(endpoint: LocalEndpoint, network: Network): Promise<void>;
  /** Removes both ends wherever they are. Idempotent, also for unknown endpoints. */
  unplug(endpointId: string, network: Pick<Network, "id">): Promise<void>;
  /** Removes the namespace with all in it. Idempotent. */
  removeNetwork(network: Pick<Network, "id">): Promise<void>;
  /** The ledger changed without a plug: look soon. */
  request(reason: string): void;
}

/** This host's rows in the replicated tables. All but `announce` take effect at once. */
export interface Publisher {
  network(network: Network): void;
  networkGone(name: string): void;
  endpoint(endpoint: LocalEndpoint): void;
  /** Removes the endpoint's row and its names. */
  endpointGone(endpointId: string): void;
  names(endpointId: string, row: NamesRow): void;
  /** Resolves when every live peer has the newest rows, or at the deadline. */
  announce(deadlineMs: number): Promise<{ readonly late: readonly string[] }>;
}

/** One container's network namespace as seen from one endpoint; they share it by `key`. */
export interface Sandbox {
  /** Path of the namespace. */
  readonly key: string;
  readonly endpointId: string;
  readonly network: string;
  readonly internal: boolean;
  /** Names that `--link` defined here: Docker's resolver answers them. */
  readonly links: readonly string[];
  /** The namespace does not exist yet: wait for it to appear. */
  readonly waitFor: boolean;
}

export interface SandboxDns {
  /** Answers names inside a sandbox. A repeated call with other links replaces them. */
  attach(sandbox: Sandbox): Promise<void>;
  /** Closes the endpoint's hold on its sandbox, also while `attach` still waits. Idempotent. */
  detach(endpointId: string): Promise<void>;
  /** Opens every hook anew: the engine restarted under running containers. */
  refresh(): Promise<void>;
}

export interface Sandboxes {
  /** Whether the path is a mounted network namespace now. */
  exists(key: string): Promise<boolean>;
}

/** What the mesh decides for a network. */
export interface NetworkPlan {
  /** @throws TsweaveError POOL_CONFLICT when the default network has another subnet elsewhere. */
  place(spec: {
    readonly name: string;
    readonly subnet: string;
    /** The user's `-o com.docker.network.driver.mtu`, 0 where none was given. */
    readonly underlayMtuBytes: number;
  }): { readonly vni: number; readonly mtuBytes: number };
}

/** What the mesh makes of networks that users make and remove on this engine. */
export interface NetworkRegister {
  /** CreateNetwork came, a user's or the mesh's own wish; the name is not told yet. */
  made(networkId: string): void;
  /**
   * DeleteNetwork came. The engine removes the network whatever is answered, and only logs a
   * refusal. @throws TsweaveError BAD_REQUEST while other hosts use it: it is put back.
   */
  removed(network: Network): Promise<void>;
  /**
   * CreateNetwork came for the subnet of another network, `held`. Where that is one that the mesh
   * made just now it goes, if unused: the new one may be a user's of the same name, that waited for
   * the plugin. One of another name changes nothing: the mesh's is made again. Never rejects.
   */
  follows(madeId: string, held: Network): Promise<void>;
  /** Endpoints ended that no call told of: a network that was kept for them may go. */
  freed(): void;
}

/** What the engine's answer to `GET /networks` holds beyond the shared port. */
export interface DockerNetwork extends EngineNetwork {
  readonly labels: Readonly<Record<string, string>>;
  /** `--ip-range`, empty where none was given. */
  readonly ipRange: string;
  /** `--gateway`, empty where none was given. */
  readonly gateway: string;
  /** `--aux-address` values. */
  readonly auxiliary: readonly string[];
  readonly endpoints: readonly (EngineEndpoint & { readonly mac: string })[];
}

export interface DockerEngine extends Engine {
  networks(): Promise<DockerNetwork[]>;
  /** `deadlineMs` is the default of ordinary calls unless given. */
  network(id: string, deadlineMs?: number): Promise<DockerNetwork | undefined>;
}
