/** Peers that meet: who differs is brought up to date at once, who does not costs nothing. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HostPort, MemberState, PeerMeta } from "../../../mesh/index.ts";
import { NATIVE_LAN } from "../../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../../mesh/membership/native/engine.ts";
import { MeshNode } from "../../../mesh/node.ts";
import { encodeTablesMessage, markOf } from "../../../mesh/tables/push.ts";
import { envelope, KINDS } from "../../../mesh/wire/envelope.ts";
import { FakeMembership } from "../../lib/fake-membership.ts";
import { MemoryNetwork } from "../../lib/memory-network.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

interface Peer {
  readonly meta: PeerMeta;
  readonly node: MeshNode;
  /** Present when the test gives the verdicts. */
  readonly told: FakeMembership | undefined;
}

class World {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom(11);
  readonly network = new MemoryNetwork(this.clock, this.random);
  readonly peers: Peer[] = [];
  readonly stores: MemoryStore[] = [];
  readonly #isNative: boolean;

  constructor(isNative = false) {
    this.#isNative = isNative;
    this.network.delayMsMin = 0.15;
    this.network.delayMsMax = 0.6;
    this.network.traceMax = 1e6;
  }

  /** Starts peer `index` with `rows` of its own. */
  async start(index: number, rows = 0, incarnation = 1): Promise<Peer> {
    const advertise = { host: `10.0.1.${index + 1}`, port: 6783 };
    const id = (0x1000_0001 * (index + 1)).toString(16).padStart(32, "0");
    const meta = { id, name: `h${index}`, incarnation, advertise };
    const { clock, random, network } = this;
    this.stores[index] ??= new MemoryStore();
    const ports = {
      datagrams: network.datagrams(advertise),
      streams: network.streams(advertise),
      ...{ clock, random, store: this.stores[index], log: new QuietLog() },
    };
    const told = this.#isNative ? undefined : new FakeMembership(meta);
    const node = await MeshNode.open(ports, { id, incarnation }, (datagrams) => {
      const options = { self: meta, targets: [], timing: NATIVE_LAN };
      return told ?? createNativeEngine({ ...ports, datagrams }, options);
    });
    for (let row = 0; row < rows; row += 1) node.tables.put("endpoints", `e${row}`, [row]);
    const peer = { meta, node, told };
    this.peers[index] = peer;
    await node.start();
    return peer;
  }

  at(index: number): Peer {
    const peer = this.peers[index];
    if (peer === undefined) throw new Error(`no peer ${index}`);
    return peer;
  }

  /** Every peer hears the same of every other, or of one. */
  tell(state: MemberState, about: readonly Peer[] = this.peers): void {
    for (const { told, meta } of this.peers) {
      for (const other of about) if (other.meta !== meta) told?.set(other.meta, state);
    }
  }

  get isEqual(): boolean {
    return new Set(this.peers.map(({ node }) => node.tables.digest())).size === 1;
  }

  get questions(): number {
    return this.network.trace.filter(({ kind }) => kind === "request").length;
  }

  /** Virtual ms until the tables of all are equal. */
  async untilEqual(limitMs: number): Promise<number> {
    const startMs = this.clock.nowMs();
    while (!this.isEqual && this.clock.nowMs() - startMs < limitMs) await this.clock.run(1);
    assert.ok(this.isEqual, `not equal after ${limitMs} ms`);
    return this.clock.nowMs() - startMs;
  }
}

describe("peers that meet", () => {
  it("ask nothing while nobody has written anything, and know that they are equal", async () => {
    const world = new World();
    for (let index = 0; index < 20; index += 1) await world.start(index);
    world.tell("alive");
    await world.clock.run(300);
    assert.equal(world.questions, 0);
    assert.ok(world.network.sentPackets <= 20 * 8, `${world.network.sentPackets} packets`);
    const tables = world.at(3).node.tables;
    assert.ok(world.peers.some(({ meta }) => tables.held(meta.id)?.incarnation === 1));
  });

  it("exchange what all have without asking all, a few at a time", async () => {
    const world = new World();
    for (let index = 0; index < 20; index += 1) await world.start(index, 5);
    world.tell("alive");
    const tookMs = await world.untilEqual(400);
    await world.clock.run(1000);
    assert.ok(world.questions < 20 * 20, `${world.questions} questions in ${tookMs} ms`);
    const asked = (host: string) =>
      world.network.trace.filter(({ kind, from }) => kind === "request" && from === host);
    for (const { meta } of world.peers) assert.ok(asked(meta.advertise.host).length < 60);
  });

  it("bring a peer that returns up to date at once, and hear what it has", async () => {
    const world = new World();
    for (let index = 0; index < 8; index += 1) await world.start(index, 2);
    world.tell("alive");
    await world.untilEqual(400);
    const hosts = world.peers.map(({ meta }) => meta.advertise.host);
    world.network.partition(hosts.slice(0, 1), hosts.slice(1));
    world.tell("dead", [world.at(0)]);
    for (const { meta } of world.peers.slice(1)) world.at(0).told?.set(meta, "dead");
    world.at(0).node.tables.put("names", "there", ["x"]);
    world.at(5).node.tables.put("names", "here", ["x"]);
    await world.clock.run(3000);
    assert.equal(world.isEqual, false);
    world.network.heal();
    world.tell("alive", [world.at(0)]);
    for (const { meta } of world.peers.slice(1)) world.at(0).told?.set(meta, "alive");
    await world.untilEqual(100);
  });

  it("bring a latecomer what it lacks once, whomever else it meets", async () => {
    const world = new World();
    for (let index = 0; index < 8; index += 1) await world.start(index, 500);
    world.tell("alive");
    await world.untilEqual(4000);
    await world.clock.run(2000);
    const before = world.network.trace.length;
    await world.start(8);
    world.tell("alive");
    await world.untilEqual(4000);
    await world.clock.run(2000);
    const large = world.network.trace.slice(before).filter(({ bytes }) => bytes.length > 20_000);
    assert.equal(large.length, 1, large.map(({ kind, bytes }) => `${kind} ${bytes.length}`).join());
  });

  it("count for an announcement only as far as they said, also after a quick restart", async () => {
    const world = new World();
    for (let index = 0; index < 3; index += 1) await world.start(index, 1);
    world.tell("alive");
    await world.untilEqual(400);
    const { tables } = world.at(0).node;
    await world.at(2).node.stop();
    await world.start(2, 1, 2);
    for (const { meta, told } of world.peers.slice(0, 2)) {
      world.at(2).told?.set(meta, "alive");
      told?.set(world.at(2).meta, "alive");
    }
    const announced = tables.announce(400);
    await world.clock.run(30);
    assert.deepEqual(await announced, { late: [] }, "nothing is on its way, so it is asked");
    assert.equal(world.isEqual, true);
    world.network.partition([world.at(0).meta.advertise.host], [world.at(2).meta.advertise.host]);
    const { told, meta } = world.at(2);
    world.at(0).told?.set(meta, "alive");
    const again = tables.announce(400);
    await world.clock.run(401);
    assert.deepEqual(await again, { late: [meta.id] });
    assert.ok(told);
  });
});

describe("a hash on probes", () => {
  it("repairs what pushes and their retries lost, without digests of its own", async () => {
    const world = new World(true);
    for (let index = 0; index < 6; index += 1) await world.start(index, 1);
    const [first, ...others] = world.peers;
    for (const { node } of others) node.join([first?.meta.advertise as HostPort]);
    await world.clock.run(4000);
    assert.ok(world.isEqual);
    const before = { questions: world.questions, sent: world.network.trace.length };
    await world.clock.run(20_000);
    assert.equal(world.questions, before.questions, "a quiet mesh asks nothing");
    const big = world.network.trace.slice(before.sent).filter(({ bytes }) => bytes.length > 40);
    assert.ok(big.length < 20, `${big.length} packets beside probes`);
    world.network.loss = 1;
    world.at(2).node.tables.put("names", "n", ["x"]);
    await world.clock.run(700);
    world.network.loss = 0;
    assert.equal(world.isEqual, false);
    await world.untilEqual(3000);
  });
});

describe("an acknowledgement", () => {
  it("that was diverted to another origin counts for nobody", async () => {
    const world = new World();
    for (let index = 0; index < 3; index += 1) await world.start(index, 1);
    world.tell("alive");
    await world.untilEqual(400);
    const [a, b, c] = [world.at(0), world.at(1), world.at(2)];
    world.network.partition([b.meta.advertise.host], [c.meta.advertise.host]);
    for (const { node } of [a, b]) node.tables.put("names", "n", ["x"]);
    const announced = b.node.tables.announce(400);
    await world.clock.run(5);
    world.network.heal();
    const inject = (origin: Peer): void => {
      const log = { origin: markOf(origin.meta.id), incarnation: 1, seq: 2 };
      const ack = encodeTablesMessage({ type: "ack", sender: c.meta.id, ...log });
      const packet = Buffer.concat([envelope(KINDS.tables), ack]);
      world.network.datagrams(c.meta.advertise).send(b.meta.advertise, packet);
    };
    inject(a);
    await world.clock.run(1);
    let isDone = false;
    void announced.then(() => {
      isDone = true;
    });
    await world.clock.run(1);
    assert.equal(isDone, false, "an ack of another log");
    inject(b);
    await world.clock.run(2);
    assert.deepEqual(await announced, { late: [] });
  });

  it("comes when what the rows cause is done", async () => {
    const world = new World();
    for (let index = 0; index < 2; index += 1) await world.start(index, 1);
    world.tell("alive");
    await world.untilEqual(400);
    await world.clock.run(100);
    const [a, b] = [world.at(0).node.tables, world.at(1).node.tables];
    const done: (() => void)[] = [];
    b.watch("endpoints", () => new Promise<void>((resolve) => done.push(resolve)));
    const announce = (deadlineMs: number): { isOver: boolean; late: number } => {
      const state = { isOver: false, late: 0 };
      void a.announce(deadlineMs).then(({ late }) => {
        state.isOver = true;
        state.late = late.length;
      });
      return state;
    };
    a.put("endpoints", "e9", [9]);
    const first = announce(400);
    await world.clock.run(35);
    assert.equal(first.isOver, false, "pushed again meanwhile, it is not done either");
    assert.equal(done.length, 1);
    done[0]?.();
    await world.clock.run(50);
    assert.deepEqual(first, { isOver: true, late: 0 });
    a.put("names", "n", ["x"]);
    const other = announce(400);
    await world.clock.run(5);
    assert.deepEqual(other, { isOver: true, late: 0 }, "what nobody works at is held at once");
  });
});
