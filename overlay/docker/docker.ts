/**
 * The Docker half of the overlay as one piece: its parts put together, its start and its end.
 *
 * Law: it serves from the ledger alone. While a host boots Docker waits for the plugin and its API
 * does not answer, so no step of the start needs the engine.
 */
import { type Clock, type Log, messageOf, type Random, TIMES } from "../../mesh/index.ts";
import { type HeldEndpoint, type HeldNetwork, type Ledger, localEndpoint } from "../ledger.ts";
import type { LocalEndpoint, Network } from "../model.ts";
import { Attachments } from "./attachments.ts";
import { type CallCounters, PluginCalls } from "./calls.ts";
import { within } from "./deadline.ts";
import { EngineSync } from "./engine-sync.ts";
import { Grants } from "./grants.ts";
import { HeldPools } from "./held-pools.ts";
import { IpamDriver } from "./ipam-driver.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import { ContainerNames } from "./names.ts";
import { NetworkDriver } from "./network-driver.ts";
import { type DefaultNetwork, Networks } from "./networks.ts";
import type {
  AddressBook,
  Datapath,
  DockerEngine,
  NetworkPlan,
  NetworkRegister,
  Publisher,
  SandboxDns,
  Sandboxes,
} from "./ports.ts";
import { SandboxHooks } from "./sandbox-hooks.ts";
import { EngineWatch, type WatchStatus } from "./watch.ts";

export interface DockerPorts {
  readonly ledger: Ledger;
  readonly engine: DockerEngine;
  readonly addresses: AddressBook;
  readonly datapath: Datapath;
  readonly publisher: Publisher;
  readonly dns: SandboxDns;
  readonly sandboxes: Sandboxes;
  readonly plan: NetworkPlan;
  readonly register: NetworkRegister;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface DockerStatus extends WatchStatus {
  /** By method, such as `NetworkDriver.Join`. */
  readonly calls: Readonly<Record<string, CallCounters>>;
}

export class Docker {
  readonly #ports: DockerPorts;
  readonly #networks: Networks;
  readonly #attachments: Attachments;
  readonly #hooks: SandboxHooks;
  readonly #sync: EngineSync;
  readonly #watch: EngineWatch;
  readonly #calls: PluginCalls;

  constructor(ports: DockerPorts, options: { readonly defaultNetwork: DefaultNetwork }) {
    const { clock } = ports;
    const shared = {
      queue: new KeyedQueue(),
      grants: new Grants(clock),
      pools: new HeldPools(clock),
    };
    const networks = new Networks({ ...ports, ...shared }, options.defaultNetwork);
    const hooks = new SandboxHooks(ports);
    const unwritten = () => this.#watch.unwritten();
    const names = new ContainerNames({ ...ports, ...shared, hooks, unwritten });
    const attachments = new Attachments({ ...ports, ...shared, networks, names, hooks });
    const ipam = new IpamDriver({ ...ports, ...shared, networks, attachments });
    const network = new NetworkDriver({ ...ports, networks, attachments });
    this.#ports = ports;
    this.#networks = networks;
    this.#hooks = hooks;
    this.#attachments = attachments;
    this.#sync = new EngineSync({ ...ports, ...shared, networks, attachments, names });
    const deleteNetwork = (id: string) => network.deleteNetwork(id);
    const freed = () => ports.register.freed();
    const watched = { networks, names, hooks, sync: this.#sync, deleteNetwork, freed };
    this.#watch = new EngineWatch({ ...ports, ...watched });
    this.#calls = new PluginCalls({ network, ipam }, { ...ports, unwritten });
  }

  /**
   * Publishes what the ledger holds and hooks its sandboxes; to be done before calls are served.
   * Where the ledger is empty the engine is asked first what runs, if it answers soon: addresses
   * of running containers must be known before the first is given out.
   */
  async start(): Promise<void> {
    const { ledger, clock, log } = this.#ports;
    const empty = ledger.networks().length === 0;
    await this.#networks.restore();
    for (const endpoint of ledger.endpoints()) await this.#restore(endpoint);
    this.#sync.inherit();
    this.#watch.start();
    if (!empty) return;
    await within(clock, "first look at the engine", TIMES.engineAskMs, this.#watch.flush()).catch(
      (error: unknown) => log.info({ reason: messageOf(error) }, "serving without the engine"),
    );
  }

  /** Stops following the engine. Sandboxes, kernel and ledger stay as they are. */
  async stop(): Promise<void> {
    await this.#watch.stop();
  }

  /** Answers one plugin call; undefined when there is no such method. Never rejects. */
  async handle(method: string, body: Uint8Array): Promise<object | undefined> {
    return await this.#calls.handle(method, body);
  }

  /** Compares with the engine now; resolves when done, whether the engine answered or not. */
  async resync(): Promise<void> {
    await this.#watch.flush();
  }

  /** Gives every network the VNI and MTU that the mesh now says. See Networks. */
  async replan(): Promise<boolean> {
    return await this.#networks.replan();
  }

  /** This engine's networks that have their name and VNI: what the kernel should have. */
  networks(): readonly Network[] {
    return this.#networks.standing();
  }

  /** See Networks. */
  holds(name: string, subnet: string): boolean {
    return this.#networks.holds(name, subnet);
  }

  /** This engine's endpoints on those networks, from CreateEndpoint on. */
  endpoints(): readonly LocalEndpoint[] {
    const { ledger } = this.#ports;
    return ledger.endpoints().flatMap((endpoint) => {
      const network = ledger.network(endpoint.networkId);
      return network === undefined || network.name === "" ? [] : [localEndpoint(endpoint, network)];
    });
  }

  /**
   * How many endpoints containers have joined. What was created and never joined, or left and not
   * deleted because a call got lost, is no container's, and goes by the next comparisons.
   */
  joinedCount(): number {
    return this.#ports.ledger.endpoints().filter(({ joined }) => joined).length;
  }

  /**
   * What uses a network of this engine by its id, for people: endpoints that are not joined yet,
   * too, and what `joined` says of the others.
   */
  usersOf(
    id: string,
    joined: (name: string, subnet: string) => readonly string[],
  ): readonly string[] {
    const { ledger } = this.#ports;
    const network = ledger.network(id);
    if (network !== undefined && network.name !== "") {
      const users = joined(network.name, network.subnet);
      if (users.length > 0) return users;
    }
    return ledger.endpointsOf(id).map((endpoint) => endpoint.names[0] ?? endpoint.id.slice(0, 12));
  }

  status(): DockerStatus {
    return { ...this.#watch.status(), calls: this.#calls.counters() };
  }

  /** What has no sandbox any more (the host was off) waits for the engine's word, unpublished. */
  async #restore(endpoint: HeldEndpoint): Promise<void> {
    const { ledger, sandboxes, log } = this.#ports;
    const network: HeldNetwork | undefined = ledger.network(endpoint.networkId);
    if (!endpoint.joined || network === undefined || network.name === "") return;
    try {
      if (!(await sandboxes.exists(endpoint.sandboxKey))) return;
      this.#attachments.publish(endpoint, network);
      await this.#hooks.ensure(endpoint, network);
    } catch (error) {
      log.warn({ endpoint: endpoint.id, reason: messageOf(error) }, "endpoint not restored yet");
    }
  }
}
