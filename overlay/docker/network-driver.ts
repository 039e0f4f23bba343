/**
 * Docker's network driver: what each call does, and the answers the engine expects.
 *
 * Laws: no gateway in Join, so libnetwork itself adds docker_gwbridge, NAT and published ports;
 * addresses must come from our own IPAM, because Docker's would give the same ones on every host;
 * a field the engine has set is never answered. A container has one multicast route: the engine
 * fails a second one, and with it the container's start.
 */
import { parseCidr } from "../../ipalloc/index.ts";
import { TsweaveError } from "../../mesh/index.ts";
import type { Ledger } from "../ledger.ts";
import type { Attachments } from "./attachments.ts";
import { GLOBAL_SPACE, LOCAL_SPACE } from "./ipam-driver.ts";
import type { Networks } from "./networks.ts";
import type { AddressBook, NetworkRegister } from "./ports.ts";
import type { CreateEndpoint, CreateNetwork, EndpointRef, IpamData, Join } from "./schema.ts";

/** What a compose file's network needs beside its driver. */
const COMPOSE_IPAM = "ipam: {driver: tsweave, config: [{subnet: 10.40.0.0/16}]}";

/** Interfaces become eth0, eth1, … in the order of joining. */
const INTERFACE_PREFIX = "eth";

/** To the interface itself, without a next hop: RouteType 1 of libnetwork. */
const MULTICAST_ROUTE = { Destination: "224.0.0.0/4", RouteType: 1 };

export class NetworkDriver {
  readonly #ledger: Ledger;
  readonly #networks: Networks;
  readonly #attachments: Attachments;
  readonly #addresses: AddressBook;
  readonly #register: NetworkRegister;

  constructor(ports: {
    readonly ledger: Ledger;
    readonly networks: Networks;
    readonly attachments: Attachments;
    readonly addresses: AddressBook;
    readonly register: NetworkRegister;
  }) {
    this.#ledger = ports.ledger;
    this.#networks = ports.networks;
    this.#attachments = ports.attachments;
    this.#addresses = ports.addresses;
    this.#register = ports.register;
  }

  async createNetwork(request: CreateNetwork): Promise<object> {
    if (request.ipv6.length > 0) {
      throw new TsweaveError("CONFIG", "tsweave networks carry IPv4 only", {
        hint: "create the network without --ipv6",
      });
    }
    const [data, ...more] = request.ipv4;
    if (data === undefined || more.length > 0) {
      throw new TsweaveError("CONFIG", "a tsweave network has exactly one subnet", {
        hint: "create one network for each subnet",
      });
    }
    refuseForeign(data);
    const subnet = parseCidr(data.pool).text;
    const asked = data.gateway.split("/")[0] ?? "";
    const { gateway } = await this.#addresses.openPool(subnet, ...(asked === "" ? [] : [asked]));
    const auxiliary = data.auxiliary.map((address) => address.split("/")[0] ?? "");
    for (const ip of auxiliary) await this.#addresses.reserve(subnet, ip);
    this.#register.made(request.networkId);
    await this.#networks.hold({
      id: request.networkId,
      name: "",
      vni: 0,
      mtuBytes: 0,
      subnet,
      gateway,
      internal: request.internal,
      ipRange: "",
      underlayMtuBytes: request.underlayMtuBytes,
      auxiliary,
    });
    for (const other of this.#ledger.networks()) {
      if (other.id === request.networkId || other.subnet !== subnet) continue;
      await this.#register.follows(request.networkId, other);
    }
    return {};
  }

  async deleteNetwork(networkId: string): Promise<object> {
    for (const endpoint of this.#ledger.endpointsOf(networkId)) {
      await this.#attachments.remove({ networkId, endpointId: endpoint.id });
      const network = this.#ledger.network(networkId);
      if (network !== undefined) await this.#addresses.release(network.subnet, endpoint.ip);
    }
    const held = this.#ledger.network(networkId);
    if (held === undefined) await this.#networks.drop(networkId);
    else {
      await this.#networks.whileEnding(held, async () => {
        await this.#networks.drop(networkId);
        if (held.name !== "") await this.#register.removed(held);
      });
    }
    return {};
  }

  async createEndpoint(request: CreateEndpoint): Promise<object> {
    const mac = await this.#attachments.create(request);
    return { Interface: request.mac === "" ? { MacAddress: mac } : {} };
  }

  async join(request: Join): Promise<object> {
    const isFirst = !this.#isShared(request);
    const device = await this.#attachments.join(request);
    return {
      InterfaceName: { SrcName: device, DstPrefix: INTERFACE_PREFIX },
      ...(isFirst ? { StaticRoutes: [MULTICAST_ROUTE] } : {}),
    };
  }

  /** Whether another of our networks is in the container already. */
  #isShared({ sandboxKey, endpointId }: Join): boolean {
    return this.#ledger
      .endpoints()
      .some((held) => held.joined && held.sandboxKey === sandboxKey && held.id !== endpointId);
  }

  async leave(request: EndpointRef): Promise<object> {
    await this.#attachments.leave(request);
    return {};
  }

  async deleteEndpoint(request: EndpointRef): Promise<object> {
    await this.#attachments.remove(request);
    return {};
  }
}

function refuseForeign(data: IpamData): void {
  if (data.addressSpace === LOCAL_SPACE || data.addressSpace === GLOBAL_SPACE) return;
  throw new TsweaveError("CONFIG", "-d tsweave needs --ipam-driver tsweave", {
    hint:
      "Docker's own addresses would be the same on every host: add --ipam-driver tsweave and " +
      `--subnet, in a compose file ${COMPOSE_IPAM}`,
  });
}
