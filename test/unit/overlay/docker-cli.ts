/** The engine's side of the plugin protocol: what `docker network create`, `run`, `stop` cause. */
import { createHash } from "node:crypto";
import type { FakeContainer } from "../../lib/fake-engine.ts";
import { type Reply, World } from "./docker-world.ts";

/** A 64-digit id as the engine makes them. */
export function id(of: string): string {
  return createHash("sha256").update(of).digest("hex");
}

export interface RunOptions {
  readonly ip?: string;
  readonly mac?: string;
  readonly aliases?: readonly string[];
  readonly links?: readonly string[];
  /** Engine 28: the namespace exists at Join. */
  readonly sandboxAtJoin?: boolean;
}

export interface Running {
  readonly container: FakeContainer;
  readonly endpointId: string;
  readonly networkId: string;
  readonly ip: string;
  /** The answer to Join. */
  readonly join: Reply;
}

/** A test with a host of its own, and its engine. */
export function inWorld(
  test: (on: { readonly world: World; readonly cli: DockerCli }) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const world = await World.create();
    try {
      await test({ world, cli: new DockerCli(world) });
    } finally {
      await world.destroy();
    }
  };
}

/** What Docker says when a call fails. */
export class DockerError extends Error {}

export class DockerCli {
  readonly #world: World;
  #endpoints = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async networkCreate(
    name: string,
    subnet: string,
    options: { readonly internal?: boolean; readonly generic?: Record<string, string> } = {},
  ): Promise<string> {
    const networkId = id(`network ${name} ${this.#world.engine.nets.size}`);
    const space = { AddressSpace: "tsweave-local" };
    const pool = await this.#ok("IpamDriver.RequestPool", {
      ...space,
      Pool: subnet,
      SubPool: "",
      Options: {},
      V6: false,
    });
    const data = pool.Data as Record<string, string>;
    await this.#ok("NetworkDriver.CreateNetwork", {
      NetworkID: networkId,
      Options: {
        "com.docker.network.enable_ipv6": false,
        ...(options.internal === true ? { "com.docker.network.internal": true } : {}),
        "com.docker.network.generic": options.generic ?? {},
      },
      IPv4Data: [{ ...space, Pool: pool.Pool, Gateway: data["com.docker.network.gateway"] }],
      IPv6Data: [],
    });
    const internal = options.internal ?? false;
    this.#world.engine.addNetwork({ id: networkId, name, subnets: [subnet], internal });
    const attributes = { name, type: "tsweave" };
    this.#world.engine.emit({ type: "network", action: "create", id: networkId, attributes });
    await this.#world.idle();
    return networkId;
  }

  async networkRemove(networkId: string): Promise<void> {
    const [subnet = ""] = this.#world.engine.nets.get(networkId)?.subnets ?? [];
    const PoolID = `tsweave:${subnet}`;
    const Address = this.#world.addresses.opened.get(subnet)?.gateway;
    await this.#ok("IpamDriver.ReleaseAddress", { PoolID, Address });
    await this.#ok("IpamDriver.ReleasePool", { PoolID });
    await this.#ok("NetworkDriver.DeleteNetwork", { NetworkID: networkId });
    this.#world.engine.nets.delete(networkId);
  }

  /** `docker run`; throws DockerError after the calls that the engine makes to undo. */
  async run(name: string, networkId: string, options: RunOptions = {}): Promise<Running> {
    const containerId = id(`container ${name} ${this.#world.engine.containers.size}`);
    const container: FakeContainer = {
      id: containerId,
      name,
      running: true,
      started: false,
      hostname: containerId.slice(0, 12),
      sandboxKey: `/var/run/docker/netns/${containerId.slice(0, 12)}`,
      networks: [],
    };
    this.#world.engine.containers.set(containerId, container);
    try {
      return await this.connect(container, networkId, options);
    } catch (error) {
      this.#world.engine.containers.delete(containerId);
      throw error;
    } finally {
      this.#world.host.sandboxes.add(container.sandboxKey);
      container.started = true;
      await this.#world.idle();
    }
  }

  /** The endpoint of one network: part of `run`, or `docker network connect`. */
  async connect(
    container: FakeContainer,
    networkId: string,
    options: RunOptions = {},
  ): Promise<Running> {
    const { engine, host } = this.#world;
    const network = engine.nets.get(networkId);
    const PoolID = `tsweave:${network?.subnets[0] ?? ""}`;
    const asked = { PoolID, Address: options.ip ?? "", Options: null };
    const { Address } = (await this.#ok("IpamDriver.RequestAddress", asked)) as { Address: string };
    const ip = Address.split("/")[0] ?? "";
    const endpointId = id(`endpoint ${this.#endpoints++}`);
    const ref = { NetworkID: networkId, EndpointID: endpointId };
    try {
      await this.#ok("NetworkDriver.CreateEndpoint", {
        ...ref,
        Interface: { Address, AddressIPv6: "", MacAddress: options.mac ?? "" },
        Options: {},
      });
    } catch (error) {
      await this.#world.call("IpamDriver.ReleaseAddress", { PoolID, Address: ip });
      throw error;
    }
    const key = container.started ? container.id : `ep-${endpointId}`;
    const mac = options.mac ?? "";
    const seen = { endpointId, containerKey: key, containerName: container.name, ip, mac };
    engine.list(networkId, seen);
    if (options.sandboxAtJoin === true) host.sandboxes.add(container.sandboxKey);
    container.networks.push({
      networkId,
      networkName: network?.name ?? "",
      endpointId,
      names: options.aliases ?? [],
      links: options.links ?? [],
    });
    try {
      const SandboxKey = container.sandboxKey;
      const join = await this.#ok("NetworkDriver.Join", { ...ref, SandboxKey, Options: {} });
      await this.#ok("NetworkDriver.EndpointOperInfo", ref);
      engine.list(networkId, { ...seen, containerKey: container.id });
      return { container, endpointId, networkId, ip, join };
    } catch (error) {
      engine.unlist(networkId, endpointId);
      await this.#world.call("NetworkDriver.DeleteEndpoint", ref);
      await this.#world.call("IpamDriver.ReleaseAddress", { PoolID, Address: ip });
      throw error;
    }
  }

  /** Process exit, `stop` or `kill`. With the plugin down all three calls are lost. */
  async stop(running: Running): Promise<void> {
    const { networkId, endpointId, container, ip } = running;
    const { engine, host } = this.#world;
    const PoolID = `tsweave:${engine.nets.get(networkId)?.subnets[0] ?? ""}`;
    const ref = { NetworkID: networkId, EndpointID: endpointId };
    if (this.#world.plugin !== undefined) {
      await this.#ok("NetworkDriver.Leave", ref);
      await this.#ok("NetworkDriver.DeleteEndpoint", ref);
      await this.#ok("IpamDriver.ReleaseAddress", { PoolID, Address: ip });
    }
    engine.unlist(networkId, endpointId);
    container.networks = container.networks.filter((one) => one.endpointId !== endpointId);
    container.running = container.networks.length > 0;
    if (!container.running) host.sandboxes.delete(container.sandboxKey);
  }

  async rename(running: Running, name: string): Promise<void> {
    const { container, networkId, endpointId, ip } = running;
    const oldName = `/${container.name}`;
    container.name = name;
    const seen = { endpointId, containerKey: container.id, containerName: name, ip, mac: "" };
    this.#world.engine.list(networkId, seen);
    const attributes = { name, oldName };
    this.#world.engine.emit({ type: "container", action: "rename", id: container.id, attributes });
    await this.#world.idle();
  }

  async #ok(method: string, body: object): Promise<Reply> {
    const reply = await this.#world.call(method, body);
    const line = reply.Err ?? reply.Error;
    if (line !== undefined) throw new DockerError(line);
    return reply;
  }
}
