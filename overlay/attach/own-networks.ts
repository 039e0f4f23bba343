/**
 * The networks that attachments use, whether or not an engine of this host has them.
 *
 * Law: one namespace a network and host. Where the engine has the network, the attachments live in
 * its namespace; where it comes later or comes back under another id they move there; where it goes
 * they keep the namespace until the last of them is detached.
 */
import { createHash } from "node:crypto";
import { type Log, messageOf, type PeerId, TsweaveError } from "../../mesh/index.ts";
import type { AddressBook, Datapath, NetworkPlan, Publisher } from "../docker/ports.ts";
import type { HeldNetwork, Ledger } from "../ledger.ts";
import type { Network } from "../model.ts";
import { LEASE_PREFIX, leaseKey } from "./model.ts";

/** What the mesh knows of a network by its name. */
export type KnownNetwork = Pick<Network, "subnet" | "gateway" | "internal">;

export interface OwnNetworksPorts {
  readonly ledger: Ledger;
  readonly addresses: AddressBook;
  readonly datapath: AttachDatapath;
  readonly publisher: Publisher;
  readonly plan: NetworkPlan;
  readonly known: (name: string) => KnownNetwork | undefined;
  readonly log: Log;
}

export interface AttachDatapath extends Datapath {
  /** Moves endpoints and their veth pairs to another namespace of the network; the old one goes. */
  moveNetwork(
    from: Pick<Network, "id">,
    to: Network,
    endpointIds: readonly string[],
  ): Promise<void>;
}

/** The network that is meant where none is named. */
export interface DefaultNetwork {
  readonly name: string;
  readonly subnet: string;
}

export class OwnNetworks {
  readonly #ports: OwnNetworksPorts;
  readonly #default: DefaultNetwork;
  readonly #host: PeerId;

  /** `host` goes into the ids of networks that no engine made: they are this host's own. */
  constructor(ports: OwnNetworksPorts, defaultNetwork: DefaultNetwork, host: PeerId) {
    this.#ports = ports;
    this.#host = host;
    this.#default = defaultNetwork;
  }

  get defaultName(): string {
    return this.#default.name;
  }

  /** Those of which the engine has no network: what the kernel should have besides. */
  extra(): readonly HeldNetwork[] {
    const { ledger } = this.#ports;
    const engine = new Set(ledger.networks().map(({ name }) => name));
    return ledger.ownNetworks().filter(({ name }) => !engine.has(name));
  }

  named(name: string): HeldNetwork | undefined {
    return this.#ports.ledger.ownNetworks().find((network) => network.name === name);
  }

  /** Makes a network usable here. @throws TsweaveError NOT_FOUND, POOL_CONFLICT. */
  async use(name: string = this.#default.name): Promise<HeldNetwork> {
    const { ledger, addresses, publisher, plan } = this.#ports;
    const seen = this.#seen(name);
    const { gateway } = await (seen.gateway === ""
      ? addresses.openPool(seen.subnet)
      : addresses.openPool(seen.subnet, seen.gateway));
    const { subnet, underlayMtuBytes } = seen;
    const network = { ...seen, gateway, ...plan.place({ name, subnet, underlayMtuBytes }) };
    const held = this.named(name);
    if (JSON.stringify(held) !== JSON.stringify(network)) await ledger.putOwnNetwork(network);
    publisher.network(network);
    return network;
  }

  /** Gives every network the VNI and MTU that the mesh now says. Never rejects. */
  async replan(): Promise<void> {
    const { ledger, datapath, log } = this.#ports;
    for (const { name } of ledger.ownNetworks()) {
      try {
        await this.use(name);
      } catch (error) {
        log.debug({ network: name, reason: messageOf(error) }, "network stays as it was");
      }
    }
    datapath.request("networks of attachments");
  }

  /** Lets a network go that no attachment uses; idempotent. */
  async settle(name: string): Promise<void> {
    const { ledger, addresses, datapath, publisher } = this.#ports;
    const own = this.named(name);
    if (own === undefined || ledger.attachments().some(({ network }) => network === name)) return;
    await ledger.dropOwnNetwork(name);
    const engine = ledger.networks();
    if (!engine.some((network) => network.name === name)) publisher.networkGone(name);
    if (!engine.some(({ id }) => id === own.id)) await datapath.removeNetwork(own);
    if (!engine.some(({ subnet }) => subnet === own.subnet)) await addresses.closePool(own.subnet);
  }

  /** Moves attachments to the engine's namespace of their network, where that is another. */
  async follow(): Promise<void> {
    const { ledger, datapath, log } = this.#ports;
    for (const own of ledger.ownNetworks()) {
      const engine = ledger.networks().find(({ name }) => name === own.name);
      if (engine === undefined || engine.id === own.id) continue;
      if (engine.subnet !== own.subnet) {
        log.warn({ network: own.name }, "the engine's network of that name has another subnet");
        continue;
      }
      const users = ledger.attachments().filter(({ network }) => network === own.name);
      const ids = users.map(({ id }) => id);
      await datapath.moveNetwork(own, engine, ids);
      await ledger.putOwnNetwork(engine);
      log.info({ network: own.name, endpoints: ids.length }, "moved to the engine's network");
    }
  }

  /** After a restart: pools, rows, and addresses of attachments that were never finished. */
  async restore(): Promise<void> {
    const { ledger, addresses, log } = this.#ports;
    for (const { name, subnet } of ledger.ownNetworks()) {
      try {
        await this.use(name);
      } catch (error) {
        log.warn({ network: name, reason: messageOf(error) }, "network as it was before");
      }
      const users = ledger.attachments().filter(({ network }) => network === name);
      const keys = new Set(users.map(({ id }) => leaseKey(id)));
      for (const { ip, key } of addresses.leases(subnet)) {
        const isOrphan = key.startsWith(LEASE_PREFIX) && !keys.has(key);
        if (isOrphan) await addresses.release(subnet, ip);
      }
      await this.settle(name);
    }
  }

  /** What is known of a network, from the nearest source. */
  #seen(name: string): HeldNetwork {
    const { ledger, known } = this.#ports;
    const engine = ledger.networks().find((network) => network.name === name);
    const held = this.named(name);
    if (held !== undefined) return held;
    if (engine !== undefined) return engine;
    const id = createHash("sha256").update(`tsweave ${this.#host} ${name}`).digest("hex");
    const fresh = { name, id, vni: 0, mtuBytes: 0, ipRange: "", underlayMtuBytes: 0 };
    const told = known(name);
    if (told !== undefined) {
      const { subnet, gateway, internal } = told;
      return { ...fresh, subnet, gateway, internal, auxiliary: [] };
    }
    if (name === this.#default.name) {
      return {
        ...fresh,
        subnet: this.#default.subnet,
        gateway: "",
        internal: false,
        auxiliary: [],
      };
    }
    throw new TsweaveError("NOT_FOUND", `no network ${name.slice(0, 64)}`, {
      hint: "see 'tsweave status networks'",
    });
  }
}
