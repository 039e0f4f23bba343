/**
 * A host for the driver's tests: the real plugin server on a socket of its own, the real driver,
 * and fakes for all that lies behind it. `DockerCli` plays the engine's side: the call orders were
 * recorded from engines 20.10.24 and 28.5.2.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressWithin, formatAddress, parseCidr, usableOf } from "../../../ipalloc/index.ts";
import { TsweaveError } from "../../../mesh/index.ts";
import {
  type AddressBook,
  Docker,
  Ledger,
  type LocalEndpoint,
  type NamesRow,
  type Network,
  type Sandbox,
  type ServedPlugin,
  servePlugin,
} from "../../../overlay/index.ts";
import { FakeEngine } from "../../lib/fake-engine.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";

/** One host's addresses, given out in order. */
export class FakeAddresses implements AddressBook {
  readonly opened = new Map<string, { gateway: string; open: boolean }>();
  readonly held = new Map<string, string>();
  readonly reserved = new Set<string>();
  /** Addresses that another host has. */
  readonly foreign = new Set<string>();
  claims = 0;
  #next = 0n;

  async openPool(subnet: string, gateway?: string): Promise<{ gateway: string }> {
    const first = formatAddress(usableOf(parseCidr(subnet)).first, 32);
    const known = this.opened.get(subnet)?.gateway;
    const pool = { gateway: gateway ?? known ?? first, open: true };
    this.opened.set(subnet, pool);
    return pool;
  }

  async closePool(subnet: string): Promise<void> {
    const pool = this.opened.get(subnet);
    if (pool !== undefined) this.opened.set(subnet, { ...pool, open: false });
  }

  async allocate(
    subnet: string,
    key: string,
    { within }: { readonly within?: string | undefined },
  ): Promise<string> {
    const { first, last } = usableOf(parseCidr(within ?? subnet));
    for (let tries = 0; tries < 1000; tries++) {
      this.#next += 1n;
      const ip = formatAddress(first + (this.#next % (last - first + 1n)), 32);
      if (this.foreign.has(ip) || this.#taken(subnet, ip)) continue;
      return this.#hold(subnet, key, ip);
    }
    throw new TsweaveError("NO_ADDRESS", `no free address in ${subnet}`);
  }

  async claim(subnet: string, key: string, ip: string): Promise<void> {
    addressWithin(parseCidr(subnet), ip);
    this.claims += 1;
    if (this.foreign.has(ip)) throw new TsweaveError("ADDRESS_TAKEN", `${ip} is another's`);
    await this.adopt(subnet, key, ip);
  }

  async adopt(subnet: string, key: string, ip: string): Promise<void> {
    if (this.held.get(`${subnet} ${ip}`) === key) return;
    if (this.#taken(subnet, ip)) throw new TsweaveError("ADDRESS_TAKEN", `${ip} is taken`);
    this.#hold(subnet, key, ip);
  }

  pools(): string[] {
    return [...this.opened].flatMap(([subnet, { open }]) => (open ? [subnet] : []));
  }

  async reserve(subnet: string, ip: string): Promise<void> {
    this.reserved.add(`${subnet} ${ip}`);
  }

  async release(subnet: string, ip: string): Promise<void> {
    this.held.delete(`${subnet} ${ip}`);
    this.reserved.delete(`${subnet} ${ip}`);
  }

  leases(subnet: string): ReturnType<AddressBook["leases"]> {
    return [...this.held].flatMap(([where, key]) => {
      const [of, ip = ""] = where.split(" ");
      return of === subnet ? [{ ip, key, owned: !this.foreign.has(ip) }] : [];
    });
  }

  /** Every address held, sorted. */
  ips(): string[] {
    return [...this.held.keys()].map((where) => where.split(" ")[1] ?? "").sort();
  }

  #taken(subnet: string, ip: string): boolean {
    const where = `${subnet} ${ip}`;
    const gateway = this.opened.get(subnet)?.gateway === ip;
    return gateway || this.held.has(where) || this.reserved.has(where);
  }

  #hold(subnet: string, key: string, ip: string): string {
    this.held.set(`${subnet} ${ip}`, key);
    return ip;
  }
}

/** What the driver told the rest of the daemon. */
export class FakeHost {
  readonly plugged = new Map<string, LocalEndpoint>();
  readonly networks = new Map<string, Network>();
  readonly endpoints = new Map<string, LocalEndpoint>();
  readonly names = new Map<string, readonly string[]>();
  readonly nameRows = new Map<string, NamesRow>();
  readonly hooks = new Map<string, Sandbox>();
  readonly sandboxes = new Set<string>();
  readonly removedNetworks: string[] = [];
  /** What CreateNetwork and DeleteNetwork told the mesh: ids, and names. */
  readonly made: string[] = [];
  readonly removed: string[] = [];
  /** Networks made on the subnet of another, with that. */
  readonly followed: [string, string][] = [];
  /** How often it told that endpoints ended without a call. */
  freed = 0;
  /** What happened, in order, for assertions on order. */
  readonly order: string[] = [];
  refreshed = 0;
  plugFailure: Error | undefined;
  unplugFailure: Error | undefined;
  /** Why the driver asked for a full pass. */
  readonly requests: string[] = [];
  /** When set, attach waits for it. */
  hookGate: Promise<void> | undefined;

  readonly datapath = {
    plug: async (endpoint: LocalEndpoint) => {
      if (this.plugFailure !== undefined) throw this.plugFailure;
      this.plugged.set(endpoint.id, endpoint);
      this.order.push("plug");
    },
    unplug: async (id: string) => {
      this.order.push("unplug");
      if (this.unplugFailure !== undefined) throw this.unplugFailure;
      this.plugged.delete(id);
    },
    removeNetwork: async ({ id }: Pick<Network, "id">) => {
      this.removedNetworks.push(id);
    },
    request: (reason: string) => {
      this.requests.push(reason);
    },
  };

  readonly publisher = {
    network: (network: Network) => {
      this.networks.set(network.name, network);
    },
    networkGone: (name: string) => {
      this.networks.delete(name);
    },
    endpoint: (endpoint: LocalEndpoint) => {
      this.endpoints.set(endpoint.id, endpoint);
      this.order.push("publish");
    },
    endpointGone: (id: string) => {
      this.endpoints.delete(id);
      this.names.delete(id);
      this.order.push("withdraw");
    },
    names: (id: string, row: NamesRow) => {
      this.nameRows.set(id, row);
      this.names.set(id, row.names);
    },
    announce: async () => {
      this.order.push("announce");
      return { late: [] };
    },
  };

  readonly dns = {
    attach: async (sandbox: Sandbox) => {
      if (this.hookGate !== undefined) await this.hookGate;
      this.hooks.set(sandbox.endpointId, sandbox);
      this.order.push("hook");
    },
    detach: async (id: string) => {
      this.hooks.delete(id);
    },
    refresh: async () => {
      this.refreshed += 1;
    },
  };

  /** All names of this host, sorted. */
  allNames(): string[] {
    return [...new Set([...this.names.values()].flat())].sort();
  }
}

export const SUBNET = "10.32.0.0/12";

/** One host: driver, plugin socket and fakes; stop and start keep disk, engine, kernel. */
export class World {
  readonly clock = new VirtualClock();
  readonly log = new QuietLog();
  readonly store = new MemoryStore();
  readonly engine = new FakeEngine();
  readonly addresses = new FakeAddresses();
  readonly host = new FakeHost();
  readonly directory: string;
  docker: Docker | undefined;
  plugin: ServedPlugin | undefined;
  #seed = 1;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), "tsweave-docker-")));
    await world.start();
    return world;
  }

  async start(): Promise<void> {
    const { clock, log, engine, addresses, host } = this;
    const docker = new Docker(
      {
        ledger: await Ledger.open(this.store, log),
        engine,
        addresses,
        datapath: host.datapath,
        publisher: host.publisher,
        dns: host.dns,
        sandboxes: { exists: async (key) => host.sandboxes.has(key) },
        register: {
          made: (networkId) => host.made.push(networkId),
          removed: async ({ name }) => {
            host.removed.push(name);
          },
          follows: async (networkId, { id }) => {
            host.followed.push([networkId, id]);
          },
          freed: () => {
            host.freed += 1;
          },
        },
        plan: {
          place: ({ name, underlayMtuBytes }) => ({
            vni: name === "tsweave" ? 256 : 0x800000 + name.length,
            mtuBytes: (underlayMtuBytes === 0 ? 1500 : underlayMtuBytes) - 50,
          }),
        },
        clock,
        random: new SeededRandom(this.#seed++),
        log,
      },
      { defaultNetwork: { name: "tsweave", subnet: SUBNET } },
    );
    await this.pump(docker.start());
    this.docker = docker;
    this.plugin = await servePlugin(this.directory, docker, log);
  }

  /** The daemon goes, with its plugin socket. */
  async stop(): Promise<void> {
    const { plugin, docker } = this;
    this.plugin = undefined;
    this.docker = undefined;
    await plugin?.close();
    if (docker !== undefined) await this.pump(docker.stop());
  }

  async destroy(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Lets virtual time pass until `work` is done. */
  async pump<T>(work: Promise<T>): Promise<T> {
    let pending = true;
    const done = work.finally(() => {
      pending = false;
    });
    done.catch(() => undefined);
    while (pending) {
      this.clock.advance(1);
      await settle();
    }
    return await done;
  }

  /** One comparison with the engine. */
  async sync(): Promise<void> {
    if (this.docker !== undefined) await this.pump(this.docker.resync());
  }

  /** Lets background work end. */
  async idle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await settle();
  }

  /** One plugin call over the socket, as the engine makes it. */
  async call(method: string, body?: object): Promise<Reply> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const reply = await this.pump(post(join(this.directory, "tsweave.sock"), method, text));
    return JSON.parse(reply.text) as Reply;
  }

  /** The raw exchange: status, type and text. */
  async exchange(method: string, text: string): Promise<RawReply> {
    return await this.pump(post(join(this.directory, "tsweave.sock"), method, text));
  }
}

export type Reply = Record<string, unknown> & { readonly Err?: string; readonly Error?: string };

export interface RawReply {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function post(socketPath: string, method: string, text: string): Promise<RawReply> {
  return await new Promise((resolve, reject) => {
    const headers = { host: "", "content-length": Buffer.byteLength(text) };
    const call = request({ socketPath, path: `/${method}`, method: "POST", agent: false, headers });
    call.on("error", reject);
    call.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers["content-type"] ?? "",
          text: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    call.end(text);
  });
}
