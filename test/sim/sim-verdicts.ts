/**
 * Membership verdicts from what really reaches what: a failure detector reduced to its delays. A
 * peer that a third can reach counts as alive, as with SWIM's indirect probes, so rows must find
 * their way where no direct path is.
 */
import type { MemberState, PeerId, PeerMeta } from "../../mesh/index.ts";
import type { SimHost } from "./sim-host.ts";
import type { PeerWorld, SimPeer } from "./sim-peer.ts";

/** How soon life is noticed, and how soon death is believed. */
const ALIVE_MS = { min: 20, max: 300 };
const DEAD_MS = { min: 1500, max: 4000 };

export class SimVerdicts {
  readonly #world: PeerWorld;
  readonly #hosts: readonly SimHost[];
  /** Every life that ever was, the last of each id. */
  readonly #known = new Map<PeerId, { host: SimHost; meta: PeerMeta }>();
  readonly #left = new Set<PeerId>();

  constructor(world: PeerWorld, hosts: readonly SimHost[]) {
    this.#world = world;
    this.#hosts = hosts;
  }

  born(host: SimHost, peer: SimPeer): void {
    this.#known.set(peer.meta.id, { host, meta: peer.meta });
    this.#left.delete(peer.meta.id);
    this.changed();
  }

  left(peer: SimPeer): void {
    this.#left.add(peer.meta.id);
    this.changed();
  }

  /** Links, pauses or processes changed: everyone notices in its own time. */
  changed(): void {
    const { clock, random } = this.#world;
    for (const host of this.#hosts) {
      const { peer } = host;
      if (peer?.judged === undefined) continue;
      for (const [span, isFinal] of [
        [ALIVE_MS, false],
        [DEAD_MS, true],
      ] as const) {
        const delayMs = span.min + random.below(span.max - span.min);
        clock.timer("sim-verdict", delayMs, () => {
          if (host.peer === peer && peer.ready) this.#judge(host, peer, isFinal);
        });
      }
    }
  }

  #judge(observer: SimHost, peer: SimPeer, isFinal: boolean): void {
    if (this.#world.network.paused.has(observer.advertise.host)) return;
    const nowMs = this.#world.clock.nowMs();
    const { judged } = peer;
    if (judged === undefined) return;
    const before = new Map(peer.membership.members().map((member) => [member.id, member]));
    for (const [id, { host, meta }] of this.#known) {
      const held = before.get(id);
      if (id === peer.meta.id) continue;
      const isUp = host.peer?.meta.id === id && host.peer.ready && this.#reaches(observer, host);
      if (!isUp && (held === undefined || held.state === "dead" || held.state === "left")) continue;
      let state: MemberState = "alive";
      if (!isUp && this.#left.has(id)) state = "left";
      else if (!isUp) state = isFinal ? "dead" : "suspect";
      if (held?.state === state && held.incarnation === meta.incarnation) continue;
      judged.set(isUp ? meta : (held ?? meta), state, nowMs);
    }
  }

  #reaches(from: SimHost, to: SimHost): boolean {
    if (this.#linked(from, to)) return true;
    return this.#hosts.some(
      (third) => third.peer !== undefined && this.#linked(from, third) && this.#linked(third, to),
    );
  }

  #linked(a: SimHost, b: SimHost): boolean {
    const { network } = this.#world;
    const [from, to] = [a.advertise.host, b.advertise.host];
    if (network.paused.has(from) || network.paused.has(to)) return false;
    return network.passes(from, to) && network.passes(to, from);
  }
}
