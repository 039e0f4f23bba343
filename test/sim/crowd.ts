/**
 * Whole mesh nodes with the native engine, hundreds of them in one process and virtual time: what a
 * large mesh costs and how fast it is. Nothing is shared between peers and nothing left out but
 * joining one after the other: each is handed the list of all, as anti-entropy would.
 */
import type { PeerMeta } from "../../mesh/index.ts";
import { NATIVE_LAN } from "../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../mesh/membership/native/engine.ts";
import { encodeMessage, encodePackets } from "../../mesh/membership/packet.ts";
import type { PeerRecord } from "../../mesh/membership/record.ts";
import { MeshNode } from "../../mesh/node.ts";
import { envelope, KINDS } from "../../mesh/wire/envelope.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { MemoryStore } from "../lib/memory-store.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";

/** One-way delay of an ordinary LAN, in milliseconds. */
const LAN_DELAY_MS = { min: 0.15, max: 0.6 };

export interface CrowdPeer {
  readonly meta: PeerMeta;
  readonly node: MeshNode;
  readonly record: PeerRecord;
}

export class Crowd {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly peers: CrowdPeer[] = [];
  /** Verdicts of death: about whom, and when. */
  readonly deaths: { readonly id: string; readonly atMs: number }[] = [];
  suspicions = 0;
  readonly #silent = new Set<string>();
  readonly #log = new QuietLog();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
    this.network.delayMsMin = LAN_DELAY_MS.min;
    this.network.delayMsMax = LAN_DELAY_MS.max;
  }

  /** Starts `count` peers; resolves when all see all and hold the same logs. */
  async open(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) await this.#start(index);
    const words = this.peers.map(({ record }) => encodeMessage({ type: "update", record }));
    for (const [index, peer] of this.peers.entries()) this.#introduce(peer, index, words);
    await this.#until(() => this.isWhole());
  }

  /** Every peer sees every peer alive, and all hold the same. */
  isWhole(): boolean {
    const digests = new Set(this.peers.map(({ node }) => node.tables.digest()));
    if (digests.size > 1) return false;
    return this.peers.every(({ node }) => {
      const alive = node.membership.members().filter(({ state }) => state === "alive");
      return alive.length === this.peers.length;
    });
  }

  /** All bytes sent so far, with IPv4 and UDP headers. */
  bytes(): number {
    return this.peers.reduce((sum, { meta }) => sum + this.network.bytesOf(meta.advertise.host), 0);
  }

  /**
   * A host goes silent. The delays after which the others declared it dead, shortest first; fewer
   * than there are others when some did not within `waitMs`.
   */
  async silence(waitMs: number): Promise<number[]> {
    const [victim] = this.peers.splice(1 + this.random.below(this.peers.length - 1), 1);
    if (victim === undefined) return [];
    await this.clock.run(this.random.below(1000));
    const [startMs, known] = [this.clock.nowMs(), this.deaths.length];
    const { host } = victim.meta.advertise;
    this.#silent.add(victim.meta.id);
    this.network.paused.add(host);
    for (const { meta } of this.peers) this.network.cuts.add(`${host}>${meta.advertise.host}`);
    await this.clock.run(waitMs);
    const verdicts = this.deaths.slice(known).filter(({ id }) => id === victim.meta.id);
    return verdicts.map(({ atMs }) => atMs - startMs).sort((a, b) => a - b);
  }

  async #start(index: number): Promise<void> {
    const advertise = { host: `10.20.${index >> 8}.${index & 255}`, port: 6783 };
    const id = Buffer.from(this.random.bytes(16)).toString("hex");
    const meta: PeerMeta = { id, name: `peer-${index}`, incarnation: 1_700_000_000, advertise };
    const seed = this.random.u32();
    const ports = {
      datagrams: this.network.datagrams(advertise),
      streams: this.network.streams(advertise),
      clock: this.clock,
      random: new SeededRandom(this.random.u32()),
      store: new MemoryStore(),
      log: this.#log,
    };
    const options = {
      self: meta,
      targets: [{ host: "10.20.0.0", port: 6783 }],
      timing: NATIVE_LAN,
    };
    const node = await MeshNode.open(ports, meta, (datagrams) => {
      return createNativeEngine({ ...ports, datagrams, random: new SeededRandom(seed) }, options);
    });
    // An engine's first random number is its boot number.
    const boot = new SeededRandom(seed).u32();
    node.membership.onEvent(({ type, member }) => {
      if (this.#silent.has(id)) return;
      if (type === "dead") this.deaths.push({ id: member.id, atMs: this.clock.nowMs() });
      if (type === "suspect") this.suspicions += 1;
    });
    this.peers.push({ meta, node, record: { meta, era: 0, boot, state: "alive", refutation: 0 } });
    await node.start();
  }

  #introduce({ meta }: CrowdPeer, index: number, words: readonly Uint8Array[]): void {
    const teacher = this.peers[index === 0 ? 1 : 0];
    if (teacher === undefined) return;
    const { record } = teacher;
    const header = { sender: record.meta.id, target: meta.id, ...record, ...record.meta };
    const from = this.network.datagrams(record.meta.advertise);
    const list = [encodeMessage({ type: "list", want: false })];
    for (const packet of encodePackets(header, words, list, "native")) {
      from.send(meta.advertise, Buffer.concat([envelope(KINDS.membership), packet]));
    }
  }

  async #until(holds: () => boolean): Promise<void> {
    const startMs = this.clock.nowMs();
    while (!holds()) {
      if (this.clock.nowMs() - startMs > 60_000) throw new Error("not within a minute");
      await this.clock.run(1000);
    }
  }
}
