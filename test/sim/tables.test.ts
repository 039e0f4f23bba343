/**
 * Whole mesh nodes in virtual time: under loss, duplication, partitions and restarts the tables
 * of all peers end equal, and a partition on one side never removes what the other side owns.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PeerMeta } from "../../mesh/index.ts";
import { MeshNode } from "../../mesh/node.ts";
import { FakeMembership } from "../lib/fake-membership.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { MemoryStore } from "../lib/memory-store.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";

class World {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly nodes: { meta: PeerMeta; node: MeshNode; membership: FakeMembership }[] = [];
  readonly stores: MemoryStore[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
  }

  async add(index: number, incarnation: number, prepare?: (node: MeshNode) => void) {
    const host = `10.0.0.${index + 1}`;
    const id = index.toString(16).padStart(32, "0");
    const advertise = { host, port: 6783 };
    const meta: PeerMeta = { id, name: `h${index}`, incarnation, advertise };
    const membership = new FakeMembership(meta);
    this.stores[index] ??= new MemoryStore();
    const node = await MeshNode.open(
      {
        datagrams: this.network.datagrams(advertise),
        streams: this.network.streams(advertise),
        clock: this.clock,
        random: this.random,
        store: this.stores[index],
        log: new QuietLog(),
      },
      { id, incarnation },
      () => membership,
    );
    prepare?.(node);
    this.nodes[index] = { meta, node, membership };
    await node.start();
  }

  /** Every node outside the cuts sees every other alive, the rest dead. */
  judge(): void {
    for (const a of this.nodes) {
      for (const b of this.nodes) {
        if (a === b) continue;
        const cut = this.network.cuts.has(`${a.meta.advertise.host}>${b.meta.advertise.host}`);
        a.membership.set(b.meta, cut ? "dead" : "alive", this.clock.nowMs());
      }
    }
  }

  tablesOf(index: number): string[] {
    const rows = this.nodes[index]?.node.tables.rows("endpoints") ?? [];
    return rows.map((row) => `${row.origin}/${row.key}=${JSON.stringify(row.value)}`).sort();
  }

  assertEqual(message: string): void {
    for (let i = 1; i < this.nodes.length; i += 1) {
      assert.deepEqual(this.tablesOf(i), this.tablesOf(0), `${message}: node ${i}`);
    }
  }
}

/** What comes of `work` while half a second passes. */
async function together<T>(world: World, work: Promise<T>): Promise<T> {
  await world.clock.run(500);
  return await work;
}

describe("tables between peers", () => {
  it("delivers a row to everyone and announce resolves with nobody late", async () => {
    const world = new World(1);
    for (let i = 0; i < 5; i += 1) await world.add(i, 1);
    world.judge();
    await world.clock.run(50);
    world.nodes[0]?.node.tables.put("endpoints", "e1", ["10.32.0.2"]);
    const announced = world.nodes[0]?.node.tables.announce(400);
    await world.clock.run(20);
    assert.deepEqual(await announced, { late: [] });
    world.assertEqual("after announce");
    assert.equal(world.tablesOf(4).length, 1);
  });

  it("announce names who did not answer by the deadline", async () => {
    const world = new World(2);
    for (let i = 0; i < 3; i += 1) await world.add(i, 1);
    world.judge();
    await world.clock.run(50);
    world.network.partition(["10.0.0.1"], ["10.0.0.3"]);
    world.nodes[0]?.node.tables.put("endpoints", "e1", ["x"]);
    const announced = world.nodes[0]?.node.tables.announce(400);
    await world.clock.run(500);
    assert.deepEqual(await announced, { late: [world.nodes[2]?.meta.id] });
  });

  it("announce does not count what a peer acknowledged in its former life", async () => {
    const world = new World(4);
    for (let i = 0; i < 3; i += 1) await world.add(i, 1);
    world.judge();
    await world.clock.run(50);
    world.nodes[0]?.node.tables.put("endpoints", "e1", ["x"]);
    const [first] = world.nodes;
    const member = first?.membership.members().find(({ name }) => name === "h2");
    if (first === undefined || member === undefined) throw new Error("no members");
    assert.deepEqual(await together(world, first.node.tables.announce(400)), { late: [] });
    world.network.partition(["10.0.0.1"], ["10.0.0.3"]);
    first.node.tables.membershipChanged({ type: "updated", member });
    assert.deepEqual(await together(world, first.node.tables.announce(400)), { late: [member.id] });
  });

  it("carries a row too large for a datagram", async () => {
    const world = new World(3);
    for (let i = 0; i < 3; i += 1) await world.add(i, 1);
    world.judge();
    await world.clock.run(50);
    world.nodes[1]?.node.tables.put("endpoints", "big", ["x".repeat(20_000)]);
    await world.clock.run(200);
    world.assertEqual("large row");
    assert.equal(world.tablesOf(0).length, 1);
  });

  for (let seed = 1; seed <= 40; seed += 1) {
    it(`converges after faults, seed ${seed}`, async () => {
      const world = new World(seed);
      const count = 3 + world.random.below(4);
      for (let i = 0; i < count; i += 1) await world.add(i, 1);
      world.judge();
      world.network.loss = world.random.below(40) / 100;
      world.network.duplication = 0.1;
      for (let step = 0; step < 60; step += 1) {
        const index = world.random.below(count);
        const tables = world.nodes[index]?.node.tables;
        const key = `k${world.random.below(8)}`;
        if (world.random.chance(0.7)) tables?.put("endpoints", key, [step]);
        else tables?.remove("endpoints", key);
        if (world.random.chance(0.1)) {
          const hosts = world.nodes.map((entry) => entry.meta.advertise.host);
          const cut = 1 + world.random.below(count - 1);
          world.network.partition(hosts.slice(0, cut), hosts.slice(cut));
          world.judge();
        }
        if (world.random.chance(0.1)) {
          world.network.heal();
          world.judge();
        }
        await world.clock.run(world.random.below(100));
      }
      world.network.heal();
      world.network.loss = 0;
      world.judge();
      await world.clock.run(15_000);
      world.assertEqual(`seed ${seed}`);
    });
  }

  it("brings a restarted peer up to date and its rows never flap elsewhere", async () => {
    const world = new World(9);
    for (let i = 0; i < 3; i += 1) await world.add(i, 1);
    world.judge();
    world.nodes[2]?.node.tables.put("endpoints", "mine", ["v"]);
    world.nodes[0]?.node.tables.put("endpoints", "theirs", ["v"]);
    await world.clock.run(3000);
    const seen: unknown[] = [];
    world.nodes[0]?.node.tables.watch("endpoints", (changes) => seen.push(...changes));
    await world.nodes[2]?.node.stop();
    await world.add(2, 2, (node) => node.tables.put("endpoints", "mine", ["v"]));
    assert.equal(world.tablesOf(2).length, 2, "remembers what others said");
    world.judge();
    await world.clock.run(3000);
    world.assertEqual("after restart");
    assert.deepEqual(seen, []);
  });
});
