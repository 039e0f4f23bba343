/**
 * The networks of this host's engine: held from CreateNetwork, named as soon as the engine tells.
 *
 * Law: CreateNetwork carries neither name nor place in the mesh, and is never repeated; what it
 * says is durable before it is answered. The API may be down or starting: asking it is bounded.
 */
import { type Cidr, overlaps, parseCidr } from "../../ipalloc/index.ts";
import {
  asTsweaveError,
  type Clock,
  type Log,
  messageOf,
  TIMES,
  TsweaveError,
} from "../../mesh/index.ts";
import type { HeldNetwork, Ledger } from "../ledger.ts";
import { within } from "./deadline.ts";
import { Departed } from "./departed.ts";
import { isGrantKey } from "./grants.ts";
import type { HeldPools } from "./held-pools.ts";
import { MTU_OPTION, readMtu } from "./options.ts";
import type {
  AddressBook,
  Datapath,
  DockerEngine,
  DockerNetwork,
  NetworkPlan,
  Publisher,
} from "./ports.ts";

export const DRIVER = "tsweave";

export interface NetworksPorts {
  readonly ledger: Ledger;
  readonly engine: DockerEngine;
  readonly addresses: AddressBook;
  readonly pools: HeldPools;
  readonly datapath: Datapath;
  readonly publisher: Publisher;
  readonly plan: NetworkPlan;
  readonly clock: Clock;
  readonly log: Log;
}

/** The network whose name is known without asking the engine. */
export interface DefaultNetwork {
  readonly name: string;
  readonly subnet: string;
}

export class Networks {
  readonly #ports: NetworksPorts;
  readonly #default: DefaultNetwork;
  readonly #departed = new Departed();
  /** BOUNDED: those of the ledger. */
  readonly #ending = new Map<string, HeldNetwork>();

  constructor(ports: NetworksPorts, defaultNetwork: DefaultNetwork) {
    this.#ports = ports;
    this.#default = defaultNetwork;
  }

  /** Holds a network; the first with the default network's subnet is named at once. */
  async hold(network: HeldNetwork): Promise<HeldNetwork> {
    const others = this.#ports.ledger.networks().filter(({ id }) => id !== network.id);
    const isTaken = others.some(({ name }) => name === this.#default.name);
    const isDefault = network.subnet === this.#default.subnet && !isTaken;
    const name = network.name === "" && isDefault ? this.#default.name : network.name;
    const held = name === "" ? network : this.#placed(network, name);
    await this.#ports.ledger.putNetwork(held);
    this.#ports.pools.settled(network.subnet);
    this.#announce(held);
    return held;
  }

  /** A network by id, learned from the engine when the ledger lacks it. */
  async known(id: string): Promise<HeldNetwork> {
    const held = this.#ports.ledger.network(id) ?? (await this.#ask(id));
    if (held !== undefined) return held;
    throw new TsweaveError("NOT_FOUND", `network ${id.slice(0, 12)} is not known to this host`, {
      hint: "try again in a moment, when the Docker API answers",
    });
  }

  /** A network with its name and VNI. */
  async named(id: string): Promise<HeldNetwork> {
    const known = await this.known(id);
    const held = known.name === "" ? await this.#ask(id) : known;
    if (held !== undefined && held.name !== "") return held;
    throw new TsweaveError(
      "DOCKER_UNREACHABLE",
      `Docker does not tell the name of ${known.subnet}`,
      {
        hint: "try again in a moment, when the Docker API answers",
      },
    );
  }

  /** Takes over what the engine says of one of our networks. Undefined when it is not ours. */
  async learn(told: DockerNetwork): Promise<HeldNetwork | undefined> {
    if (told.driver !== DRIVER || told.ipamDriver !== DRIVER) return undefined;
    if (this.#departed.has(told.id)) return undefined;
    const held = this.#ports.ledger.network(told.id);
    if (held !== undefined) return await this.rename(held, told.name);
    const [subnet] = told.subnets;
    if (subnet === undefined) return undefined;
    const { gateway } = await this.#open(subnet, told);
    this.#ports.log.info({ network: told.name, subnet }, "took over a network of the engine");
    return await this.hold({
      id: told.id,
      name: told.name,
      subnet,
      gateway,
      vni: 0,
      mtuBytes: 0,
      internal: told.internal,
      ipRange: told.ipRange,
      underlayMtuBytes: readMtu(told.options[MTU_OPTION] ?? ""),
      auxiliary: told.auxiliary,
    });
  }

  /** Gives a held network its name. The name of one that has endpoints stays. */
  async rename(held: HeldNetwork, name: string): Promise<HeldNetwork> {
    if (held.name === name) return held;
    const { ledger, publisher, log } = this.#ports;
    if (held.name !== "") {
      log.warn({ network: held.name, engineName: name }, "the engine has another name for it");
      if (ledger.endpointsOf(held.id).length > 0) return held;
      publisher.networkGone(held.name);
    }
    const renamed = this.#placed(held, name);
    await ledger.putNetwork(renamed);
    this.#announce(renamed);
    return renamed;
  }

  /**
   * Places every named network anew: two met that had one VNI, or the mesh has another MTU.
   * Resolves with false where the disk did not take it. Never rejects.
   */
  async replan(): Promise<boolean> {
    const { ledger, log } = this.#ports;
    let isWritten = true;
    for (const held of this.standing()) {
      try {
        const placed = this.#placed(held, held.name);
        if (placed.vni === held.vni && placed.mtuBytes === held.mtuBytes) continue;
        if (ledger.network(held.id) !== held) continue;
        if (placed.vni !== held.vni) {
          log.warn({ network: held.name, was: held.vni, vni: placed.vni }, "network has a new VNI");
        }
        await ledger.putNetwork(placed);
        this.#announce(placed);
      } catch (error) {
        const { code, message: reason } = asTsweaveError(error);
        log.debug({ network: held.name, reason }, "network stays as it was");
        if (code === "STATE_UNWRITABLE") isWritten = false;
      }
    }
    return isWritten;
  }

  /** Networks with name and VNI that the engine has not removed: what the kernel should have. */
  standing(): readonly HeldNetwork[] {
    const isStanding = ({ id, name }: HeldNetwork) => name !== "" && !this.#departed.has(id);
    return this.#ports.ledger.networks().filter(isStanding);
  }

  /**
   * Whether the engine made a network that it has not told to be removed, or just has; or is making
   * one on its subnet, which may be that: no call carries the name.
   */
  holds(name: string, subnet: string): boolean {
    const { ledger, pools } = this.#ports;
    const held = [...ledger.networks(), ...this.#ending.values()];
    const isIt = (network: HeldNetwork) => network.name === name || network.name === "";
    if (held.some((network) => isIt(network) && network.subnet === subnet)) return true;
    return pools.all().some((pool) => pool.fresh && pool.subnet === subnet);
  }

  /** Whether the engine has said that a network is removed, and nobody is at that now. */
  hasEnded(id: string): boolean {
    return this.#departed.has(id) && !this.#ending.has(id);
  }

  /** Runs the removal of a network: until its end nothing builds it, nobody makes it anew. */
  async whileEnding<T>(held: HeldNetwork, work: () => Promise<T>): Promise<T> {
    if (this.#ending.has(held.id)) return await work();
    this.#ending.set(held.id, held);
    try {
      return await work();
    } finally {
      this.#ending.delete(held.id);
    }
  }

  /**
   * Forgets a network and everything of it outside the ledger's endpoints. Idempotent. Its record
   * goes last: a daemon that is killed in between finds it, and nothing is left behind.
   */
  async drop(id: string): Promise<void> {
    const held = this.#ports.ledger.network(id);
    this.#departed.add(id);
    if (held !== undefined) await this.whileEnding(held, () => this.#drop(held));
  }

  async #drop(held: HeldNetwork): Promise<void> {
    const { ledger, addresses, datapath, publisher } = this.#ports;
    const others = ledger.networks().filter(({ id }) => id !== held.id);
    const named = others.some(({ name }) => name === held.name);
    if (held.name !== "" && !named) publisher.networkGone(held.name);
    await datapath.removeNetwork(held);
    await ledger.dropNetwork(held.id);
    if (ledger.networks().some(({ subnet }) => subnet === held.subnet)) return;
    for (const ip of held.auxiliary) await addresses.release(held.subnet, ip);
    await this.close(held.subnet);
  }

  /** Closes the pool of a subnet without a network, and takes back what was given out of it. */
  async close(subnet: string): Promise<void> {
    const { addresses, pools } = this.#ports;
    pools.settled(subnet);
    const given = addresses.leases(subnet).filter(({ key }) => isGrantKey(key));
    for (const { ip } of given) await addresses.release(subnet, ip);
    await addresses.closePool(subnet);
  }

  /** The held networks that share an address with a subnet. */
  overlapping(subnet: Cidr): HeldNetwork[] {
    const networks = this.#ports.ledger.networks();
    return networks.filter((network) => overlaps(parseCidr(network.subnet), subnet));
  }

  /** Publishes and prepares what an earlier life of the daemon held; asks nobody. */
  async restore(): Promise<void> {
    const { ledger, addresses, pools, log } = this.#ports;
    const used = new Set(ledger.networks().map(({ subnet }) => subnet));
    for (const subnet of addresses.pools()) if (!used.has(subnet)) pools.given(subnet);
    for (const network of ledger.networks()) {
      try {
        await this.#open(network.subnet, network);
        if (network.name !== "") await this.hold(this.#placed(network, network.name));
      } catch (error) {
        log.warn({ network: network.name, reason: messageOf(error) }, "network as it was before");
        this.#announce(network);
      }
    }
  }

  /** Opens a pool with the user's own gateway and addresses, where there are such. */
  async #open(
    subnet: string,
    own: Pick<HeldNetwork, "gateway" | "auxiliary">,
  ): Promise<{ readonly gateway: string }> {
    const { addresses } = this.#ports;
    const opened = await (own.gateway === ""
      ? addresses.openPool(subnet)
      : addresses.openPool(subnet, own.gateway));
    for (const ip of own.auxiliary) await addresses.reserve(subnet, ip);
    return opened;
  }

  async #ask(id: string): Promise<HeldNetwork | undefined> {
    const { engine, clock, log } = this.#ports;
    try {
      const asked = engine.network(id, TIMES.engineAskMs);
      const told = await within(clock, "network name", TIMES.engineAskMs, asked);
      return told === undefined ? undefined : await this.learn(told);
    } catch (error) {
      log.info({ network: id, reason: messageOf(error) }, "the engine did not tell of a network");
      return undefined;
    }
  }

  #placed(network: HeldNetwork, name: string): HeldNetwork {
    const { subnet, underlayMtuBytes } = network;
    return { ...network, name, ...this.#ports.plan.place({ name, subnet, underlayMtuBytes }) };
  }

  #announce(network: HeldNetwork): void {
    if (network.name === "") return;
    this.#ports.publisher.network(network);
    this.#ports.datapath.request("network");
  }
}
