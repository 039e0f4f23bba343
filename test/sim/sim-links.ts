/**
 * Since when two hosts could talk without a break: who was declared dead after that died wrongly.
 *
 * Law: trouble is what the world did to a host or a link, never what a daemon made of it.
 */
import type { MemoryNetwork } from "../lib/memory-network.ts";
import type { SimHost } from "./sim-host.ts";

interface LinkWorld {
  readonly hosts: readonly SimHost[];
  readonly network: MemoryNetwork;
  readonly clock: { nowMs(): number };
}

export class SimLinks {
  readonly #world: LinkWorld;
  /** By host: when its process last did not run freely. */
  readonly #hostMs = new Map<SimHost, number>();
  /** By ordered pair: when it was last cut. */
  readonly #cutMs = new Map<string, number>();
  #troubled: readonly SimHost[] = [];
  #cuts: readonly string[] = [];

  constructor(world: LinkWorld) {
    this.#world = world;
  }

  /** To be called after each change: what was troubled, or is now, was so until now. */
  note(): void {
    const { hosts, network, clock } = this.#world;
    const nowMs = clock.nowMs();
    const troubled = hosts.filter((host) => !host.ready || network.paused.has(host.advertise.host));
    const cuts = [...network.cuts];
    for (const host of [...this.#troubled, ...troubled]) this.#hostMs.set(host, nowMs);
    for (const cut of [...this.#cuts, ...cuts]) this.#cutMs.set(cut, nowMs);
    this.#troubled = troubled;
    this.#cuts = cuts;
  }

  /** For how long both ran and nothing between them was cut. */
  quietMs(a: SimHost, b: SimHost): number {
    this.note();
    const [left, right] = [a.advertise.host, b.advertise.host];
    const troubles = [
      this.#hostMs.get(a),
      this.#hostMs.get(b),
      this.#cutMs.get(`${left}>${right}`),
      this.#cutMs.get(`${right}>${left}`),
    ];
    const nowMs = this.#world.clock.nowMs();
    return nowMs - Math.max(0, ...troubles.map((atMs) => atMs ?? 0));
  }
}
