/**
 * Hosts that share networks: real charters, decisions and makers, engines in memory, and tables
 * that reach whom a test lets them reach.
 */
import { TIMES, TsweaveError } from "../../../mesh/index.ts";
import type { NetworkSpec } from "../../../overlay/charter/charter.ts";
import { CharterBook } from "../../../overlay/charter/charter-book.ts";
import { NetworkMaker } from "../../../overlay/charter/network-maker.ts";
import type { DockerNetwork } from "../../../overlay/index.ts";
import { FakeEngine } from "../../lib/fake-engine.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { SimTables } from "../ipalloc/sim-tables.ts";

export function specWith(subnet: string, more: Partial<NetworkSpec> = {}): NetworkSpec {
  return {
    subnet,
    gateway: "",
    internal: false,
    underlayMtuBytes: 0,
    ipRange: "",
    auxiliary: [],
    labels: [],
    ...more,
  };
}

/** An engine that makes networks: the plugin hears of each, as from libnetwork. */
class MakingEngine extends FakeEngine {
  /** What the plugin does at CreateNetwork and at DeleteNetwork. */
  onMade: (network: DockerNetwork) => void = () => undefined;
  onRemoved: (network: DockerNetwork) => Promise<void> = async () => undefined;
  /** Between the two. */
  hidden: Promise<void> = Promise.resolve();
  /** Removals under a container. */
  refused = 0;
  #made = 0;
  readonly #host: string;

  constructor(host: string) {
    super();
    this.#host = host;
  }

  override async createNetwork(spec: Parameters<FakeEngine["createNetwork"]>[0]): Promise<string> {
    if (this.mode !== "up") throw new TsweaveError("DOCKER_UNREACHABLE", "connect ECONNREFUSED");
    if ([...this.nets.values()].some(({ name }) => name === spec.name)) {
      throw new TsweaveError("DOCKER_REFUSED", `network with name ${spec.name} already exists`);
    }
    this.#made += 1;
    const id = `${this.#host}-${this.#made}`.padEnd(64, "0");
    const { name, subnet, internal, options, gateway = "", ipRange = "" } = spec;
    const { auxiliary = [], labels = {} } = spec;
    const more = { options, gateway, ipRange, auxiliary, labels };
    this.addNetwork({ id, name, internal, subnets: [subnet], ...more });
    const made = this.nets.get(id);
    if (made !== undefined) this.onMade(made);
    this.emit({ type: "network", action: "create", id, attributes: { name, type: "tsweave" } });
    return id;
  }

  override async removeNetwork(id: string): Promise<void> {
    if (this.mode !== "up") throw new TsweaveError("DOCKER_UNREACHABLE", "connect ECONNREFUSED");
    const network = this.nets.get(id);
    if (network === undefined) return;
    if (network.endpoints.length > 0) {
      this.refused += 1;
      throw new TsweaveError("DOCKER_REFUSED", `network ${network.name} has active endpoints`);
    }
    // It is hidden before the driver hears of it; what that refuses the engine only logs.
    this.nets.delete(id);
    await this.hidden;
    await this.onRemoved(network).catch(() => undefined);
    this.emit({ type: "network", action: "destroy", id });
  }
}

/** One host: its disk and engine outlive its daemon. */
export class NetworkHost {
  readonly engine: MakingEngine;
  readonly id: string;
  book!: CharterBook;
  maker!: NetworkMaker;
  tables!: SimTables;
  up = false;
  readonly log = new QuietLog();
  readonly store = new MemoryStore();
  /** What the driver holds: id → name and subnet. */
  readonly held = new Map<string, string>();
  readonly #world: NetworkWorld;
  #epoch = 0;

  constructor(world: NetworkWorld, id: string) {
    this.#world = world;
    this.id = id;
    this.engine = new MakingEngine(id.slice(0, 1));
    this.engine.onMade = ({ id: made, name, subnets }) => {
      this.held.set(made, `${name} ${subnets[0]}`);
      this.maker.made(made);
    };
    this.engine.onRemoved = async (network) => {
      const [subnet = ""] = network.subnets;
      if (this.up) this.held.delete(network.id);
      const held = { ...network, subnet, vni: 1, gateway: "", mtuBytes: 1450 };
      if (this.up) await this.maker.removed(held);
    };
  }

  async start(): Promise<void> {
    const { clock } = this.#world;
    this.#epoch += 1;
    this.tables = new SimTables(this.id, this.#epoch, () => this.#world.spread());
    this.up = true;
    // The first comparison drops what the engine has not.
    for (const held of this.held.keys()) if (!this.engine.nets.has(held)) this.held.delete(held);
    const live = () => this.#world.reached(this).map(({ id }) => id);
    const ports = { store: this.store, tables: this.tables, clock, log: this.log, live };
    this.book = await CharterBook.open(ports, this.id);
    this.maker = new NetworkMaker(
      {
        book: this.book,
        engine: this.engine,
        clock,
        log: this.log,
        usersHere: (id) => this.usersOf(id),
        usersElsewhere: (name, subnet) => this.#world.users(name, subnet, this),
        isHeld: (name, subnet) => [...this.held.values()].includes(`${name} ${subnet}`),
        replan: async () => true,
      },
      { driver: "tsweave", defaultName: "tsweave" },
    );
    this.book.onChange = () => this.maker.request();
    this.maker.start();
    this.#world.spread();
  }

  /** The daemon ends at once; the engine goes on. */
  async stop(): Promise<void> {
    this.up = false;
    const ended = Promise.all([this.maker.stop(), this.book.stop()]);
    await this.#world.pump(ended);
  }

  /** `docker network create`. */
  async create(name: string, spec: NetworkSpec): Promise<void> {
    await this.maker.createHere(name, spec);
  }

  /** `docker network rm`; false when the engine has it no more or refuses. */
  async remove(name: string): Promise<boolean> {
    const found = [...this.engine.nets.values()].find((network) => network.name === name);
    if (found === undefined || found.endpoints.length > 0) return false;
    await this.engine.removeNetwork(found.id);
    return true;
  }

  /** The engine loses its networks; the driver finds out when comparisons agree. */
  lose(): void {
    this.engine.nets.clear();
    const gone = [...this.held.keys()];
    this.#world.clock.timer("comparison", TIMES.engineAbsentMs, () => {
      for (const id of gone) this.held.delete(id);
    });
  }

  /** `docker run --net name`. */
  run(container: string, name: string): boolean {
    const found = [...this.engine.nets.values()].find((network) => network.name === name);
    if (found === undefined) return false;
    const endpointId = `${this.id}-${container}`;
    const seen = { endpointId, containerKey: container, containerName: container };
    this.engine.list(found.id, { ...seen, ip: "10.0.0.1", mac: "" });
    return true;
  }

  /** The container ends. */
  end(container: string): void {
    for (const id of this.engine.nets.keys()) this.engine.unlist(id, `${this.id}-${container}`);
    this.engine.emit({ type: "network", action: "disconnect" });
  }

  usersOf(id: string): string[] {
    return this.engine.nets.get(id)?.endpoints.map(({ containerName }) => containerName) ?? [];
  }

  /** `name subnet` of every network of the engine, sorted. */
  networks(): string[] {
    return [...this.engine.nets.values()]
      .map(({ name, subnets }) => `${name} ${subnets[0]}`)
      .sort();
  }
}

export class NetworkWorld {
  readonly clock = new VirtualClock();
  readonly hosts: NetworkHost[];
  /** Groups of a partition by host; hosts of one group hear one another. */
  readonly #groups = new Map<NetworkHost, number>();

  private constructor(count: number) {
    this.hosts = Array.from({ length: count }, (_, at) => {
      return new NetworkHost(this, "abcdef".charAt(at).repeat(32));
    });
  }

  static async up(count: number): Promise<NetworkWorld> {
    const world = new NetworkWorld(count);
    for (const host of world.hosts) await host.start();
    await world.settle();
    return world;
  }

  host(at: number): NetworkHost {
    const found = this.hosts[at];
    if (found === undefined) throw new Error(`no host ${at}`);
    return found;
  }

  /** Splits the hosts; those not named are with group 0. */
  cut(groups: ReadonlyMap<number, number>): void {
    for (const [at, host] of this.hosts.entries()) this.#groups.set(host, groups.get(at) ?? 0);
    this.#membershipChanged();
  }

  heal(): void {
    this.#groups.clear();
    this.#membershipChanged();
  }

  reached(from: NetworkHost): NetworkHost[] {
    const group = (host: NetworkHost) => this.#groups.get(host) ?? 0;
    return this.hosts.filter((host) => host.up && group(host) === group(from));
  }

  /** What uses a network on other hosts, as far as the tables of a partition can tell. */
  users(name: string, subnet: string, except: NetworkHost): string[] {
    return this.reached(except)
      .filter((host) => host !== except)
      .flatMap((host) =>
        [...host.engine.nets.values()]
          .filter((network) => network.name === name && network.subnets[0] === subnet)
          .flatMap(({ endpoints }) => endpoints.map(({ containerName }) => containerName)),
      );
  }

  /** Rows go to everybody in reach. */
  spread(): void {
    for (const host of this.hosts.filter(({ up }) => up)) {
      for (const other of this.reached(host)) {
        if (other === host) continue;
        for (const rows of host.tables.newerThan(other.tables)) other.tables.absorb(rows);
      }
    }
  }

  /** Lets virtual time pass until nothing moves any more. */
  async settle(ms = 12_000): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.clock.advance(100);
      for (let turn = 0; turn < 3; turn++) await settle();
      this.spread();
    }
  }

  async pump<T>(work: Promise<T>): Promise<T> {
    let pending = true;
    const done = work.finally(() => {
      pending = false;
    });
    while (pending) {
      this.clock.advance(1);
      await settle();
    }
    return await done;
  }

  async down(): Promise<void> {
    for (const host of this.hosts) if (host.up) await host.stop();
  }

  #membershipChanged(): void {
    this.spread();
    for (const host of this.hosts) if (host.up) host.book.membershipChanged();
  }
}
