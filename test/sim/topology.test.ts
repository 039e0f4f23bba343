/**
 * Meshes whose peers do not all reach one another, and meshes over long distances, in virtual time
 * on the native engine.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type HostPort, type MembershipEngine, MeshNode, type PeerMeta } from "../../mesh/index.ts";
import { NATIVE_LAN, NATIVE_WAN, type NativeTiming } from "../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../mesh/membership/native/engine.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { MemoryStore } from "../lib/memory-store.ts";
import { multihomed, multihomedProbe } from "../lib/multihomed.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";

interface Peer {
  readonly meta: PeerMeta;
  readonly node: MeshNode;
  readonly engine: MembershipEngine;
}

class World {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly peers: Peer[] = [];
  readonly verdicts: string[] = [];
  readonly suspicions: string[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
  }

  /** A peer with an address on each of the given networks; the first one started is its target. */
  async add(networks: readonly string[], timing: NativeTiming = NATIVE_LAN): Promise<Peer> {
    const { clock, random, network } = this;
    const index = this.peers.length + 1;
    const hosts = networks.map((name) => `${name}.0.${index}`);
    const places = hosts.map((host): HostPort => ({ host, port: 6783 }));
    const [advertise] = places;
    assert.ok(advertise);
    const meta = { id: this.#id(), name: `p${index}`, incarnation: 1, advertise, hosts };
    const datagrams = multihomed(places.map((place) => network.datagrams(place)));
    const doors = places.map((local) => ({ local, streams: network.streams(local) }));
    const [door] = doors;
    assert.ok(door);
    for (const { streams } of doors.slice(1)) streams.onRequest(async (_from, frame) => frame);
    const log = new QuietLog();
    const ports = {
      datagrams,
      streams: door.streams,
      clock,
      random,
      store: new MemoryStore(),
      log,
    };
    const targets = this.peers.slice(0, 1).map((peer) => peer.meta.advertise);
    const engines: MembershipEngine[] = [];
    const node = await MeshNode.open(ports, { id: meta.id, incarnation: 1 }, (channel) => {
      const engine = createNativeEngine(
        { ...ports, datagrams: channel, streams: multihomedProbe(doors) },
        { self: meta, targets, timing },
      );
      engines.push(engine);
      return engine;
    });
    const [engine] = engines;
    assert.ok(engine);
    engine.onEvent(({ type, member }) => {
      if (type === "suspect") this.suspicions.push(`${meta.name} ${member.name}`);
      if (type !== "dead") return;
      this.verdicts.push(`${clock.nowMs()} ${meta.name} buries ${member.name}`);
    });
    const peer = { meta, node, engine };
    this.peers.push(peer);
    await node.start();
    return peer;
  }

  async until(what: string, limitMs: number, holds: () => boolean): Promise<number> {
    const startMs = this.clock.nowMs();
    while (!holds()) {
      assert.ok(this.clock.nowMs() - startMs <= limitMs, `${what}: not within ${limitMs} ms`);
      await this.clock.run(20);
    }
    return this.clock.nowMs() - startMs;
  }

  seesAll(): boolean {
    const alive = (peer: Peer) => peer.engine.members().filter(({ state }) => state === "alive");
    return this.peers.every((peer) => alive(peer).length === this.peers.length);
  }

  cut(a: Peer, b: Peer): void {
    this.network.partition(a.meta.hosts ?? [], b.meta.hosts ?? []);
  }

  async end(): Promise<void> {
    for (const { engine } of this.peers) await engine.stop();
  }

  #id(): string {
    return Buffer.from(this.random.bytes(16)).toString("hex");
  }
}

async function inWorld(seed: number, run: (world: World) => Promise<void>): Promise<void> {
  const world = new World(seed);
  try {
    await run(world);
  } finally {
    await world.end();
  }
}

const viewOf = (peer: Peer, other: Peer) =>
  peer.engine.members().find(({ id }) => id === other.meta.id);
const rowsAt = (peer: Peer, table: "names") => peer.node.tables.rows(table).length;

for (const size of [3, 8]) {
  test(`${size} peers, two of which never meet: one view, one state, the gap named`, async () => {
    await inWorld(size, async (world) => {
      for (let index = 0; index < size; index += 1) await world.add(["10.9"]);
      const [, a, b] = world.peers;
      assert.ok(a && b);
      await world.until("joined", 10_000, () => world.seesAll());
      await world.clock.run(20_000);
      world.cut(a, b);
      const isNamed = () =>
        [viewOf(a, b), viewOf(b, a)].every((seen) => seen?.path?.isDirect === false);
      const namedMs = await world.until("named", 120_000, isNamed);
      assert.ok(size > 3 || namedMs < 20_000, `${namedMs} ms`);

      a.node.tables.put("names", "from-a", ["net", "10.0.0.1", ["a"]]);
      const startMs = world.clock.nowMs();
      const announced = a.node.tables.announce(5000);
      await world.until("rows", 15_000, () =>
        world.peers.every((peer) => rowsAt(peer, "names") === 1),
      );
      const spreadMs = world.clock.nowMs() - startMs;
      assert.ok(spreadMs < 200, `${spreadMs} ms`);
      assert.deepEqual((await announced).late, [], "through others, and before the deadline");

      await world.clock.run(300_000);
      assert.ok(world.seesAll());
      assert.deepEqual([world.verdicts, world.suspicions], [[], []]);
      assert.ok(isNamed());
      world.network.heal();
      await world.until("direct", 60_000, () => viewOf(a, b)?.path?.isDirect === true);
      await world.until("back", 60_000, () => viewOf(b, a)?.path?.isDirect === true);
    });
  });
}

test("a wall that refuses connections buries nobody either", async () => {
  await inWorld(5, async (world) => {
    for (let index = 0; index < 4; index += 1) await world.add(["10.9"]);
    const [, a, b] = world.peers;
    assert.ok(a && b);
    await world.until("joined", 10_000, () => world.seesAll());
    world.network.refuse(a.meta.advertise.host, b.meta.advertise.host);
    await world.until("named", 120_000, () => viewOf(a, b)?.path?.isDirect === false);
    await world.until("explained", 60_000, () => viewOf(a, b)?.path?.why === "refused");
    await world.clock.run(120_000);
    assert.deepEqual(world.verdicts, []);
    assert.ok(world.seesAll());
  });
});

test("sites with private networks and one public network between them", async () => {
  await inWorld(6, async (world) => {
    // Two sites of three, each host with a private address first and a public one.
    for (const site of ["10.1", "10.1", "10.1", "10.2", "10.2", "10.2"]) {
      await world.add([site, "198.51"]);
    }
    const [first] = world.peers;
    assert.ok(first);
    for (const { engine } of world.peers.slice(3))
      engine.join([{ host: "198.51.0.1", port: 6783 }]);
    await world.until("joined", 20_000, () => world.seesAll());
    const wrong = () =>
      world.peers.flatMap((peer, at) =>
        world.peers
          .filter((other, index) => {
            if (other === peer) return false;
            const own = Math.floor(at / 3) === Math.floor(index / 3);
            const { host = "" } = viewOf(peer, other)?.advertise ?? {};
            return host.startsWith("198.51") === own;
          })
          .map((other) => `${peer.meta.name} ${other.meta.name}`),
      );
    await world.until("each by the nearest way", 60_000, () => wrong().length === 0);
    await world.clock.run(120_000);
    assert.deepEqual(wrong(), []);
    assert.deepEqual([world.verdicts, world.suspicions], [[], []]);
    first.node.tables.put("names", "n", ["net", "10.0.0.1", ["a"]]);
    const announced = first.node.tables.announce(1000);
    await world.clock.run(1000);
    assert.deepEqual((await announced).late, []);
  });
});

test("an address that fails is left, without a suspicion, and returned to", async () => {
  await inWorld(9, async (world) => {
    for (let index = 0; index < 5; index += 1) await world.add(["10.1", "10.2"]);
    const [a, ...others] = world.peers;
    assert.ok(a);
    await world.until("joined", 10_000, () => world.seesAll());
    await world.clock.run(30_000);
    const using = (network: string) =>
      others.every((peer) => {
        const there = viewOf(peer, a)?.advertise.host.startsWith(network);
        return there && viewOf(a, peer)?.advertise.host.startsWith(network);
      });
    assert.ok(using("10.1"));
    world.network.partition(
      [a.meta.advertise.host],
      others.map(({ meta }) => meta.advertise.host),
    );
    await world.until("the other one", 60_000, () => using("10.2"));
    await world.clock.run(60_000);
    world.network.heal();
    await world.until("the first again", 400_000, () => using("10.1"));
    assert.deepEqual([world.verdicts, world.suspicions], [[], []]);
  });
});

test("wan: 150 ms each way and 5 % loss for ten minutes bury nobody, a kill is known", async () => {
  await inWorld(7, async (world) => {
    world.network.delayMsMin = 145;
    world.network.delayMsMax = 155;
    for (let index = 0; index < 20; index += 1) await world.add(["10.9"], NATIVE_WAN);
    await world.until("joined", 60_000, () => world.seesAll());
    world.network.loss = 0.05;
    await world.clock.run(600_000);
    assert.deepEqual(world.verdicts, []);
    assert.ok(
      world.peers.every(({ engine }) => engine.members().every((m) => m.path?.isDirect !== false)),
    );
    await killed(world, 20_000);
  });
});

test("peers with both presets are one mesh", async () => {
  await inWorld(8, async (world) => {
    for (let index = 0; index < 12; index += 1) {
      await world.add(["10.9"], index % 2 === 0 ? NATIVE_LAN : NATIVE_WAN);
    }
    await world.until("joined", 30_000, () => world.seesAll());
    world.network.loss = 0.05;
    await world.clock.run(300_000);
    assert.deepEqual(world.verdicts, []);
    await killed(world, 20_000);
  });
});

/** Takes the last peer's host away; everybody must know within the time, and bury nobody else. */
async function killed(world: World, withinMs: number): Promise<void> {
  const victim = world.peers.pop();
  assert.ok(victim);
  await victim.engine.stop();
  world.network.partition(
    [victim.meta.advertise.host],
    world.peers.map(({ meta }) => meta.advertise.host),
  );
  const isKnown = () => world.peers.every((peer) => viewOf(peer, victim)?.state === "dead");
  await world.until("known", withinMs, isKnown);
  assert.equal(world.verdicts.length, world.peers.length);
}
