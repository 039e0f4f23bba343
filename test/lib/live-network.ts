/**
 * Datagrams between peers of one process in real time, with seeded loss and cuts: for engines
 * whose timers cannot be virtual.
 */
import type { Datagrams, HostPort } from "../../mesh/index.ts";
import { SeededRandom } from "./seeded-random.ts";

type Receive = (from: HostPort, packet: Uint8Array) => void;

const name = (at: HostPort): string => `${at.host}:${at.port}`;

export class LiveNetwork {
  /** Share of datagrams lost. */
  loss = 0;
  /** One way. */
  delayMs = 0;
  sentPackets = 0;
  sentBytes = 0;
  largestBytes = 0;
  /** Hosts by group; packets pass only within a group. Unlisted hosts are in group 0. */
  readonly groups = new Map<string, number>();
  /** Ordered pairs "from>to" that nothing passes. */
  readonly cuts = new Set<string>();
  /** Every packet sent, when set. */
  tap: ((from: HostPort, to: HostPort, packet: Uint8Array) => void) | undefined;
  readonly #random: SeededRandom;
  readonly #receivers = new Map<string, Receive>();

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  datagrams(local: HostPort): Datagrams {
    return {
      local,
      send: (to, packet) => this.inject(local, to, packet),
      onPacket: (receive) => {
        this.#receivers.set(name(local), receive);
        return () => {
          if (this.#receivers.get(name(local)) === receive) this.#receivers.delete(name(local));
        };
      },
      close: async () => {
        this.#receivers.delete(name(local));
      },
    };
  }

  /** Splits the hosts into groups; hosts of none stay together. */
  partition(...groups: readonly (readonly string[])[]): void {
    this.groups.clear();
    groups.forEach((hosts, index) => {
      for (const host of hosts) this.groups.set(host, index + 1);
    });
  }

  /** Cuts two hosts off from one another, and from nobody else. */
  cut(one: string, other: string): void {
    this.cuts.add(`${one}>${other}`).add(`${other}>${one}`);
  }

  heal(): void {
    this.cuts.clear();
    this.groups.clear();
  }

  inject(from: HostPort, to: HostPort, packet: Uint8Array): void {
    this.sentPackets += 1;
    this.sentBytes += packet.length;
    this.largestBytes = Math.max(this.largestBytes, packet.length);
    this.tap?.(from, to, packet);
    if (this.#random.chance(this.loss)) return;
    if ((this.groups.get(from.host) ?? 0) !== (this.groups.get(to.host) ?? 0)) return;
    if (this.cuts.has(`${from.host}>${to.host}`)) return;
    const copy = Uint8Array.from(packet);
    const arrive = () => this.#receivers.get(name(to))?.(from, copy);
    if (this.delayMs > 0) setTimeout(arrive, this.delayMs);
    else setImmediate(arrive);
  }
}
