/**
 * Many native membership engines in one process and virtual time: joins, kills, pauses and cuts,
 * and a record of every verdict with its time.
 */
import type { MemberEvent, MembershipEngine, PeerMeta } from "../../mesh/index.ts";
import { NATIVE_LAN } from "../../mesh/membership/native/config.ts";
import { createNativeEngine } from "../../mesh/membership/native/engine.ts";
import { encodeMessage, encodePackets } from "../../mesh/membership/packet.ts";
import type { PeerRecord } from "../../mesh/membership/record.ts";
import { MemoryNetwork } from "../lib/memory-network.ts";
import { QuietLog } from "../lib/quiet-log.ts";
import { SeededRandom } from "../lib/seeded-random.ts";
import { VirtualClock } from "../lib/virtual-clock.ts";
import { HostClock } from "./host-clock.ts";

/** Bytes of the envelope around each packet, which the memory network does not see. */
const ENVELOPE_BYTES = 4;

export interface SimPeer {
  readonly meta: PeerMeta;
  readonly engine: MembershipEngine;
  readonly record: PeerRecord;
  readonly clock: HostClock;
  /** Closes its port, as the end of a process does. */
  readonly close: () => void;
}

export interface Verdict {
  readonly atMs: number;
  readonly by: string;
  readonly event: MemberEvent;
}

export class NativeMesh {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly log = new QuietLog();
  readonly peers: SimPeer[] = [];
  readonly deaths: Verdict[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.random);
    this.network.delayMsMin = 0.15;
    this.network.delayMsMax = 0.6;
  }

  /** Starts peer `index` with peer 0 as its target. */
  async start(index: number, incarnation = 1_700_000_000, id?: string): Promise<SimPeer> {
    const host = `10.20.${index >> 8}.${index & 255}`;
    const meta: PeerMeta = {
      id: id ?? Buffer.from(this.random.bytes(16)).toString("hex"),
      name: `peer-${index}`,
      incarnation,
      advertise: { host, port: 6783 },
    };
    const seed = this.random.u32();
    const streams = this.network.streams(meta.advertise);
    const { host: own } = meta.advertise;
    const clock = new HostClock(this.clock, () => this.network.paused.has(own), 0);
    const close = streams.onRequest(async (_from, frame) => frame);
    const engine = createNativeEngine(
      {
        datagrams: this.network.datagrams(meta.advertise),
        streams,
        clock,
        random: new SeededRandom(seed),
        log: this.log,
      },
      { self: meta, targets: [{ host: "10.20.0.0", port: 6783 }], timing: NATIVE_LAN },
    );
    // An engine's first random number is its boot number.
    const boot = new SeededRandom(seed).u32();
    const record: PeerRecord = { meta, era: 0, boot, state: "alive", refutation: 0 };
    const peer = { meta, engine, record, clock, close };
    engine.onEvent((event) => {
      if (event.type !== "dead") return;
      this.deaths.push({ atMs: this.clock.nowMs(), by: meta.id, event });
    });
    this.peers.push(peer);
    await engine.start();
    return peer;
  }

  /** Starts `count` peers at once; the virtual time until all see all. */
  async joined(count: number): Promise<number> {
    for (let index = 0; index < count; index += 1) await this.start(index);
    return await this.until(30_000, () => this.seesAll());
  }

  /**
   * Starts `count` peers and hands each the list of all, as anti-entropy would: what they do from
   * then on is under test, not a thousand joins in one second.
   */
  async introduced(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) await this.start(index);
    const [first, second] = this.peers;
    if (first === undefined || second === undefined) return;
    const words = this.peers.map(({ record }) => encodeMessage({ type: "update", record }));
    const list = [encodeMessage({ type: "list", want: false })];
    for (const peer of this.peers) {
      const { meta, record } = peer === first ? second : first;
      const header = { sender: meta.id, target: peer.meta.id, ...record, ...meta };
      const from = this.network.datagrams(meta.advertise);
      for (const packet of encodePackets(header, words, list, "native")) {
        from.send(peer.meta.advertise, packet);
      }
    }
    await this.until(60_000, () => this.seesAll(), 1000);
  }

  /** Every live peer sees every live peer, and no other, as alive. */
  seesAll(peers: readonly SimPeer[] = this.peers): boolean {
    return peers.every(({ engine }) => {
      const alive = engine.members().filter((member) => member.state === "alive");
      return alive.length === peers.length;
    });
  }

  async until(limitMs: number, holds: () => boolean, stepMs = 5): Promise<number> {
    const startMs = this.clock.nowMs();
    while (!holds()) {
      if (this.clock.nowMs() - startMs > limitMs) throw new Error(`not within ${limitMs} ms`);
      await this.clock.run(stepMs);
    }
    return this.clock.nowMs() - startMs;
  }

  /**
   * Ends a peer other than the first: its process only (`refused`), or its host (`silent`).
   * Returns the delays after which the others declared it dead.
   */
  async kill(how: "refused" | "silent", waitMs: number): Promise<number[]> {
    const at = 1 + this.random.below(this.peers.length - 1);
    const [victim] = this.peers.splice(at, 1);
    if (victim === undefined) return [];
    await this.clock.run(this.random.below(1000));
    const startMs = this.clock.nowMs();
    await victim.engine.stop();
    if (how === "refused") victim.close();
    const { host } = victim.meta.advertise;
    if (how === "silent") this.network.partition([host], this.peers.map(hostOf));
    await this.clock.run(waitMs);
    return this.deaths
      .filter(({ event }) => event.member.id === victim.meta.id && event.member.evidence === how)
      .map(({ atMs }) => atMs - startMs)
      .sort((a, b) => a - b);
  }

  /** Holds a process still: its timers and what arrives for it. */
  pause(peer: SimPeer): void {
    this.network.paused.add(hostOf(peer));
  }

  /** Lets it go on: as in Node, timers that fell due come before packets that waited. */
  resume(peer: SimPeer): void {
    this.network.paused.delete(hostOf(peer));
    peer.clock.resume();
    this.network.resume(hostOf(peer));
  }

  /** Bytes sent by all together, with IPv4, UDP and envelope headers. */
  sentBytes(): number {
    const bytes = [...this.network.datagramBytes.values()].reduce((sum, one) => sum + one, 0);
    return bytes + this.network.sentPackets * ENVELOPE_BYTES;
  }

  async end(): Promise<void> {
    for (const { engine } of this.peers) await engine.stop();
  }
}

export const hostOf = ({ meta }: SimPeer): string => meta.advertise.host;
