/** Whole peers on hosts in one process and one virtual time, and what can happen to them. */
import { LIMITS, type Log, type Member, TsweaveError } from "../../mesh/index.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";
import { SimHost } from "./sim-host.ts";
import { SimLinks } from "./sim-links.ts";
import { type PeerWorld, POOL, SimPeer } from "./sim-peer.ts";
import { SimVerdicts } from "./sim-verdicts.ts";
import { asViolation, Violation } from "./sim-violation.ts";

const FOLLOW_MS = 5;
const BURST_ROWS = 20;
const BURST_KEY_LENGTH = 120;
const NOTES_MAX = 200;
/** A peer that ran and could be reached for so long must not be declared dead any more. */
const WRONG_AFTER_MS = 5000;

/** What the world did or a checker found, for the picture of a failure. */
export interface Note {
  readonly atMs: number;
  readonly text: string;
}

export class SimWorld implements PeerWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly lines = new QuietLog();
  readonly log: Log = this.lines;
  readonly hosts: readonly SimHost[];
  readonly verdicts: SimVerdicts;
  readonly links: SimLinks;
  readonly notes: Note[] = [];
  /** The first finding made outside a step. */
  failure: { readonly violation: Violation; readonly atMs: number } | undefined;
  deaths = 0;
  wrongDeaths = 0;
  granted = 0;
  announced = 0;
  #keys = 0;

  readonly judged: boolean;

  constructor(seed: number, peers: number, judged: boolean) {
    this.judged = judged;
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
    this.hosts = Array.from({ length: Math.min(peers, LIMITS.peersMax) }, (_, i) => new SimHost(i));
    this.verdicts = new SimVerdicts(this, this.hosts);
    this.links = new SimLinks(this);
  }

  readonly found = (error: unknown): void => {
    this.failure ??= { violation: asViolation(error), atMs: this.clock.nowMs() };
  };

  /** A verdict of death is wrong about a life that goes on and could be reached all the time. */
  readonly died = (by: SimHost, member: Member): void => {
    this.deaths += 1;
    const of = this.hosts.find(({ peer }) => peer?.meta.id === member.id);
    if (of?.peer?.meta.incarnation !== member.incarnation) return;
    if (this.links.quietMs(by, of) < WRONG_AFTER_MS) return;
    this.wrongDeaths += 1;
    const text = `${by.name} declared ${of.name} dead (${member.evidence ?? "no evidence"})`;
    this.found(new Violation("alive", text, [by.name, of.name]));
  };

  /** Something was done to the mesh. */
  note(text: string): void {
    this.notes.push({ atMs: this.clock.nowMs(), text });
    if (this.notes.length > 2 * NOTES_MAX) this.notes.splice(0, NOTES_MAX);
  }

  pick(random: SeededRandom): SimHost {
    const host = this.hosts[random.below(this.hosts.length)];
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
    this.#changed();
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
    host.kept = [];
    host.running.clear();
    host.names.clear();
  }

  pause(host: SimHost): void {
    if (host.peer === undefined) return;
    this.network.paused.add(host.advertise.host);
    this.#changed();
  }

  resume(host: SimHost): void {
    if (!this.network.paused.has(host.advertise.host)) return;
    this.network.resume(host.advertise.host);
    host.clock?.resume();
    this.#changed();
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
    this.#changed();
  }

  cut(from: SimHost, to: SimHost): void {
    if (from === to) return;
    this.network.cuts.add(`${from.advertise.host}>${to.advertise.host}`);
    this.#changed();
  }

  heal(): void {
    this.network.heal();
    this.#changed();
  }

  #changed(): void {
    this.links.note();
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
        throw new Violation("address", `${ip} granted at ${host.name}, runs at ${other.name}`);
      this.granted += 1;
      host.running.set(ip, key);
      peer.put(ip, key);
      const told = peer.node.tables.announce(400);
      this.#watch(host, peer, told, ({ late }) => this.#announced(host, peer, ip, late));
      // A second change follows while the first may still be on its way.
      this.clock.timer("sim-follow", FOLLOW_MS, () => {
        if (host.peer === peer && host.ready) this.#name(host, "last");
      });
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
  rename(host: SimHost, random: SeededRandom): void {
    if (!host.ready) return;
    const key = `n${random.below(3)}`;
    if (random.chance(0.3)) {
      host.names.delete(key);
      host.peer?.node.tables.remove("names", key);
    } else {
      this.#name(host, key);
    }
  }

  #name(host: SimHost, key: string): void {
    host.names.set(key, this.#keys++);
    host.peer?.putName(key, host.names.get(key) ?? 0);
  }

  /** Many rows at once, more than one datagram holds, under keys that are long. */
  burst(host: SimHost): void {
    if (!host.ready) return;
    for (let at = 0; at < BURST_ROWS; at += 1) {
      this.#name(host, `b${at}`.padEnd(BURST_KEY_LENGTH, "-"));
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
      const text = `${host.name} counts ${other.meta.name} as having ${ip}: it has not`;
      throw new Violation("announced", text, [host.name, other.meta.name]);
    }
  }

  async #launch(host: SimHost): Promise<void> {
    const others = this.hosts.filter((one) => one !== host).map(({ advertise }) => advertise);
    const peer = await SimPeer.open(this, host, others);
    if (host.clock !== peer.clock) return;
    const held = new Set(peer.othersRows());
    const lost = host.kept.find((row) => !held.has(row));
    host.kept = [];
    if (lost !== undefined) {
      throw new Violation("kept", `${host.name} forgot ${lost}`, [host.name]);
    }
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
    const before = new Set(peer.othersRows());
    await peer.node.stop();
    if (host.peer !== peer) return;
    // What came while it stopped may have come too late.
    host.kept = peer.othersRows().filter((row) => before.has(row));
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
