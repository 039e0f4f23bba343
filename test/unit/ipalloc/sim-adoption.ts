/**
 * One seeded life of two meshes that meet and become one: each is founded alone, containers come
 * and go, an operator gives one of them up, and hosts crash and are cut off all the while.
 *
 * What must hold: within one mesh no address is given twice; every container keeps its address; in
 * the end there is one mesh, every address that only one host uses is that host's, and of two
 * users of one address at most one does not know that it has to go.
 */
import assert from "node:assert/strict";
import { parseAddress } from "../../../ipalloc/address.ts";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { recordAt } from "../../../ipalloc/ownership.ts";
import { meshOf, SimChecker } from "./sim-checker.ts";
import { type SimHost, SimMesh } from "./sim-mesh.ts";
import { SimWatch } from "./sim-watch.ts";

const POOL = parseCidr("10.40.0.0/26");
const STEPS = 40;

export interface AdoptionTotals {
  granted: number;
  crashes: number;
  given: number;
  twice: number;
  moved: number;
}

export class AdoptionSchedule {
  readonly mesh: SimMesh;
  readonly totals: AdoptionTotals = { granted: 0, crashes: 0, given: 0, twice: 0, moved: 0 };
  readonly #checker: SimChecker;
  readonly #watch: SimWatch;
  /** How many hosts, the first ones, are the one mesh. */
  readonly #first: number;
  /** The mesh in which `host ip` was given. */
  readonly #givenIn = new Map<string, string | undefined>();
  /** The mesh of the journal to which the lease of `host key` was first written. */
  readonly #leasedIn = new Map<string, string | undefined>();
  /** Which side is told to go; sometimes each is told to go to the other. */
  readonly #mutual: boolean;
  #keys = 0;

  constructor(seed: number) {
    const count = 2 + (seed % 4);
    this.mesh = new SimMesh(seed, count, {
      loss: seed % 4 === 0 ? 0.2 : 0.03,
      delayMsMax: seed % 5 === 0 ? 300 : 20,
      slowDisk: 0.2,
      echo: seed % 3 === 0 ? 0.3 : 0.02,
    });
    this.#first = 1 + (seed % (count - 1));
    this.#mutual = seed % 7 === 0;
    this.#checker = new SimChecker(this.mesh, POOL, false);
    this.#watch = new SimWatch(this.mesh, this.#checker);
    for (const host of this.mesh.hosts) this.#noteLeases(host);
  }

  #noteLeases(host: SimHost): void {
    const before = host.disk.onRecord;
    host.disk.onRecord = (record) => {
      before(record);
      const name = record.kind === "lease" ? `${host.name} ${record.key}` : "";
      if (name !== "" && !this.#leasedIn.has(name)) this.#leasedIn.set(name, meshOf(host));
    };
  }

  /** Throws what a checker found. */
  async run(): Promise<AdoptionTotals> {
    const { random } = this.mesh;
    await this.#found();
    for (let step = 0; step < 8; step++) await this.#step(false);
    this.mesh.heal();
    await this.mesh.run(random.below(4000));
    for (let step = 0; step < STEPS; step++) await this.#step(true);
    await this.#heal();
    return this.totals;
  }

  /** Two meshes that do not know one another yet. */
  async #found(): Promise<void> {
    const all = this.mesh.hosts.map(({ index }) => index);
    const one = all.slice(0, this.#first);
    this.mesh.partition(one);
    for (const side of [one, all.slice(this.#first)]) {
      for (const index of side) {
        await this.#launch(
          this.mesh.host(index),
          side.filter((other) => other !== index),
        );
      }
    }
    for (let tries = 0; tries < 30; tries++) {
      await this.mesh.run(1000);
      if (this.mesh.hosts.every((host) => meshOf(host) !== undefined)) return;
    }
    throw new Error("not founded");
  }

  async #step(together: boolean): Promise<void> {
    const { random, hosts } = this.mesh;
    const host = this.mesh.host(random.below(hosts.length));
    const dice = random.below(100);
    if (dice < 30) this.#allocate(host);
    else if (dice < 45) this.#claim(host);
    else if (dice < 55) this.#remove(host);
    else if (dice < 65) this.#crash(host);
    else if (dice < 80) await this.#start(host);
    else if (together && dice < 86) this.#giveUp(host);
    else if (together && dice < 90) this.#partition();
    else if (together && dice < 92) this.mesh.cut(host.index, random.below(hosts.length));
    else if (together && dice < 98) this.mesh.heal();
    else host.wallOffsetMs += (random.below(3) - 1) * 3_600_000;
    await this.mesh.run(random.below(random.chance(0.4) ? 100 : 1500));
    this.#check();
  }

  #partition(): void {
    const { random, hosts } = this.mesh;
    this.mesh.partition(hosts.map(({ index }) => index).filter(() => random.chance(0.4)));
  }

  /** The operator's word, at any host of the mesh that is to go, for any peer of the other. */
  #giveUp(host: SimHost): void {
    const { process } = host;
    const goes = host.index < this.#first || this.#mutual;
    if (process?.ready !== true || !goes) return;
    const others = this.mesh.hosts.filter((other) => meshOf(other) !== meshOf(host));
    const peer = others[this.mesh.random.below(others.length)];
    if (peer === undefined) return;
    this.totals.given++;
    const work = (async () => process.ipalloc.giveUp(peer.id))();
    this.#watch.follow(host, work);
    // Containers are started at that very moment, on any host.
    const { clock, hosts, random } = this.mesh;
    for (let n = 0; n < 6; n++) {
      const one = this.mesh.host(random.below(hosts.length));
      clock.timer("sim-allocate", random.below(150), () => this.#allocate(one));
    }
  }

  async #start(host: SimHost): Promise<void> {
    if (host.process === undefined) await this.#launch(host);
  }

  async #launch(host: SimHost, declared?: readonly number[]): Promise<void> {
    await this.mesh.launch(host.index, declared);
    const { process } = host;
    if (process?.ready !== true) return;
    const { ipalloc } = process;
    this.#watch.follow(host, ipalloc.openPool(POOL.text));
    for (const { ip, key, cidr } of ipalloc.leases()) {
      if (host.running.get(ip) !== key) this.#watch.follow(host, ipalloc.release(cidr, ip));
    }
    await this.mesh.run(100);
  }

  #allocate(host: SimHost): void {
    const key = `c${this.#keys++}`;
    if (host.process?.ready !== true) return;
    const work = host.process.ipalloc.allocate(POOL.text, key);
    this.#watch.follow(host, work, (ip) => this.#started(host, ip, key));
  }

  /** Few addresses, so that both meshes often have the same. */
  #claim(host: SimHost): void {
    const key = `c${this.#keys++}`;
    if (host.process?.ready !== true) return;
    const wanted = `10.40.0.${2 + this.mesh.random.below(20)}`;
    const work = host.process.ipalloc.claim(POOL.text, key, wanted);
    this.#watch.follow(host, work, (ip) => this.#started(host, ip, key));
  }

  #started(host: SimHost, ip: string, key: string): void {
    this.totals.granted++;
    assert.ok(!host.running.has(ip), `${ip} granted while it runs`);
    const mesh = this.#meshOfGrant(host, ip, key);
    for (const other of this.mesh.hosts) {
      const isTwice = other.running.has(ip) && this.#givenIn.get(`${other.name} ${ip}`) === mesh;
      assert.ok(!isTwice, `I1: ${ip} was given in one mesh to ${other.name} and ${host.name}`);
    }
    host.running.set(ip, key);
    this.#givenIn.set(`${host.name} ${ip}`, mesh);
    host.process?.tables.put("endpoints", ip, [ip]);
  }

  /**
   * Of an address that the host owns its mesh; of another that in which it was leased: the host may
   * have gone to the other mesh between the lease and its answer.
   */
  #meshOfGrant(host: SimHost, ip: string, key: string): string | undefined {
    const { durable } = host.disk;
    const view = durable?.pool(POOL.text)?.ownership ?? [];
    const isOwn = recordAt(view, parseAddress(ip).value)?.owner === durable?.store;
    return isOwn ? meshOf(host) : this.#leasedIn.get(`${host.name} ${key}`);
  }

  #remove(host: SimHost): void {
    const [ip] = host.running.keys();
    if (ip === undefined) return;
    host.running.delete(ip);
    host.process?.tables.remove("endpoints", ip);
    if (host.process?.ready) this.#watch.follow(host, host.process.ipalloc.release(POOL.text, ip));
  }

  #crash(host: SimHost): void {
    if (host.process === undefined) return;
    this.totals.crashes++;
    this.mesh.crash(host.index);
  }

  #check(): void {
    this.#watch.check();
    for (const host of this.mesh.hosts) this.#checker.ownership(host);
    for (const host of this.mesh.hosts) {
      const leases = host.disk.durable?.pool(POOL.text)?.leases;
      for (const [ip, key] of host.running) {
        const held = leases?.at(parseAddress(ip).value)?.key;
        assert.equal(held, key, `${ip} runs at ${host.name}, which forgot it`);
      }
    }
    const moved = "this host was adopted by another mesh";
    this.totals.moved += this.mesh.log.lines.filter(({ message }) => message === moved).length;
    this.mesh.log.lines.length = 0;
  }

  async #heal(): Promise<void> {
    const { mesh } = this;
    Object.assign(mesh.faults, { loss: 0, slowDisk: 0, echo: 0, delayMsMax: 5 });
    mesh.heal();
    for (const host of mesh.hosts) await this.#start(host);
    await mesh.run(30_000);
    this.#check();
    const meshes = new Set(mesh.hosts.map(meshOf));
    if (meshes.size > 1) {
      // No word has outlived the crashes, or none was given yet.
      this.#giveUp(mesh.host(0));
      await mesh.run(20_000);
    }
    await mesh.run(40_000);
    this.#check();
    this.#checker.converged();
    this.#settled();
  }

  /** Addresses that one host uses are its own; of others every user but the owner knows it. */
  #settled(): void {
    for (let address = POOL.start; address < POOL.end; address++) {
      const ip = `10.40.0.${address - POOL.start}`;
      const users = this.mesh.hosts.filter(({ running }) => running.has(ip));
      if (users.length > 1) this.totals.twice++;
      for (const host of users) {
        const { durable } = host.disk;
        const owner = recordAt(durable?.pool(POOL.text)?.ownership ?? [], address)?.owner;
        const isOwn = owner === durable?.store;
        if (users.length === 1) assert.ok(isOwn, `${ip} is used by ${host.name} alone`);
        const conflicts = host.process?.ipalloc.status().pools.flatMap((one) => one.conflicts);
        const isTold = conflicts?.some((one) => one.ip === ip) ?? false;
        assert.equal(isTold, !isOwn, `${ip} at ${host.name}: told ${isTold}, own ${isOwn}`);
      }
    }
  }
}
