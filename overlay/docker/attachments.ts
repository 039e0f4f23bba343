/**
 * The life of an endpoint on this host: created, joined, left, removed, or taken over.
 *
 * Laws: all work for one endpoint is serialised and none delays another's; the ledger knows before
 * anyone else; a failed Join leaves nothing behind; every way out tolerates that it was gone
 * already, because Docker's calls get lost and are not repeated.
 */
import { addressWithin, parseCidr } from "../../ipalloc/index.ts";
import { type Clock, type Log, messageOf, type Random, TsweaveError } from "../../mesh/index.ts";
import { isMac, macOf } from "../address.ts";
import { announced } from "../announce.ts";
import { type HeldEndpoint, type HeldNetwork, type Ledger, localEndpoint } from "../ledger.ts";
import { containerEnd } from "../model.ts";
import { Departed } from "./departed.ts";
import { type Grants, grantKey, isGrantKey } from "./grants.ts";
import type { KeyedQueue } from "./keyed-queue.ts";
import { type ContainerNames, type ContainerRef, namesRow, readNames } from "./names.ts";
import type { Networks } from "./networks.ts";
import type { AddressBook, Datapath, Publisher } from "./ports.ts";
import type { SandboxHooks } from "./sandbox-hooks.ts";
import type { CreateEndpoint, EndpointRef, Join } from "./schema.ts";

export interface AttachmentsPorts {
  readonly ledger: Ledger;
  readonly networks: Networks;
  readonly names: ContainerNames;
  readonly hooks: SandboxHooks;
  readonly grants: Grants;
  readonly queue: KeyedQueue;
  readonly addresses: AddressBook;
  readonly datapath: Datapath;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A running container's endpoint that the engine knows and the ledger does not. */
export interface Foundling extends EndpointRef {
  readonly ip: string;
  /** Empty where the engine does not tell it. */
  readonly mac: string;
  readonly sandboxKey: string;
  readonly containerId: string;
}

export class Attachments {
  readonly #ports: AttachmentsPorts;
  readonly #departed = new Departed();
  /** Endpoints that surely have no veth pair. BOUNDED: endpoints of the ledger; ends in #remove. */
  readonly #bare = new Set<string>();

  constructor(ports: AttachmentsPorts) {
    this.#ports = ports;
  }

  /** CreateEndpoint. Resolves with the MAC. */
  async create(request: CreateEndpoint): Promise<string> {
    return await this.#ports.queue.run(request.endpointId, () => this.#create(request));
  }

  /** Join. Resolves with the name of the device that the engine moves into the container. */
  async join(request: Join): Promise<string> {
    return await this.#ports.queue.run(request.endpointId, () => this.#join(request));
  }

  /** Leave: the container has no interface and no names any more. Idempotent. */
  async leave(ref: EndpointRef): Promise<void> {
    await this.#ports.queue.run(ref.endpointId, () => this.#leave(ref));
  }

  /** DeleteEndpoint; a Leave that got lost is made up for. Idempotent. */
  async remove(ref: EndpointRef): Promise<void> {
    await this.#ports.queue.run(ref.endpointId, () => this.#remove(ref));
  }

  /**
   * Releases an endpoint and its address, unless a call for it came since `seen` was read.
   * Resolves with whether it did.
   */
  async release(seen: HeldEndpoint): Promise<boolean> {
    const { queue, ledger, addresses, grants } = this.#ports;
    if (queue.busy(seen.id)) return false;
    return await queue.run(seen.id, async () => {
      if (ledger.endpoint(seen.id) !== seen) return false;
      const network = ledger.network(seen.networkId);
      await this.#remove({ networkId: seen.networkId, endpointId: seen.id });
      if (network === undefined) return true;
      grants.settled(network.subnet, seen.ip);
      await addresses.release(network.subnet, seen.ip);
      return true;
    });
  }

  /** Whether the engine has said that an endpoint is gone: it uses no id twice. */
  hasEnded(id: string): boolean {
    return this.#departed.has(id);
  }

  /** Takes over an endpoint of a running container, address, rows and name hook. */
  async adopt(found: Foundling): Promise<void> {
    await this.#ports.queue.run(found.endpointId, async () => {
      const { ledger, networks, datapath, log } = this.#ports;
      if (ledger.endpoint(found.endpointId) !== undefined) return;
      if (this.#departed.has(found.endpointId)) return;
      const network = await networks.named(found.networkId);
      addressWithin(parseCidr(network.subnet), found.ip);
      const held: HeldEndpoint = {
        id: found.endpointId,
        networkId: found.networkId,
        ip: found.ip,
        mac: isMac(found.mac) ? found.mac : macOf(found.ip),
        joined: true,
        sandboxKey: found.sandboxKey,
        containerId: found.containerId,
        names: [],
        links: [],
      };
      await this.#lease(held, network);
      await ledger.putEndpoint(held);
      log.info({ endpoint: held.id, ip: held.ip }, "took over an endpoint of the engine");
      this.publish(held, network);
      datapath.request("endpoint taken over");
    });
  }

  /** Files the address of a running endpoint here and asks its owner for it. Never rejects. */
  async lease(seen: HeldEndpoint, network: HeldNetwork): Promise<void> {
    await this.#ports.queue.run(seen.id, async () => {
      if (this.#ports.ledger.endpoint(seen.id)?.joined) await this.#lease(seen, network);
    });
  }

  /** Rows and name hook of a joined endpoint are what they should be. */
  async follow(endpointId: string, network: HeldNetwork): Promise<void> {
    const { ledger, queue, hooks } = this.#ports;
    await queue.run(endpointId, async () => {
      const held = ledger.endpoint(endpointId);
      if (held?.joined !== true) return;
      this.publish(held, network);
      await hooks.ensure(held, network);
    });
  }

  /** Puts an endpoint's rows into the tables. */
  publish(endpoint: HeldEndpoint, network: HeldNetwork): void {
    const { publisher } = this.#ports;
    publisher.endpoint(localEndpoint(endpoint, network));
    publisher.names(endpoint.id, namesRow(endpoint, network));
  }

  async #create(request: CreateEndpoint): Promise<string> {
    const { ledger, networks, grants } = this.#ports;
    const network = await networks.known(request.networkId);
    if (request.addressIpv6 !== "") {
      throw new TsweaveError("CONFIG", "tsweave networks carry IPv4 only");
    }
    const [ip = ""] = request.address.split("/");
    addressWithin(parseCidr(network.subnet), ip);
    const before = ledger.endpoint(request.endpointId);
    if (before?.ip === ip && request.mac === "") return before.mac;
    const mac = request.mac === "" ? macOf(ip) : request.mac.toLowerCase();
    if (!isMac(mac)) {
      throw new TsweaveError("CONFIG", `${request.mac.slice(0, 40)} is not a unicast MAC address`);
    }
    await this.#claim(network, ip, request.endpointId);
    await ledger.putEndpoint({
      id: request.endpointId,
      networkId: request.networkId,
      ip,
      mac,
      joined: false,
      sandboxKey: "",
      containerId: "",
      names: [],
      links: [],
    });
    this.#bare.add(request.endpointId);
    grants.settled(network.subnet, ip);
    return mac;
  }

  /**
   * Files the address of an endpoint that runs, so that nobody else is given it here; then asks
   * its owner for it, who may be away.
   */
  async #lease({ ip, id }: HeldEndpoint, { subnet }: HeldNetwork): Promise<void> {
    const { addresses, random, log } = this.#ports;
    const known = addresses.leases(subnet).find((held) => held.ip === ip && isGrantKey(held.key));
    const key = known?.key ?? grantKey(random.bytes(8));
    try {
      await addresses.adopt(subnet, key, ip);
      await addresses.claim(subnet, key, ip, { deadlineMs: 0 });
    } catch (error) {
      const told = known === undefined ? "info" : "debug";
      log[told]({ endpoint: id, ip, reason: messageOf(error) }, "runs with another's address");
    }
  }

  /** Makes sure that the address is this endpoint's to use. */
  async #claim(network: HeldNetwork, ip: string, endpointId: string): Promise<void> {
    const { ledger, addresses, random } = this.#ports;
    const other = ledger
      .endpointsOf(network.id)
      .find((endpoint) => endpoint.ip === ip && endpoint.id !== endpointId);
    const lease = addresses.leases(network.subnet).find((held) => held.ip === ip);
    if (other !== undefined || (lease !== undefined && !isGrantKey(lease.key))) {
      throw new TsweaveError("ADDRESS_TAKEN", `${ip} is in use on this host`, {
        hint: "see tsweave status endpoints",
      });
    }
    if (lease === undefined) {
      await addresses.claim(network.subnet, grantKey(random.bytes(8)), ip);
    }
  }

  async #join(request: Join): Promise<string> {
    const { ledger, networks, names } = this.#ports;
    const { networkId, endpointId } = request;
    const held = ledger.endpoint(endpointId);
    if (held?.networkId !== networkId) {
      throw new TsweaveError("NOT_FOUND", `endpoint ${endpointId.slice(0, 12)} was not created`, {
        hint: "start the container again",
      });
    }
    const asked = names.joining(networkId, endpointId);
    const network = await networks.named(networkId);
    try {
      const container = await this.#plug(request, held, network, asked);
      if (container !== undefined) names.learn(container.ref);
    } catch (error) {
      await this.#leave(request);
      throw error;
    }
    return containerEnd(endpointId);
  }

  async #plug(
    request: Join,
    held: HeldEndpoint,
    network: HeldNetwork,
    asked: Promise<ContainerRef | undefined>,
  ): Promise<ContainerRef | undefined> {
    const { ledger, datapath, hooks } = this.#ports;
    this.#bare.delete(held.id);
    const plugged = datapath.plug(localEndpoint(held, network), network);
    const [container] = await Promise.all([asked, plugged]);
    const joined: HeldEndpoint = {
      ...held,
      joined: true,
      sandboxKey: request.sandboxKey,
      containerId: "",
      names: readNames(container === undefined ? [] : [container.name]),
      links: [],
    };
    await ledger.putEndpoint(joined);
    this.publish(joined, network);
    await Promise.all([announced(this.#ports), hooks.ready(joined, network)]);
    return container;
  }

  async #leave(ref: EndpointRef): Promise<void> {
    const { ledger, publisher, hooks } = this.#ports;
    publisher.endpointGone(ref.endpointId);
    await Promise.all([hooks.detach(ref.endpointId), this.#unplug(ref)]);
    const held = ledger.endpoint(ref.endpointId);
    if (held?.joined !== true) return;
    await ledger.putEndpoint({ ...held, joined: false, sandboxKey: "" });
  }

  /** Never rejects: a pair that stays is a full pass's work. */
  async #unplug({ endpointId, networkId }: EndpointRef): Promise<void> {
    const { datapath, ledger, log } = this.#ports;
    if (this.#bare.has(endpointId)) return;
    try {
      await datapath.unplug(endpointId, { id: networkId });
      if (ledger.endpoint(endpointId) !== undefined) this.#bare.add(endpointId);
    } catch (error) {
      log.warn({ endpoint: endpointId, reason: messageOf(error) }, "veth pair not removed yet");
      datapath.request("unplug failed");
    }
  }

  async #remove(ref: EndpointRef): Promise<void> {
    this.#departed.add(ref.endpointId);
    await this.#leave(ref);
    this.#bare.delete(ref.endpointId);
    await this.#ports.ledger.dropEndpoint(ref.endpointId);
  }
}
