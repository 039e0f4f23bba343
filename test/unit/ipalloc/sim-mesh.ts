/**
 * Several hosts in one process and one virtual time: disks that survive crashes, tables and
 * questions over links with loss, delay and partitions. Checkers listen to the disks.
 */
import { parseAddress } from "../../../ipalloc/address.ts";
import { type InitMode, IpAlloc } from "../../../ipalloc/index.ts";
import type { HostPort, Member, PeerId } from "../../../mesh/index.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { SimDisk, SimStore } from "./sim-disk.ts";
import { SimRpc } from "./sim-rpc.ts";
import { type OriginRows, SimTables } from "./sim-tables.ts";

export interface SimFaults {
  /** Share of messages that are lost. */
  loss: number;
  delayMsMax: number;
  /** Share of appends that take time, so that a crash can fall before or after the write. */
  slowDisk: number;
  /** Mutant: appends answer at once and reach the disk later. */
  lyingDisk: boolean;
  /** Share of questions that arrive a second time, up to half a minute later. */
  echo: number;
}

const NO_FAULTS: SimFaults = { loss: 0, delayMsMax: 2, slowDisk: 0, lyingDisk: false, echo: 0 };

/** One start of one daemon; after a crash nothing of it acts any more. */
export interface Process {
  alive: boolean;
  readonly tables: SimTables;
  readonly rpc: SimRpc;
  readonly ipalloc: IpAlloc;
  members: readonly Member[];
  ready: boolean;
}

export class SimHost {
  readonly index: number;
  /** Another one after its state directory was lost. */
  id: PeerId;
  readonly name: string;
  readonly advertise: { host: string; port: number };
  /** Another address of the same host. */
  readonly second: string;
  readonly disk = new SimDisk();
  /** Its wall clock less the others'. */
  wallOffsetMs = 0;
  /** The store whose journal was copied here, as long as what it says is not this host's own. */
  copyOf: string | undefined;
  /** Never to come back, and its containers with it. */
  gone = false;
  /** Containers by address: what runs whatever the daemon does. */
  readonly running = new Map<string, string>();
  /** Addresses in use since before its present store: kept, perhaps not owned again yet. */
  readonly inherited = new Set<bigint>();
  declared: readonly number[] = [];
  /** `--ipalloc-init` of its next start. */
  init: InitMode = { kind: "consensus" };
  epoch = 0;
  process: Process | undefined;

  constructor(index: number, name = `h${index}`) {
    this.index = index;
    this.id = (index + 1).toString(16).padStart(32, "0");
    this.name = name;
    this.second = `10.8.0.${index + 1}`;
    this.advertise = { host: `10.9.0.${index + 1}`, port: 6783 };
  }
}

export class SimMesh {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly log = new QuietLog();
  readonly hosts: SimHost[];
  readonly faults: SimFaults;
  /** Some store may be on two disks. */
  hasCopies = false;
  /** One-way cuts, `from>to` by index. */
  readonly cuts = new Set<string>();
  /** By which address a host is named at the others' launch. */
  namedAs: (host: SimHost) => HostPort = (host) => host.advertise;

  constructor(seed: number, count: number, faults: Partial<SimFaults> = {}) {
    this.random = new SeededRandom(seed);
    this.hosts = Array.from({ length: count }, (_, index) => new SimHost(index));
    this.faults = { ...NO_FAULTS, ...faults };
    this.#everySecond();
  }

  host(index: number): SimHost {
    const host = this.hosts[index];
    if (host === undefined) throw new Error(`no host ${index}`);
    return host;
  }

  /** The daemon's addresses on a running host. */
  ipalloc(index: number): IpAlloc {
    const process = this.host(index).process;
    if (process === undefined) throw new Error(`host ${index} is down`);
    return process.ipalloc;
  }

  /** Starts the daemon of a host; `declared` are the hosts named at launch. */
  async launch(index: number, declared?: readonly number[]): Promise<void> {
    const host = this.host(index);
    if (declared !== undefined) host.declared = declared;
    host.epoch++;
    const tables = new SimTables(host.id, host.epoch, (origin) => this.#push(host, origin));
    for (const ip of host.running.keys()) tables.put("endpoints", ip, [ip]);
    const rpc = new SimRpc(this, host);
    const process: Process = {
      alive: true,
      tables,
      rpc,
      members: [],
      ready: false,
      ipalloc: new IpAlloc(
        {
          clock: {
            nowMs: () => this.clock.nowMs(),
            wallMs: () => this.clock.wallMs() + host.wallOffsetMs,
            timer: (name, delayMs, fire) => this.clock.timer(name, delayMs, fire),
          },
          random: this.random,
          addressesInUse: runningBy(tables),
          store: new SimStore(this, host, () => host.process === process),
          log: this.log,
          tables,
          rpc,
          members: () => process.members,
        },
        {
          self: host.id,
          declared: host.declared.map((other) => this.namedAs(this.host(other))),
          advertise: host.advertise,
          init: host.init,
          name: host.name,
        },
      ),
    };
    host.process = process;
    await this.#until(process.ipalloc.start());
    if (host.process === process) process.ready = true;
    this.topologyChanged();
  }

  /** kill -9: memory is gone, the disk stays, writes under way may or may not have reached it. */
  crash(index: number): void {
    const host = this.host(index);
    if (host.process === undefined) return;
    host.process.alive = false;
    host.process.ipalloc.stop();
    host.process = undefined;
    host.disk.crash(this.random);
    this.topologyChanged();
  }

  /** The disk is lost while the daemon is down; what runs goes on running. */
  loseDisk(index: number): void {
    this.crash(index);
    const { disk, running, inherited } = this.host(index);
    disk.replace([]);
    for (const ip of running.keys()) inherited.add(parseAddress(ip).value);
  }

  /** The identity goes with the disk. */
  newIdentity(index: number): void {
    const host = this.host(index);
    host.id = (index + 1 + 0x100 * (host.epoch + 1)).toString(16).padStart(32, "0");
  }

  /** One more host, told the same and by mistake named the same. */
  addTwin(index: number): SimHost {
    const host = this.host(index);
    const twin = new SimHost(this.hosts.length, host.name);
    twin.init = host.init;
    this.hosts.push(twin);
    return twin;
  }

  /** One more host, which begins with a copy of another's journal. */
  addCopy(index: number): SimHost {
    const { disk } = this.host(index);
    const copy = new SimHost(this.hosts.length);
    copy.disk.replace(disk.records);
    copy.copyOf = disk.durable?.store;
    this.hasCopies = true;
    this.hosts.push(copy);
    return copy;
  }

  /** The journal of a host that is down loses its last `count` records. */
  setBack(index: number, count: number): void {
    const { disk, running, inherited } = this.host(index);
    disk.replace(disk.records.slice(0, disk.records.length - count));
    for (const ip of running.keys()) inherited.add(parseAddress(ip).value);
  }

  /** A host that is never seen again. */
  bury(index: number): void {
    this.crash(index);
    const host = this.host(index);
    host.gone = true;
    host.running.clear();
  }

  /** As the retention of tables does in time: nobody holds the rows of this host any more. */
  dropRows(host: SimHost): void {
    for (const { process } of this.hosts) process?.tables.drop(host.id);
  }

  connected(from: SimHost, to: SimHost): boolean {
    return from === to || !this.cuts.has(`${from.index}>${to.index}`);
  }

  /** Splits hosts into two sides; a host not in `side` is on the other. */
  partition(side: readonly number[]): void {
    for (const a of this.hosts) {
      for (const b of this.hosts) {
        if (side.includes(a.index) !== side.includes(b.index)) this.cut(a.index, b.index);
      }
    }
    this.topologyChanged();
  }

  cut(from: number, to: number): void {
    this.cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.cuts.clear();
    this.topologyChanged();
  }

  /** Members notice a little later, each at its own time. */
  topologyChanged(): void {
    for (const host of this.hosts) {
      const { process } = host;
      if (process === undefined) continue;
      this.clock.timer("sim-members", this.random.below(200), () => {
        if (host.process === process) this.#notice(host, process);
      });
    }
  }

  /** Carries `act` over a link, or loses it. */
  deliver(from: SimHost, to: SimHost, act: () => void): void {
    if (!this.connected(from, to) || this.random.chance(this.faults.loss)) return;
    this.clock.timer("sim-message", this.random.below(this.faults.delayMsMax + 1), act);
  }

  /** Carries a question as deliver does, and perhaps once more much later. */
  ask(from: SimHost, to: SimHost, act: () => void): void {
    this.deliver(from, to, act);
    if (this.faults.echo === 0 || !this.random.chance(this.faults.echo)) return;
    this.clock.timer("sim-echo", this.random.below(30_000), act);
  }

  async run(ms: number): Promise<void> {
    await this.clock.run(ms);
    await settle();
  }

  #notice(host: SimHost, process: Process): void {
    process.members = this.hosts
      .filter((other) => other.epoch > 0)
      .map((other) => {
        const linked = this.connected(host, other) && this.connected(other, host);
        const state = other.process !== undefined && linked ? "alive" : "dead";
        const { id, name, epoch: incarnation, advertise } = other;
        const self = other === host;
        const hosts = [advertise.host, other.second];
        return { id, name, incarnation, advertise, hosts, state, sinceMs: 0, rttMs: 1, self };
      });
    if (process.ready) process.ipalloc.membershipChanged();
  }

  #push(host: SimHost, rows: OriginRows): void {
    for (const other of this.hosts) {
      if (other === host) continue;
      this.deliver(host, other, () => other.process?.tables.absorb(rows));
    }
  }

  /** Anti-entropy: each second every host exchanges all it knows with one other. */
  #everySecond(): void {
    this.clock.timer("sim-digest", 1000, () => {
      for (const host of this.hosts) {
        const other = this.hosts[this.random.below(this.hosts.length)];
        const [a, b] = [host.process?.tables, other?.process?.tables];
        if (a === undefined || b === undefined || other === undefined || other === host) continue;
        for (const rows of a.newerThan(b)) this.deliver(host, other, () => b.absorb(rows));
        for (const rows of b.newerThan(a)) this.deliver(other, host, () => a.absorb(rows));
      }
      this.#everySecond();
    });
  }

  /** Lets virtual time run until a promise is settled. */
  async #until(promise: Promise<void>): Promise<void> {
    let done = false;
    let failure: unknown;
    promise.then(
      () => {
        done = true;
      },
      (error: unknown) => {
        done = true;
        failure = error;
      },
    );
    for (let turns = 0; !done && turns < 100; turns++) await this.run(turns < 2 ? 0 : 5);
    if (failure !== undefined) throw failure;
  }
}

/** Which peer runs each address, by the endpoint rows. */
function runningBy(tables: SimTables): (cidr: string) => ReadonlyMap<bigint, PeerId> {
  let index = new Map<bigint, PeerId>();
  const read = () => {
    index = new Map(
      tables.rows("endpoints").map(({ key, origin }) => [parseAddress(key).value, origin]),
    );
  };
  tables.watch("endpoints", read);
  read();
  return () => index;
}
