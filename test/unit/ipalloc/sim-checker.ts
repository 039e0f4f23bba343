/**
 * The invariants of address ownership, looked at from outside: durable disks and running
 * containers, never the daemons' own opinion.
 *
 * I1 no address is leased or runs at two hosts. I2 no address is owned by two stores that each
 * durably believe it. I3 what a grant showed is on disk. I7 (generation, step) never falls.
 */
import assert from "node:assert/strict";
import type { Cidr } from "../../../ipalloc/cidr.ts";
import { recordAt } from "../../../ipalloc/ownership.ts";
import { encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import { encodeWire } from "../../../mesh/index.ts";
import type { SimHost, SimMesh } from "./sim-mesh.ts";

export class SimChecker {
  /** The first finding made while a disk was written. */
  failure: unknown;
  readonly #mesh: SimMesh;
  readonly #cidr: Cidr;
  readonly #highest = new Map<string, number>();

  constructor(mesh: SimMesh, cidr: Cidr) {
    this.#mesh = mesh;
    this.#cidr = cidr;
    for (const host of mesh.hosts) {
      host.disk.onRecord = ({ kind }) => {
        if (kind !== "own" && kind !== "founding") return;
        try {
          this.ownership(host);
        } catch (error) {
          this.failure ??= error;
        }
      };
    }
  }

  /** I2 and I7, after each durable change of ownership. */
  ownership(changed: SimHost): void {
    for (let address = this.#cidr.start; address < this.#cidr.end; address++) {
      const owners = this.#mesh.hosts.filter((host) => this.#ownsDurably(host, address));
      assert.ok(owners.length <= 1, `I2: ${address} owned by ${owners.map(({ name }) => name)}`);
      const record = this.#durable(changed, address);
      const rank = record === undefined ? -1 : record.generation * 2 ** 20 + record.step;
      const key = `${changed.disk.durable?.store} ${address}`;
      assert.ok(rank >= (this.#highest.get(key) ?? -1), `I7: ${address} fell at ${changed.name}`);
      this.#highest.set(key, rank);
    }
  }

  /** I1 and I3, at each step. */
  use(): void {
    const users = new Map<string, string>();
    const leased = new Map<bigint, string>();
    for (const host of this.#mesh.hosts) {
      const pool = host.disk.durable?.pool(this.#cidr.text);
      for (const [address] of pool?.leases.entries() ?? []) {
        assert.equal(leased.get(address), undefined, `I1: ${address} leased at ${host.name} too`);
        leased.set(address, host.name);
        assert.ok(this.#ownsDurably(host, address), `I3: ${address} leased, not owned`);
      }
      for (const [ip, key] of host.running) {
        assert.equal(users.get(ip), undefined, `I1: ${ip} runs at ${host.name} too`);
        users.set(ip, host.name);
        const address = this.#cidr.start + BigInt(ip.split(".").at(-1) ?? "");
        assert.equal(pool?.leases.at(address)?.key, key, `I3: ${ip} shown before it was durable`);
      }
    }
  }

  /** I4 and I5, after healing and quiet: one view, and each address is its owner's. */
  converged(): void {
    const views = new Set<string>();
    for (const host of this.#mesh.hosts) {
      const ownership = host.disk.durable?.pool(this.#cidr.text)?.ownership ?? [];
      views.add(Buffer.from(encodeWire(encodeOwnership(ownership, 32))).toString("hex"));
    }
    assert.equal(views.size, 1, "I4: views differ after healing");
    const meshes = new Set(this.#mesh.hosts.map(({ disk }) => disk.durable?.founding?.meshId));
    assert.equal(meshes.size, 1, "more than one mesh was founded");
    assert.ok(!meshes.has(undefined), "not founded after healing");
    for (let address = this.#cidr.start; address < this.#cidr.end; address++) {
      const owners = this.#mesh.hosts.filter((host) => this.#ownsDurably(host, address));
      assert.equal(owners.length, 1, `I5: ${address} has ${owners.length} owners`);
    }
  }

  #durable(host: SimHost, address: bigint) {
    return recordAt(host.disk.durable?.pool(this.#cidr.text)?.ownership ?? [], address);
  }

  #ownsDurably(host: SimHost, address: bigint): boolean {
    const { durable } = host.disk;
    return durable !== undefined && this.#durable(host, address)?.owner === durable.store;
  }
}
