/**
 * One seeded life of a mesh in which hosts die, lose disks, leave, come back and are forgotten.
 *
 * `honest`: the operator forgets only hosts that are gone for good; the strict invariants hold.
 * `lying`: live hosts are called gone, on both sides of cuts; nothing can prevent a duplicate then,
 * but everything comes to rest and each address has one rightful user.
 */
import assert from "node:assert/strict";
import { formatAddress, parseAddress } from "../../../ipalloc/address.ts";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import type { ForgetAssertion } from "../../../ipalloc/departures.ts";
import { encodeRecord } from "../../../ipalloc/journal.ts";
import { SimChecker } from "./sim-checker.ts";
import { type SimHost, SimMesh } from "./sim-mesh.ts";
import { SimWatch } from "./sim-watch.ts";

const POOL = parseCidr("10.40.0.0/27");
const STEPS = 45;

export type Mode = "honest" | "lying";

export interface DepartureTotals {
  granted: number;
  crashes: number;
  lostDisks: number;
  buried: number;
  forgotten: number;
  left: number;
  returned: number;
  rosters: number;
  taken: number;
  /** Lives that ended without a member. */
  extinct: number;
}

export class DepartureSchedule {
  readonly mesh: SimMesh;
  readonly totals: DepartureTotals = {
    granted: 0,
    crashes: 0,
    lostDisks: 0,
    buried: 0,
    forgotten: 0,
    left: 0,
    returned: 0,
    rosters: 0,
    taken: 0,
    extinct: 0,
  };
  readonly #mode: Mode;
  readonly #checker: SimChecker;
  readonly #watch: SimWatch;
  readonly #founders: number;
  #keys = 0;
  /** Somebody asked to be taken out of the roster. */
  #hasLeaver = false;

  constructor(seed: number, mode: Mode = "honest") {
    const count = 3 + (seed % 4);
    this.#mode = mode;
    this.mesh = new SimMesh(seed, count, {
      loss: seed % 4 === 0 ? 0.2 : 0.03,
      delayMsMax: seed % 5 === 0 ? 300 : 20,
      slowDisk: 0.2,
      echo: seed % 3 === 0 ? 0.3 : 0.02,
    });
    this.#founders = Math.max(1, count - 1 - (seed % 2));
    this.#checker = new SimChecker(this.mesh, POOL, mode === "honest");
    this.#watch = new SimWatch(this.mesh, this.#checker);
  }

  /** Throws what a checker found. */
  async run(): Promise<DepartureTotals> {
    const { random, hosts } = this.mesh;
    const founders = hosts.slice(0, this.#founders).map(({ index }) => index);
    for (const index of founders) {
      const others = founders.filter((other) => other !== index);
      await this.#launch(this.mesh.host(index), others);
    }
    await this.mesh.run(random.below(4000));
    for (let step = 0; step < STEPS; step++) {
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
    if (dice < 26) this.#allocate(host);
    else if (dice < 35) this.#claim(host);
    else if (dice < 38) await this.#plot();
    else if (dice < 48) this.#remove(host);
    else if (dice < 53) this.#crash(host);
    else if (dice < 66) await this.#start(host);
    else if (dice < 70) this.#partition();
    else if (dice < 72) this.mesh.cut(host.index, random.below(this.mesh.hosts.length));
    else if (dice < 78) this.mesh.heal();
    else if (dice < 82) this.#loseDisk(host);
    else if (dice < 85) this.#bury(host);
    else if (dice < 94) this.#forgetSome(host);
    else if (dice < 97) this.#leave(host);
    else host.wallOffsetMs += (random.below(3) - 1) * 3_600_000;
    if (random.chance(0.04)) await this.mesh.run(15_000);
    else await this.mesh.run(random.below(random.chance(0.4) ? 200 : 1500));
  }

  #partition(): void {
    const { random, hosts } = this.mesh;
    this.mesh.partition(hosts.map(({ index }) => index).filter(() => random.chance(0.4)));
  }

  /**
   * What a removal must see through: space that goes from hand to hand where nobody else hears of
   * it, with those hands dying, while the others call them gone.
   */
  async #plot(): Promise<void> {
    const { mesh } = this;
    let [giver, taker] = this.#twoUp();
    for (let hop = mesh.random.below(3); hop >= 0; hop--) {
      if (giver === undefined || taker === undefined) return;
      mesh.heal();
      if (mesh.random.chance(0.5)) await mesh.run(400);
      if (mesh.random.chance(0.6)) mesh.partition([giver.index, taker.index]);
      else if (mesh.random.chance(0.7)) mesh.cut(giver.index, taker.index);
      await mesh.run(mesh.random.below(250));
      for (let tries = 0; tries < 4; tries++) this.#claim(taker, giver);
      if (mesh.random.chance(0.3)) mesh.cut(giver.index, taker.index);
      await mesh.run(mesh.random.below(600));
      if (mesh.random.chance(0.7)) this.#bury(giver);
      else if (mesh.random.chance(0.5)) this.#loseDisk(giver);
      const next = this.#twoUp().find((host) => host !== taker);
      [giver, taker] = [taker, next];
    }
    if (giver === undefined) return;
    mesh.heal();
    if (mesh.random.chance(0.7)) mesh.partition([giver.index]);
    await mesh.run(mesh.random.below(800));
    for (const host of this.#twoUp()) this.#forgetSome(host);
    await mesh.run(mesh.random.below(4000));
  }

  #twoUp(): SimHost[] {
    const up = this.mesh.hosts.filter(isUp);
    const from = this.mesh.random.below(Math.max(1, up.length));
    return [...up.slice(from), ...up.slice(0, from)].slice(0, 2);
  }

  /** Starts what is down and not gone; who was never here joins by naming one peer. */
  async #start(host: SimHost): Promise<void> {
    if (host.process !== undefined || host.gone) return;
    const others = this.mesh.hosts.filter((other) => other.process !== undefined);
    if (host.epoch === 0 && others.length === 0) return;
    const named = others[this.mesh.random.below(others.length)]?.index;
    await this.#launch(host, host.declared.length > 0 || named === undefined ? undefined : [named]);
  }

  /**
   * As the daemon does: takes back leases whose containers are gone, and files what runs here
   * before anything is granted (R8).
   */
  async #launch(host: SimHost, declared?: readonly number[]): Promise<void> {
    await this.mesh.launch(host.index, declared);
    const { process } = host;
    if (process?.ready !== true) return;
    const { ipalloc } = process;
    const opened = ipalloc.openPool(POOL.text);
    this.#watch.follow(host, opened);
    await this.mesh.run(100);
    if (host.process !== process) return;
    const known = new Set(ipalloc.leases().map(({ ip }) => ip));
    for (const { ip, key, cidr } of ipalloc.leases()) {
      if (host.running.get(ip) !== key) this.#watch.follow(host, ipalloc.release(cidr, ip));
    }
    for (const [ip, key] of host.running) {
      if (!known.has(ip)) this.#watch.follow(host, ipalloc.adopt(POOL.text, key, ip));
    }
    await this.mesh.run(100);
  }

  #allocate(host: SimHost): void {
    const key = `c${this.#keys++}`;
    if (host.process?.ready !== true) return;
    const work = host.process.ipalloc.allocate(POOL.text, key);
    this.#watch.follow(host, work, (ip) => this.#started(host, ip, key));
  }

  /** Claims any address, or one of `owner`. */
  #claim(host: SimHost, owner?: SimHost): void {
    const key = `c${this.#keys++}`;
    const { durable } = owner?.disk ?? {};
    const ranges = durable?.pool(POOL.text)?.ownership.filter((one) => one.owner === durable.store);
    const range = ranges?.[this.mesh.random.below(ranges.length)] ?? POOL;
    const offset = this.mesh.random.below(Number(range.end - range.start));
    const wanted = formatAddress(range.start + BigInt(offset), 32);
    if (host.process?.ready !== true) return;
    const work = host.process.ipalloc.claim(POOL.text, key, wanted);
    this.#watch.follow(host, work, (ip) => this.#started(host, ip, key));
  }

  #started(host: SimHost, ip: string, key: string): void {
    this.totals.granted++;
    assert.ok(!host.running.has(ip), `${ip} granted while it runs`);
    host.running.set(ip, key);
    host.process?.tables.put("endpoints", ip, [ip]);
    this.#checker.use();
  }

  #remove(host: SimHost): void {
    const [ip] = host.running.keys();
    if (ip === undefined) return;
    host.running.delete(ip);
    host.process?.tables.remove("endpoints", ip);
    if (!host.process?.ready) return;
    this.#watch.follow(host, host.process.ipalloc.release(POOL.text, ip), () => {
      host.inherited.delete(parseAddress(ip).value);
    });
  }

  #crash(host: SimHost): void {
    if (host.process === undefined) return;
    this.totals.crashes++;
    this.mesh.crash(host.index);
  }

  /** Not while it could be the last that knows the mesh: then there is nothing to come back to. */
  #loseDisk(host: SimHost): void {
    if (host.gone || host.epoch === 0 || !this.#othersKnow(host)) return;
    this.totals.lostDisks++;
    this.mesh.loseDisk(host.index);
  }

  #bury(host: SimHost): void {
    if (host.gone || host.epoch === 0 || !this.#othersKnow(host)) return;
    this.totals.buried++;
    this.mesh.bury(host.index);
  }

  #othersKnow(host: SimHost): boolean {
    const founders = this.mesh.hosts.slice(0, this.#founders);
    const founded = ({ disk, gone }: SimHost) => gone || disk.durable?.founding !== undefined;
    if (!founders.every(founded)) return false;
    return this.mesh.hosts.some(
      (other) => other !== host && !other.gone && other.disk.durable?.isMember && isUp(other),
    );
  }

  #forgetSome(host: SimHost): void {
    const { random, hosts } = this.mesh;
    const others = hosts.filter((other) => other !== host && other.epoch > 0);
    const gone = others.filter((other) => other.gone);
    const honest = this.#mode === "honest";
    const named = honest
      ? gone
      : random.chance(0.5)
        ? gone
        : others.filter(() => random.chance(0.4));
    const strong = !honest && random.chance(0.4);
    if (named.length === 0) return;
    this.#forget(host, named, strong ? "gone-for-good-with-majority" : "gone-for-good");
    // Often somebody else says the same at the same time, perhaps on the other side of a cut.
    const second = this.mesh.host(random.below(hosts.length));
    if (random.chance(0.5) && !named.includes(second)) {
      const side = honest ? named : [host];
      this.#forget(second, side, strong ? "gone-for-good-with-majority" : "gone-for-good");
    }
  }

  #forget(host: SimHost, named: readonly SimHost[], assertion: ForgetAssertion): void {
    if (host.process?.ready !== true) return;
    const work = host.process.ipalloc.forget(
      named.map(({ id }) => id),
      assertion,
    );
    this.#watch.follow(host, work, ({ state }) => {
      if (state !== "pending") this.totals.forgotten++;
    });
  }

  /** Leaves and stops; the state is then deleted or kept. */
  #leave(host: SimHost): void {
    const { process } = host;
    if (process?.ready !== true || !this.#othersKnow(host)) return;
    this.#hasLeaver = true;
    for (const ip of host.running.keys()) process.tables.remove("endpoints", ip);
    const held = [...host.running.keys()];
    host.running.clear();
    const work = (async () => {
      for (const ip of held) {
        await process.ipalloc.release(POOL.text, ip);
        host.inherited.delete(parseAddress(ip).value);
      }
      return await process.ipalloc.leave();
    })();
    // A container is started at that very moment.
    this.#allocate(host);
    const wipe = this.mesh.random.chance(0.5);
    this.#watch.follow(host, work, ({ state }) => {
      if (state === "left") this.totals.left++;
      if (wipe && state === "left") this.mesh.loseDisk(host.index);
      else this.mesh.crash(host.index);
    });
  }

  #check(): void {
    this.#watch.check();
    const reborn = this.mesh.log.lines.filter(({ message }) => message.endsWith("begins anew"));
    this.totals.returned += reborn.length;
    this.mesh.log.lines.length = 0;
  }

  /** Faults end; every host that is not gone runs; the operator forgets what is gone. */
  async #heal(): Promise<void> {
    const { mesh } = this;
    Object.assign(mesh.faults, { loss: 0, slowDisk: 0, echo: 0, delayMsMax: 5 });
    mesh.heal();
    for (const host of mesh.hosts) await this.#start(host);
    await mesh.run(45_000);
    for (const host of mesh.hosts) if (host.gone) mesh.dropRows(host);
    for (let round = 0; round < 12; round++) {
      if (await this.#forgetLost()) break;
      await mesh.run(10_000);
    }
    await mesh.run(40_000);
    this.#check();
    if ((this.#mode === "lying" || this.#hasLeaver) && this.#isExtinct()) {
      this.totals.extinct++;
      return;
    }
    this.#checker.converged();
    this.#count();
    await this.#spaceForAll();
  }

  /**
   * Nobody is left who could admit: a host called all others gone, was believed, and died; or the
   * last member but one left, and in the same moment the last one died.
   */
  #isExtinct(): boolean {
    const live = this.mesh.hosts.filter(isUp);
    const stores = new Set(live.map(({ disk }) => disk.durable?.store));
    return live.every(({ disk }) =>
      disk.durable?.roster?.members.every(({ store }) => !stores.has(store)),
    );
  }

  /** Resolves with whether nothing was left to forget. */
  async #forgetLost(): Promise<boolean> {
    const live = this.mesh.hosts.filter(isUp);
    const stores = new Set(live.map(({ disk }) => disk.durable?.store));
    const member = live.find(({ disk }) => disk.durable?.isMember);
    const lost = member?.disk.durable?.roster?.members.filter(({ store }) => !stores.has(store));
    if (member?.process === undefined || lost === undefined || lost.length === 0) return true;
    const peers = lost.map(({ peer }) => peer);
    const { ipalloc } = member.process;
    const word = (assertion: ForgetAssertion) => ipalloc.forget(peers, assertion);
    const work = word("gone-for-good").catch((error: { code?: string }) => {
      if (error.code !== "NO_MAJORITY") throw error;
      return word("gone-for-good-with-majority");
    });
    this.#watch.follow(member, work);
    await this.mesh.run(6000);
    return false;
  }

  #count(): void {
    for (const { disk, process } of this.mesh.hosts) {
      const state = disk.durable;
      if (state === undefined) continue;
      this.totals.rosters = Math.max(this.totals.rosters, state.roster?.number ?? 0);
      const view = state.pool(POOL.text)?.ownership ?? [];
      if (process !== undefined) {
        this.totals.taken += view.filter(
          (one) => one.generation > 0 && one.by === state.store,
        ).length;
      }
      // The shortest journal says the same.
      for (const record of state.records({ nowMs: 0, wallMs: 0 })) encodeRecord(record);
    }
  }

  /** With half the pool unused, every host gets an address. */
  async #spaceForAll(): Promise<void> {
    const used = this.mesh.hosts.reduce((sum, { running }) => sum + running.size, 0);
    if (used > 12) return;
    const before = this.totals.granted;
    const live = this.mesh.hosts.filter(isUp);
    for (const host of live) this.#allocate(host);
    await this.mesh.run(6000);
    this.#check();
    assert.equal(this.totals.granted - before, live.length, "a host got no address after healing");
  }
}

function isUp(host: SimHost): boolean {
  return host.process?.ready === true;
}
