/**
 * Many mesh nodes in one process whose memberships never change: what the tables alone cost and
 * how fast they are, at sizes where every node knowing every other for itself would not fit.
 */
import type { Cancel, Member, Membership, PeerMeta, Target } from "../../mesh/index.ts";
import { MeshNode } from "../../mesh/node.ts";
import { Replica } from "../../mesh/tables/replica.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { MemoryStore } from "../lib/memory-store.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";

/** One-way delay of an ordinary LAN, in milliseconds. */
const LAN_DELAY_MS = { min: 0.15, max: 0.6 };

/** A Membership in which everyone is alive; the records are shared between nodes. */
class StillMembership implements Membership {
  readonly #all: readonly Member[];

  constructor(self: string, all: readonly Member[]) {
    this.#all = all.map((member) => (member.id === self ? { ...member, self: true } : member));
  }

  async start(): Promise<void> {}
  join(): void {}
  forget(): void {}
  async leave(): Promise<void> {}
  async stop(): Promise<void> {}
  members(): readonly Member[] {
    return this.#all;
  }
  member(id: string): Member | undefined {
    return this.#all.find((member) => member.id === id);
  }
  targets(): readonly Target[] {
    return [];
  }
  onEvent(): Cancel {
    return () => undefined;
  }
}

export class StillMesh {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly log = new QuietLog();
  readonly stores: MemoryStore[] = [];
  readonly nodes: MeshNode[] = [];
  readonly members: readonly Member[];

  constructor(seed: number, count: number) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
    this.network.delayMsMin = LAN_DELAY_MS.min;
    this.network.delayMsMax = LAN_DELAY_MS.max;
    this.members = Array.from({ length: count }, (_, index) => this.#member(index));
  }

  /** Opens every node, or those that `which` names, and starts them. */
  async open(which: readonly number[] = this.members.map((_, index) => index)): Promise<void> {
    for (const index of which) {
      const node = await this.make(index);
      await node.start();
    }
  }

  /** Every node knows of every other's log from a former life, as after a day together. */
  async acquaint(): Promise<void> {
    const all = new Replica("0".repeat(32), 1);
    for (const { id, incarnation } of this.members) {
      const empty = { from: 0, to: 0, floor: 0, whole: true, hollow: false, rows: [] };
      all.merge({ origin: id, incarnation, ...empty });
    }
    const dump = all.dump();
    for (const index of this.members.keys()) {
      const store = new MemoryStore();
      await store.save("tables", dump);
      this.stores[index] = store;
    }
  }

  /** A node that has not begun to talk. */
  async make(index: number): Promise<MeshNode> {
    const member = this.members[index];
    if (member === undefined) throw new Error(`no member ${index}`);
    const store = this.stores[index] ?? new MemoryStore();
    this.stores[index] = store;
    const { clock, random, log, network } = this;
    const datagrams = network.datagrams(member.advertise);
    const streams = network.streams(member.advertise);
    const node = await MeshNode.open(
      { datagrams, streams, clock, random, store, log },
      { id: member.id, incarnation: member.incarnation },
      () => new StillMembership(member.id, this.members),
    );
    this.nodes[index] = node;
    return node;
  }

  /** Bytes of all nodes' datagrams and streams so far. */
  bytes(): number {
    return this.members.reduce(
      (sum, { advertise }) => sum + this.network.bytesOf(advertise.host),
      0,
    );
  }

  #member(index: number): Member {
    const host = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
    const id = Buffer.from(this.random.bytes(16)).toString("hex");
    const meta: PeerMeta = {
      id,
      name: `h${index}`,
      incarnation: 1_800_000_000,
      advertise: { host, port: 6783 },
    };
    return { ...meta, state: "alive", sinceMs: 0, rttMs: 0.8, self: false };
  }
}
