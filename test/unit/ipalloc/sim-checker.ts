/**
 * The invariants of address ownership, looked at from outside: durable disks and running
 * containers, never the daemons' own opinion.
 *
 * I1 no address is leased or runs at two hosts. I2 no address is owned by two stores that each
 * durably believe it. I3 what a grant showed is on disk, and it was owned. I7 (generation, step)
 * never falls. After healing I4 one view, I5 each address has one owner, who is a member, I8 each
 * address has at most one user that does not know better.
 */
import assert from "node:assert/strict";
import type { Cidr } from "../../../ipalloc/cidr.ts";
import { type OwnerRecord, type Ownership, recordAt, sweep } from "../../../ipalloc/ownership.ts";
import { encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import { rosterKey } from "../../../ipalloc/roster.ts";
import type { State } from "../../../ipalloc/state.ts";
import { encodeWire } from "../../../mesh/index.ts";
import type { SimHost, SimMesh } from "./sim-mesh.ts";

/** The mesh that a host durably belongs to. */
export function meshOf({ disk }: SimHost): string | undefined {
  return disk.durable?.founding?.meshId;
}

/** Whether the roster that a host knows calls its store its own, or nobody's yet. */
export function isRightful({ disk, id }: SimHost): boolean {
  const { roster, store } = disk.durable ?? {};
  const entry = roster?.members.find((member) => member.store === store);
  return entry === undefined || entry.peer === id;
}

export class SimChecker {
  /** The first finding made while a disk was written. */
  failure: unknown;
  readonly #mesh: SimMesh;
  readonly #cidr: Cidr;
  readonly #strict: boolean;
  /** What each host's disk said when it was last looked at, by store. */
  readonly #seen = new Map<string, Ownership>();

  /** Not `strict`: the operator lies, so only what holds all the same is checked. */
  constructor(mesh: SimMesh, cidr: Cidr, strict = true) {
    this.#mesh = mesh;
    this.#cidr = cidr;
    this.#strict = strict;
    for (const host of mesh.hosts) this.watch(host);
  }

  /** Looks at each write to the disk of a host. */
  watch(host: SimHost): void {
    host.disk.onRecord = ({ kind }) => {
      if (kind !== "own" && kind !== "founding" && kind !== "roster") return;
      try {
        if (this.#strict) this.ownership(host);
      } catch (error) {
        this.failure ??= error;
      }
    };
  }

  /** I2 and I7, after each durable change of ownership: the lowest address that breaks one. */
  ownership(changed: SimHost): void {
    const twice = this.#ownedTwice(changed);
    const fallen = this.#fallen(changed);
    if (twice !== undefined && (fallen === undefined || twice <= fallen)) {
      const owners = this.#granting(changed).filter((host) => this.#ownsDurably(host, twice));
      assert.fail(`I2: ${twice} owned by ${owners.map(({ name }) => name)}`);
    }
    assert.ok(fallen === undefined, `I7: ${fallen} fell at ${changed.name}`);
  }

  /**
   * Hosts whose records may not overlap those of `changed`. Who is frozen grants nothing: it has
   * proposed to leave, and may be out already. Two meshes that have not become one own the same
   * addresses.
   */
  #granting(changed: SimHost): SimHost[] {
    const mesh = meshOf(changed);
    return this.#mesh.hosts.filter(
      (host) => this.#mayOwn(host) && !host.disk.durable?.isFrozen && meshOf(host) === mesh,
    );
  }

  #ownedTwice(changed: SimHost): bigint | undefined {
    const owned = this.#granting(changed).flatMap(({ disk }) =>
      this.#view(disk.durable).filter(({ owner }) => owner === disk.durable?.store),
    );
    owned.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
    let end = this.#cidr.start;
    for (const interval of owned) {
      if (interval.start < end) return interval.start;
      end = interval.end;
    }
    return undefined;
  }

  /** The lowest address whose record is below the one of the last look at this store's disk. */
  #fallen(changed: SimHost): bigint | undefined {
    const { durable } = changed.disk;
    const key = `${changed.index} ${durable?.store}`;
    const before = this.#seen.get(key) ?? [];
    const now = this.#view(durable);
    this.#seen.set(key, now);
    const lower = sweep(before, now, (old, present) =>
      old !== undefined && (present === undefined || rankOf(present) < rankOf(old))
        ? old
        : undefined,
    );
    return lower[0]?.start;
  }

  /** A disk that is set back by hand may fall. */
  forget(index: number): void {
    for (const key of [...this.#seen.keys()]) {
      if (key.startsWith(`${index} `)) this.#seen.delete(key);
    }
  }

  /** I1 and I3, at each step. */
  use(): void {
    if (!this.#strict) return;
    const users = new Set<string>();
    const leased = new Set<bigint>();
    for (const host of this.#mesh.hosts) {
      if (host.gone || host.copyOf !== undefined) continue;
      const pool = host.disk.durable?.pool(this.#cidr.text);
      for (const [address] of pool?.leases.entries() ?? []) {
        if (leased.has(address)) assert.fail(`I1: ${address} leased at ${host.name} too`);
        leased.add(address);
        if (host.inherited.has(address) || this.#ownsDurably(host, address)) continue;
        assert.fail(`I3: ${address} leased, not owned`);
      }
      for (const [ip, key] of host.running) {
        if (users.has(ip)) assert.fail(`I1: ${ip} runs at ${host.name} too`);
        users.add(ip);
        const address = this.#addressOf(ip);
        if (host.inherited.has(address) || pool?.leases.at(address)?.key === key) continue;
        assert.fail(`I3: ${ip} shown before it was durable`);
      }
    }
  }

  /**
   * I4 and I5, after healing and quiet: one view, and each address is its owner's.
   */
  converged(): void {
    const hosts = this.#mesh.hosts.filter(({ process }) => process !== undefined);
    const states = hosts.map(({ disk }) => disk.durable);
    const meshes = new Set(states.map((state) => state?.founding?.meshId));
    assert.equal(meshes.size, 1, "more than one mesh was founded");
    assert.ok(!meshes.has(undefined), "not founded after healing");
    const rosters = new Set(states.map((state) => state?.roster && rosterKey(state.roster)));
    assert.equal(rosters.size, 1, `I4: rosters differ after healing: ${[...rosters].join(" ")}`);
    for (const { name, disk } of hosts) {
      assert.ok(disk.durable?.isMember, `I5: ${name} is no member after healing`);
    }
    const stores = new Set(states.map((state) => state?.store));
    const listed = states[0]?.roster?.members.length;
    assert.equal(listed, stores.size, "I5: the roster names somebody who is gone");
    const views = new Set<string>();
    for (const host of hosts) {
      const ownership = host.disk.durable?.pool(this.#cidr.text)?.ownership ?? [];
      views.add(Buffer.from(encodeWire(encodeOwnership(ownership, 32))).toString("hex"));
    }
    assert.equal(views.size, 1, "I4: views differ after healing");
    for (let address = this.#cidr.start; address < this.#cidr.end; address++) {
      const owners = hosts.filter((host) => this.#ownsDurably(host, address));
      assert.equal(owners.length, 1, `I5: ${address} has ${owners.length} owners`);
      this.#oneUser(address, hosts);
    }
  }

  /** I8: of several users of an address all but one say that they should restart. */
  #oneUser(address: bigint, hosts: readonly SimHost[]): void {
    const users = hosts.filter(
      (host) => host.disk.durable?.pool(this.#cidr.text)?.leases.at(address) !== undefined,
    );
    const content = users.filter((host) => this.#ownsDurably(host, address));
    assert.ok(content.length <= 1, `I8: ${address} is used by ${content.map(({ name }) => name)}`);
    if (this.#strict) {
      assert.deepEqual(
        users.map(({ name }) => name),
        content.map(({ name }) => name),
        `I5: ${address} runs where it is not owned`,
      );
    }
  }

  #addressOf(ip: string): bigint {
    return this.#cidr.start + BigInt(ip.split(".").at(-1) ?? "");
  }

  #view(state: State | undefined): Ownership {
    return state?.pool(this.#cidr.text)?.ownership ?? [];
  }

  /** Whether what its disk says of its own store counts. */
  #mayOwn(host: SimHost): boolean {
    const { durable } = host.disk;
    if (durable === undefined || durable.retired || host.gone) return false;
    return !this.#mesh.hasCopies || isRightful(host);
  }

  #ownsDurably(host: SimHost, address: bigint): boolean {
    const { durable } = host.disk;
    return this.#mayOwn(host) && recordAt(this.#view(durable), address)?.owner === durable?.store;
  }
}

function rankOf({ generation, step }: OwnerRecord): number {
  return generation * 2 ** 20 + step;
}
