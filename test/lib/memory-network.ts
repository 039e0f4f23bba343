/**
 * Datagrams and Streams between peers of one process, in virtual time, with loss, duplication,
 * reordering, and one-way cuts decided by a seed.
 */
import {
  type Cancel,
  type Datagrams,
  type HostPort,
  type Reachability,
  type Streams,
  TsweaveError,
} from "../../mesh/index.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { VirtualClock } from "./virtual-clock.ts";

type Receive = (from: HostPort, packet: Uint8Array) => void;
type Serve = (from: HostPort, frame: Uint8Array) => Promise<Uint8Array>;

const name = (at: HostPort): string => `${at.host}:${at.port}`;

export class MemoryNetwork {
  /** Share of datagrams lost, and of those delivered twice. */
  loss = 0;
  duplication = 0;
  delayMsMax = 3;
  /** Ordered pairs "from>to" that nothing passes. */
  readonly cuts = new Set<string>();
  sentPackets = 0;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #receivers = new Map<string, Receive>();
  readonly #servers = new Map<string, Serve>();

  constructor(clock: VirtualClock, random: SeededRandom) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Cuts both directions between two groups of hosts. */
  partition(left: readonly string[], right: readonly string[]): void {
    for (const a of left) {
      for (const b of right) {
        this.cuts.add(`${a}>${b}`);
        this.cuts.add(`${b}>${a}`);
      }
    }
  }

  heal(): void {
    this.cuts.clear();
  }

  datagrams(local: HostPort): Datagrams {
    return {
      local,
      send: (to, packet) => {
        this.sentPackets += 1;
        const copies = this.#random.chance(this.duplication) ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1) this.#deliver(local, to, packet);
      },
      onPacket: (receive): Cancel => {
        this.#receivers.set(name(local), receive);
        return () => this.#receivers.delete(name(local));
      },
      close: async () => {
        this.#receivers.delete(name(local));
      },
    };
  }

  streams(local: HostPort): Streams {
    return {
      request: async (to, frame, deadlineMs) => await this.#request(local, to, frame, deadlineMs),
      probe: async (to): Promise<Reachability> => {
        if (!this.#passes(local, to)) return "silent";
        return this.#servers.has(name(to)) ? "open" : "refused";
      },
      onRequest: (serve) => {
        this.#servers.set(name(local), serve);
        return () => this.#servers.delete(name(local));
      },
      close: async () => {
        this.#servers.delete(name(local));
      },
    };
  }

  #passes(from: HostPort, to: HostPort): boolean {
    return !this.cuts.has(`${from.host}>${to.host}`);
  }

  #delayMs(): number {
    return this.#random.below(this.delayMsMax * 1000) / 1000;
  }

  #deliver(from: HostPort, to: HostPort, packet: Uint8Array): void {
    if (this.#random.chance(this.loss)) return;
    const copy = Uint8Array.from(packet);
    this.#clock.timer("datagram", this.#delayMs(), () => {
      if (this.#passes(from, to)) this.#receivers.get(name(to))?.(from, copy);
    });
  }

  async #request(
    from: HostPort,
    to: HostPort,
    frame: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    await this.#travel(from, to, deadlineMs);
    const serve = this.#servers.get(name(to));
    if (serve === undefined) throw new TsweaveError("PEER_UNREACHABLE", `${name(to)} refused`);
    const answer = await serve(from, Uint8Array.from(frame));
    await this.#travel(to, from, deadlineMs);
    return answer;
  }

  async #travel(from: HostPort, to: HostPort, deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      if (this.#passes(from, to)) {
        this.#clock.timer("stream", this.#delayMs(), resolve);
      } else {
        const error = new TsweaveError("TIMED_OUT", `${name(to)} did not answer`);
        this.#clock.timer("stream-timeout", deadlineMs, () => reject(error));
      }
    });
  }
}
