/**
 * Several hosts in one process and one virtual time: disks that survive crashes, tables and
 * questions over links with loss, delay and partitions. Checkers listen to the disks.
 */
import { IpAlloc } from "../../../ipalloc/index.ts";
import type { Member, PeerId } from "../../../mesh/index.ts";
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
}

const NO_FAULTS: SimFaults = { loss: 0, delayMsMax: 2, slowDisk: 0, lyingDisk: false };

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
  readonly id: PeerId;
  readonly name: string;
  readonly advertise: { host: string; port: number };
  readonly disk = new SimDisk();
  /** Containers by address: what runs whatever the daemon does. */
  readonly running = new Map<string, string>();
  declared: readonly number[] = [];
  epoch = 0;
  process: Process | undefined;

  constructor(index: number) {
    this.index = index;
    this.id = (index + 1).toString(16).padStart(32, "0");
    this.name = `h${index}`;
    this.advertise = { host: `10.9.0.${index + 1}`, port: 6783 };
  }
}

export class SimMesh {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly log = new QuietLog();
  readonly hosts: SimHost[];
  readonly faults: SimFaults;
  /** One-way cuts, `from>to` by index. */
  readonly cuts = new Set<string>();

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
    const rpc = new SimRpc(this, host);
    const process: Process = {
      alive: true,
      tables,
      rpc,
      members: [],
      ready: false,
      ipalloc: new IpAlloc(
        {
          clock: this.clock,
          random: this.random,
          store: new SimStore(this, host, () => host.process === process),
          log: this.log,
          tables,
          rpc,
          members: () => process.members,
        },
        {
          self: host.id,
          declared: host.declared.map((other) => this.host(other).advertise),
          advertise: host.advertise,
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
        return { id, name, incarnation, advertise, state, sinceMs: 0, rttMs: 1, self };
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
        for (const rows of a.known()) this.deliver(host, other, () => b.absorb(rows));
        for (const rows of b.known()) this.deliver(other, host, () => a.absorb(rows));
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
