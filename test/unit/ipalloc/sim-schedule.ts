/** One seeded life of a mesh: founding, containers, crashes, cuts, late joiners, healing. */
import assert from "node:assert/strict";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { decodeRecord } from "../../../ipalloc/journal.ts";
import { isRightful, SimChecker } from "./sim-checker.ts";
import { type SimFaults, type SimHost, SimMesh } from "./sim-mesh.ts";
import { SimWatch } from "./sim-watch.ts";

const POOL = parseCidr("10.40.0.0/26");
const STEPS = 50;

export interface Totals {
  granted: number;
  given: number;
  crashes: number;
  /** Copied or set back. */
  disks: number;
}

export interface Fate extends Partial<SimFaults> {
  /** The mutant whose disk returns to its founding at each restart. */
  readonly forgetful?: boolean;
  /** Journals are copied to new hosts. */
  readonly copies?: boolean;
  /**
   * Journals are set back to what they were. Until others show what was forgotten an address may be
   * given again, so that only what holds all the same is checked.
   */
  readonly setBacks?: boolean;
}

export class Schedule {
  readonly mesh: SimMesh;
  readonly totals: Totals = { granted: 0, given: 0, crashes: 0, disks: 0 };
  readonly #checker: SimChecker;
  readonly #watch: SimWatch;
  readonly #late: number;
  readonly #fate: Fate;
  #keys = 0;

  constructor(seed: number, fate: Fate = {}) {
    const { forgetful: _, copies: __, setBacks = false, ...faults } = fate;
    const count = 3 + (seed % 3);
    this.mesh = new SimMesh(seed, count, {
      loss: seed % 4 === 0 ? 0.3 : 0.05,
      delayMsMax: seed % 5 === 0 ? 400 : 20,
      slowDisk: 0.3,
      ...faults,
    });
    this.#late = count - 1;
    this.#fate = fate;
    this.#checker = new SimChecker(this.mesh, POOL, !setBacks);
    this.#watch = new SimWatch(this.mesh, this.#checker);
  }

  /** Throws what a checker found. */
  async run(): Promise<Totals> {
    const { random, hosts } = this.mesh;
    const founders = hosts.map(({ index }) => index).slice(0, this.#late);
    for (const index of founders) {
      await this.#launch(
        index,
        founders.filter((other) => other !== index),
      );
      await this.mesh.run(random.below(600));
    }
    for (let step = 0; step < STEPS; step++) {
      if (step === STEPS / 2) await this.#launch(this.#late, [random.below(this.#late)]);
      await this.#step();
      this.#check();
    }
    await this.#heal();
    return this.totals;
  }

  async #step(): Promise<void> {
    const { random } = this.mesh;
    const host = this.mesh.host(random.below(this.mesh.hosts.length));
    const dice = random.below(100);
    if (dice < 45) this.#allocate(host);
    else if (dice < 55) this.#claim(host);
    else if (dice < 70) this.#remove(host);
    else if (dice < 78) this.#crash(host);
    else if (dice < 86 && host.process === undefined && host.epoch > 0)
      await this.#launch(host.index);
    else if (dice < 91) this.mesh.partition([random.below(this.mesh.hosts.length)]);
    else if (dice < 94) this.mesh.cut(host.index, random.below(this.mesh.hosts.length));
    else if (dice < 98) this.mesh.heal();
    else await this.#disk(host);
    await this.mesh.run(random.chance(0.05) ? 15_000 : random.below(1200));
  }

  /** As the daemon does: opens the pool, then takes back leases whose containers are gone. */
  async #launch(index: number, declared?: readonly number[]): Promise<void> {
    const host = this.mesh.host(index);
    if (this.#fate.forgetful === true && declared === undefined) {
      const { records } = host.disk;
      host.disk.replace(records.slice(0, 1 + records.findIndex((r) => r.includes(0xa8))));
    }
    await this.mesh.launch(index, declared);
    const { process } = host;
    if (process?.ready !== true) return;
    for (const { ip, key, cidr } of process.ipalloc.leases()) {
      if (host.running.get(ip) !== key) this.#watch.follow(host, process.ipalloc.release(cidr, ip));
    }
    const opened = process.ipalloc.openPool(POOL.text);
    this.#watch.follow(host, opened);
    if (this.#fate.setBacks !== true) return;
    // What runs and was forgotten is filed before anything is granted.
    const known = new Set(process.ipalloc.leases().map(({ ip }) => ip));
    for (const [ip, key] of host.running) {
      if (known.has(ip)) continue;
      this.#watch.follow(
        host,
        opened.then(() => process.ipalloc.adopt(POOL.text, key, ip)),
      );
    }
    await this.mesh.run(200);
  }

  /** A disk is copied, or an older copy of it comes back. */
  async #disk(host: SimHost): Promise<void> {
    const { copies = false, setBacks = false } = this.#fate;
    const { records } = host.disk;
    const founded = records.findIndex((record) => decodeRecord(record).kind === "founding");
    if (founded < 0 || host.copyOf !== undefined || this.totals.disks === 3) return;
    if (copies) {
      this.totals.disks++;
      const copy = this.mesh.addCopy(host.index);
      this.#checker.watch(copy);
      await this.#launch(copy.index, [this.mesh.random.below(this.#late)]);
    } else if (setBacks) {
      this.totals.disks++;
      this.mesh.crash(host.index);
      this.#checker.forget(host.index);
      this.mesh.setBack(host.index, this.mesh.random.below(host.disk.records.length - founded));
      await this.#launch(host.index);
    }
  }

  #allocate(host: SimHost): void {
    const key = `c${this.#keys++}`;
    if (host.process?.ready !== true) return;
    const work = host.process.ipalloc.allocate(POOL.text, key);
    this.#watch.follow(host, work, (ip) => this.#started(host, ip, key));
  }

  #claim(host: SimHost): void {
    const key = `c${this.#keys++}`;
    const wanted = `10.40.0.${this.mesh.random.below(64)}`;
    if (host.process?.ready !== true) return;
    const work = host.process.ipalloc.claim(POOL.text, key, wanted);
    this.#watch.follow(host, work, (ip) => this.#started(host, ip, key));
  }

  #started(host: SimHost, ip: string, key: string): void {
    this.totals.granted++;
    assert.ok(!host.running.has(ip), `${ip} granted while it runs`);
    host.running.set(ip, key);
    this.#checker.use();
  }

  #remove(host: SimHost): void {
    const [ip] = host.running.keys();
    if (ip === undefined) return;
    host.running.delete(ip);
    if (host.process?.ready) this.#watch.follow(host, host.process.ipalloc.release(POOL.text, ip));
  }

  #crash(host: SimHost): void {
    if (host.process === undefined) return;
    this.totals.crashes++;
    this.mesh.crash(host.index);
  }

  #check(): void {
    for (const host of this.mesh.hosts) {
      const held = host.disk.durable?.pool(POOL.text)?.leases.count ?? 0;
      if (isRightful(host) && held <= host.running.size) host.copyOf = undefined;
    }
    this.#watch.check();
  }

  async #heal(): Promise<void> {
    this.mesh.faults.loss = 0;
    this.mesh.faults.slowDisk = this.mesh.faults.lyingDisk ? this.mesh.faults.slowDisk : 0;
    this.mesh.heal();
    for (const { process, index } of this.mesh.hosts) {
      if (process === undefined) await this.#launch(index);
    }
    await this.mesh.run(45_000);
    if (this.#fate.setBacks === true) await this.#vouch();
    this.#check();
    this.#checker.converged();
    for (const host of this.mesh.hosts) {
      const gifts = host.disk.durable?.pool(POOL.text)?.ownership ?? [];
      this.totals.given += gifts.filter(
        ({ step, by }) => step > 0 && by === host.disk.durable?.store,
      ).length;
    }
    await this.#spaceForAll();
  }

  /** Where a majority of the electors was set back, a person's word is needed. */
  async #vouch(): Promise<void> {
    const stores = new Set(this.mesh.hosts.map(({ disk }) => disk.durable?.store));
    const member = this.mesh.hosts.find(({ disk }) => disk.durable?.isMember);
    const { members = [] } = member?.disk.durable?.roster ?? {};
    const lost = members.filter(({ store }) => !stores.has(store)).map(({ peer }) => peer);
    if (member?.process === undefined || lost.length === 0) return;
    const word = member.process.ipalloc.forget(lost, "gone-for-good-with-majority");
    this.#watch.follow(member, word);
    await this.mesh.run(40_000);
  }

  /** With half the pool unused, every host gets an address. */
  async #spaceForAll(): Promise<void> {
    const used = this.mesh.hosts.reduce((sum, { running }) => sum + running.size, 0);
    if (used > 32) return;
    const before = this.totals.granted;
    for (const host of this.mesh.hosts) this.#allocate(host);
    await this.mesh.run(6000);
    this.#check();
    const hosts = this.mesh.hosts.length;
    assert.equal(this.totals.granted - before, hosts, "a host got no address after healing");
  }
}
