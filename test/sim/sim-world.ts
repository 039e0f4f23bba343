/** Whole peers on hosts in one process and one virtual time, and what can happen to them. */
import { LIMITS, type Log, TsweaveError } from "../../mesh/index.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";
import { SimHost } from "./sim-host.ts";
import { type PeerWorld, POOL, SimPeer } from "./sim-peer.ts";
import { SimVerdicts } from "./sim-verdicts.ts";

export class SimWorld implements PeerWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly lines = new QuietLog();
  readonly log: Log = this.lines;
  readonly hosts: readonly SimHost[];
  readonly verdicts: SimVerdicts;
  /** The first finding made outside a step. */
  failure: unknown;
  granted = 0;
  announced = 0;
  #keys = 0;

  readonly native: boolean;

  constructor(seed: number, peers: number, native: boolean) {
    this.native = native;
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
    this.hosts = Array.from({ length: Math.min(peers, LIMITS.peersMax) }, (_, i) => new SimHost(i));
    this.verdicts = new SimVerdicts(this, this.hosts);
  }

  readonly found = (error: unknown): void => {
    this.failure ??= error;
  };

  any(): SimHost {
    const host = this.hosts[this.random.below(this.hosts.length)];
    if (host === undefined) throw new Error("a world without hosts");
    return host;
  }

  /** Starts a host's daemon; it is ready when its disk has answered. */
  launch(host: SimHost): void {
    if (host.peer !== undefined || host.busy) return;
    host.busy = true;
    this.#track(this.#launch(host));
  }

  /** kill -9: memory is gone, disk and containers stay. */
  async crash(host: SimHost): Promise<void> {
    const { peer } = host;
    host.clock?.kill();
    host.clock = undefined;
    host.peer = undefined;
    host.busy = false;
    if (peer !== undefined) peer.alive = false;
    this.network.detach(host.advertise);
    await host.disk.crash(this.random);
    this.verdicts.changed();
  }

  /** The daemon is told to stop, and comes back. */
  restart(host: SimHost): void {
    const { peer } = host;
    if (peer === undefined || !host.ready) return;
    host.busy = true;
    peer.ready = false;
    this.#track(this.#restart(host, peer));
  }

  /** The machine is made anew: other disk, no containers. */
  async loseDisk(host: SimHost): Promise<void> {
    await this.crash(host);
    host.disk.lose();
    host.running.clear();
    host.names.clear();
  }

  pause(host: SimHost): void {
    if (host.peer === undefined) return;
    this.network.paused.add(host.advertise.host);
    this.verdicts.changed();
  }

  resume(host: SimHost): void {
    if (!this.network.paused.has(host.advertise.host)) return;
    this.network.resume(host.advertise.host);
    host.clock?.resume();
    this.verdicts.changed();
  }

  jumpClock(host: SimHost, ms: number): void {
    host.wallOffsetMs += ms;
    if (host.clock !== undefined) host.clock.wallOffsetMs += ms;
  }

  partition(side: ReadonlySet<SimHost>): void {
    const name = (host: SimHost) => host.advertise.host;
    const left = this.hosts.filter((host) => side.has(host)).map(name);
    const right = this.hosts.filter((host) => !side.has(host)).map(name);
    this.network.partition(left, right);
    this.verdicts.changed();
  }

  cut(from: SimHost, to: SimHost): void {
    if (from === to) return;
    this.network.cuts.add(`${from.advertise.host}>${to.advertise.host}`);
    this.verdicts.changed();
  }

  heal(): void {
    this.network.heal();
    this.verdicts.changed();
  }

  /** A container starts: an address, a row, an announcement. */
  startContainer(host: SimHost): void {
    const { peer } = host;
    if (peer === undefined || !host.ready) return;
    const key = `c${this.#keys++}`;
    this.#watch(host, peer, peer.ipalloc.allocate(POOL, key), (ip) => {
      const other = this.hosts.find(({ running }) => running.has(ip));
      if (other !== undefined)
        throw new Error(`${ip} granted at ${host.name}, runs at ${other.name}`);
      this.granted += 1;
      host.running.set(ip, key);
      peer.put(ip, key);
      const told = peer.node.tables.announce(400);
      this.#watch(host, peer, told, ({ late }) => this.#announced(host, peer, ip, late));
    });
  }

  stopContainer(host: SimHost): void {
    const [ip] = [...host.running.keys()];
    const { peer } = host;
    if (ip === undefined || (peer !== undefined && !host.ready)) return;
    host.running.delete(ip);
    if (peer === undefined) return;
    peer.node.tables.remove("endpoints", ip);
    this.#watch(host, peer, peer.ipalloc.release(POOL, ip), () => undefined);
  }

  /** A row changes in place or goes. */
  rename(host: SimHost): void {
    if (!host.ready) return;
    const key = `n${this.random.below(3)}`;
    if (this.random.chance(0.3)) {
      host.names.delete(key);
      host.peer?.node.tables.remove("names", key);
    } else {
      host.names.set(key, this.#keys++);
      host.peer?.putName(key, host.names.get(key) ?? 0);
    }
  }

  /** Who counts as reached has the row. */
  #announced(host: SimHost, peer: SimPeer, ip: string, late: readonly string[]): void {
    const key = host.running.get(ip);
    if (key === undefined) return;
    this.announced += 1;
    for (const member of peer.membership.members()) {
      if (member.self || member.state !== "alive" || late.includes(member.id)) continue;
      // Who appeared at this very moment was not waited for.
      if (member.sinceMs === this.clock.nowMs()) continue;
      const other = this.hosts.find((one) => one.peer?.meta.id === member.id)?.peer;
      if (other?.ready !== true || other.meta.incarnation !== member.incarnation) continue;
      if (other.rowOf(peer.meta.id, ip) === key) continue;
      throw new Error(`${host.name} counts ${other.meta.name} as having ${ip}: it has not`);
    }
  }

  async #launch(host: SimHost): Promise<void> {
    const others = this.hosts.filter((one) => one !== host).map(({ advertise }) => advertise);
    const peer = await SimPeer.open(this, host, others);
    if (host.clock !== peer.clock) return;
    host.peer = peer;
    await peer.start(host);
    host.busy = false;
    this.verdicts.born(host, peer);
    for (const { ip, key, cidr } of peer.ipalloc.leases()) {
      if (host.running.get(ip) === key) continue;
      this.#watch(host, peer, peer.ipalloc.release(cidr, ip), () => undefined);
    }
    this.#watch(host, peer, peer.ipalloc.openPool(POOL), () => undefined);
  }

  async #restart(host: SimHost, peer: SimPeer): Promise<void> {
    peer.ipalloc.stop();
    peer.presence.stop();
    await peer.node.stop();
    if (host.peer !== peer) return;
    this.verdicts.left(peer);
    await this.crash(host);
    // A process takes a moment to start; its predecessor's last packets arrive before.
    this.clock.timer("sim-launch", 100 + this.random.below(400), () => this.launch(host));
  }

  /** Refusals are fine; a result counts only while its daemon lives; what checkers find is kept. */
  #watch<T>(host: SimHost, peer: SimPeer, work: Promise<T>, then: (value: T) => void): void {
    const checked = work.then((value) => {
      if (host.peer === peer && peer.alive) then(value);
    });
    this.#track(checked);
  }

  #track(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof TsweaveError)) this.found(error);
    });
  }
}
