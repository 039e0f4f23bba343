/**
 * The probes of every network and peer that may use a direct path: which are under way, which
 * paths work. Time comes in with each call; the socket is somebody else's.
 *
 * Law: a pair is probed only while containers of both hosts are on its network.
 */
import type { PeerId } from "../../mesh/index.ts";
import type { DirectNetwork } from "./model.ts";
import { type DirectPlan, type PlannedPeer, pairObstacle } from "./plan.ts";
import { answered, beginProbing, type Probing, turnOf } from "./probing.ts";
import { probeAddress } from "./table.ts";

export interface Pair {
  readonly network: DirectNetwork;
  readonly peer: PlannedPeer;
  /** Probe address. */
  readonly address: string;
  readonly probing: Probing;
}

/** A probe to send. */
export interface Probe {
  readonly vni: number;
  readonly number: number;
  readonly to: string;
}

export class Pairs {
  /** By network namespace and peer. BOUNDED: networks and peers of the plan. */
  #pairs = new Map<string, Pair>();
  readonly #networkSlots = new Slots();
  readonly #peerSlots = new Slots();
  #number = 0;

  /** Follows the plan; `wanted` tells which pairs have endpoints at both ends. */
  follow(
    { networks, peers }: DirectPlan,
    wanted: (network: string, vtep: string) => boolean,
    nowMs: number,
  ): void {
    this.#networkSlots.keep(networks.map(({ netns }) => netns));
    this.#peerSlots.keep(peers.map(({ id }) => id));
    const pairs = new Map<string, Pair>();
    for (const network of networks) {
      for (const peer of peers) {
        const isFit = pairObstacle(network, peer) === undefined;
        if (!isFit || !wanted(network.name, peer.vtep)) continue;
        const key = keyOf(network.netns, peer.id);
        const before = this.#pairs.get(key);
        const isSame =
          before?.peer.mac === peer.mac &&
          before.network.vni === network.vni &&
          (before.probing.isUp || before.peer.life === peer.life);
        const probing = isSame ? before.probing : beginProbing(nowMs);
        pairs.set(key, { network, peer, address: this.#address(network, peer), probing });
      }
    }
    this.#pairs = pairs;
  }

  /** Number of a network or a peer in probe addresses. */
  networkSlot(netns: string): number {
    return this.#networkSlots.of(netns);
  }

  peerSlot(peer: PeerId): number {
    return this.#peerSlots.of(peer);
  }

  /** The pairs whose path works now. */
  up(): Pair[] {
    return [...this.#pairs.values()].filter(({ probing }) => probing.isUp);
  }

  of(netns: string, peer: PeerId): Pair | undefined {
    return this.#pairs.get(keyOf(netns, peer));
  }

  /** When the next probe is due; undefined without pairs. */
  dueMs(): number | undefined {
    const due = [...this.#pairs.values()].map(({ probing }) => probing.dueMs);
    return due.length === 0 ? undefined : due.reduce((least, ms) => Math.min(least, ms));
  }

  /** The probes to send now, and whether a path came to be up or down. */
  turn(nowMs: number): { readonly probes: readonly Probe[]; readonly isNews: boolean } {
    const probes: Probe[] = [];
    let isNews = false;
    for (const [key, pair] of this.#pairs) {
      const number = (this.#number + 1) % 2 ** 32;
      const { state, isSending } = turnOf(pair.probing, number, nowMs);
      isNews ||= state.isUp !== pair.probing.isUp;
      this.#pairs.set(key, { ...pair, probing: state });
      if (!isSending) continue;
      this.#number = number;
      probes.push({ vni: pair.network.vni, number, to: pair.address });
    }
    return { probes, isNews };
  }

  /** An answer; true when its path came up by it. */
  heard(number: number, from: string, nowMs: number): boolean {
    for (const [key, pair] of this.#pairs) {
      if (pair.address !== from) continue;
      const probing = answered(pair.probing, number, nowMs);
      this.#pairs.set(key, { ...pair, probing });
      return probing.isUp && !pair.probing.isUp;
    }
    return false;
  }

  #address(network: DirectNetwork, peer: PlannedPeer): string {
    return probeAddress(this.#networkSlots.of(network.netns), this.#peerSlots.of(peer.id));
  }
}

function keyOf(netns: string, peer: PeerId): string {
  return `${netns} ${peer}`;
}

/** The lowest free numbers from 1, each kept as long as its owner. */
class Slots {
  /** BOUNDED: what keep was last called with. */
  readonly #slots = new Map<string, number>();

  keep(owners: readonly string[]): void {
    const wanted = new Set(owners);
    for (const owner of this.#slots.keys()) if (!wanted.has(owner)) this.#slots.delete(owner);
    const taken = new Set(this.#slots.values());
    let next = 1;
    for (const owner of owners) {
      if (this.#slots.has(owner)) continue;
      while (taken.has(next)) next += 1;
      taken.add(next);
      this.#slots.set(owner, next);
    }
  }

  of(owner: string): number {
    return this.#slots.get(owner) ?? 0;
  }
}
