/**
 * Datagrams and Streams between peers of one process, in virtual time, with loss, duplication,
 * reordering, delay, slow hosts, pauses and one-way cuts decided by a seed; counts bytes, notes the
 * largest packet, and keeps the last ones for the picture of a failure.
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

/** One packet as it was sent. */
export interface Sent {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly kind: "datagram" | "request" | "answer";
  readonly bytes: Uint8Array;
  readonly lost: boolean;
}

const HELD_BACK_MS = 500;
/** One in ten of them strays for longer; beyond a second a former life looks like a twin. */
const STRAY_FACTOR = 2;
/** Bytes of headers below ours that each datagram costs: IPv4 and UDP. */
const HEADER_BYTES = 28;

const name = (at: HostPort): string => `${at.host}:${at.port}`;

export class MemoryNetwork {
  /** Share of datagrams lost, and of those delivered twice. */
  loss = 0;
  duplication = 0;
  /** Share of datagrams held back, most up to HELD_BACK_MS, so that later ones overtake them. */
  reorder = 0;
  delayMsMin = 0;
  delayMsMax = 3;
  /** By host: how much longer at most whatever it sends or gets takes. */
  readonly slowMs = new Map<string, number>();
  /** Ordered pairs "from>to" that nothing passes. */
  readonly cuts = new Set<string>();
  /** Hosts whose processes stand still: what reaches them waits until they go on. */
  readonly paused = new Set<string>();
  sentPackets = 0;
  largestDatagram = 0;
  largestFrame = 0;
  /** By host: bytes of datagrams with their headers, and of stream frames. */
  readonly datagramBytes = new Map<string, number>();
  readonly streamBytes = new Map<string, number>();
  /** How many of the last packets are kept. */
  traceMax = 0;
  readonly trace: Sent[] = [];
  readonly #refusing = new Set<string>();
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #receivers = new Map<string, Receive>();
  readonly #servers = new Map<string, Serve>();
  /** By host: what arrived during its pause. */
  readonly #waiting = new Map<string, (() => void)[]>();

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

  /** A wall between two hosts that answers connections with a refusal. */
  refuse(one: string, other: string): void {
    this.partition([one], [other]);
    this.#refusing.add(`${one}>${other}`).add(`${other}>${one}`);
  }

  heal(): void {
    this.#refusing.clear();
    this.cuts.clear();
  }

  /** No loss, no duplicates, no delay to speak of, and no slow hosts. */
  calm(): void {
    this.loss = 0;
    this.duplication = 0;
    this.reorder = 0;
    this.delayMsMax = 3;
    this.slowMs.clear();
  }

  /** A paused host goes on: what waited for it is delivered now, in order. */
  resume(host: string): void {
    this.paused.delete(host);
    for (const act of this.#waiting.get(host) ?? []) act();
    this.#waiting.delete(host);
  }

  datagrams(local: HostPort): Datagrams {
    return {
      local,
      send: (to, packet) => {
        this.sentPackets += 1;
        this.largestDatagram = Math.max(this.largestDatagram, packet.length);
        count(this.datagramBytes, local.host, packet.length + HEADER_BYTES);
        const copies = this.#random.chance(this.duplication) ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1) this.#deliver(local, to, packet);
      },
      onPacket: (receive): Cancel => {
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

  streams(local: HostPort): Streams {
    return {
      request: async (to, frame, deadlineMs) => await this.#request(local, to, frame, deadlineMs),
      probe: async (to): Promise<Reachability> => {
        if (this.#refusing.has(`${local.host}>${to.host}`)) return "refused";
        if (!this.passes(local.host, to.host) || !this.passes(to.host, local.host)) return "silent";
        return this.#servers.has(name(to)) ? "open" : "refused";
      },
      onRequest: (serve) => {
        this.#servers.set(name(local), serve);
        return () => {
          if (this.#servers.get(name(local)) === serve) this.#servers.delete(name(local));
        };
      },
      close: async () => {
        this.#servers.delete(name(local));
      },
    };
  }

  /** A process died: nobody listens there any more. */
  detach(at: HostPort): void {
    this.#receivers.delete(name(at));
    this.#servers.delete(name(at));
    this.#waiting.delete(at.host);
    this.paused.delete(at.host);
  }

  /** Whether packets pass from one host to another. */
  passes(from: string, to: string): boolean {
    return !this.cuts.has(`${from}>${to}`);
  }

  /** All bytes that a host sent. */
  bytesOf(host: string): number {
    return (this.datagramBytes.get(host) ?? 0) + (this.streamBytes.get(host) ?? 0);
  }

  #delayMs(from: HostPort, to: HostPort): number {
    const spanMs = this.delayMsMax - this.delayMsMin;
    const delayMs = this.delayMsMin + this.#random.below(spanMs * 1000) / 1000;
    if (this.slowMs.size === 0) return delayMs;
    const slowMs = Math.max(this.slowMs.get(from.host) ?? 0, this.slowMs.get(to.host) ?? 0);
    return delayMs + this.#random.below(slowMs + 1);
  }

  #heldBackMs(): number {
    if (this.reorder === 0 || !this.#random.chance(this.reorder)) return 0;
    return this.#random.below(HELD_BACK_MS) * (this.#random.chance(0.1) ? STRAY_FACTOR : 1);
  }

  #deliver(from: HostPort, to: HostPort, packet: Uint8Array): void {
    const lost = this.#random.chance(this.loss) || !this.passes(from.host, to.host);
    if (lost && this.traceMax === 0) return;
    const copy = new Uint8Array(packet);
    this.#note(from, to, "datagram", copy, lost);
    if (lost) return;
    this.#clock.timer("datagram", this.#delayMs(from, to) + this.#heldBackMs(), () => {
      this.#arrive(to.host, () => {
        if (this.passes(from.host, to.host)) this.#receivers.get(name(to))?.(from, copy);
      });
    });
  }

  #arrive(host: string, act: () => void): void {
    if (!this.paused.has(host)) {
      act();
      return;
    }
    const waiting = this.#waiting.get(host) ?? [];
    waiting.push(act);
    this.#waiting.set(host, waiting);
  }

  async #request(
    from: HostPort,
    to: HostPort,
    frame: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    const copy = new Uint8Array(frame);
    const answer = this.#attempt(from, to, copy, deadlineMs);
    let cancel: Cancel = () => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.timer("stream-timeout", deadlineMs, () => {
        reject(new TsweaveError("TIMED_OUT", `${name(to)} did not answer`));
      });
    });
    return await Promise.race([answer, late]).finally(() => cancel());
  }

  async #attempt(
    from: HostPort,
    to: HostPort,
    frame: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    await this.#travel(from, to, deadlineMs, "request", frame);
    const serve = this.#servers.get(name(to));
    if (serve === undefined) throw new TsweaveError("PEER_UNREACHABLE", `${name(to)} refused`);
    const answer = new Uint8Array(await serve(from, frame));
    await this.#travel(to, from, deadlineMs, "answer", answer);
    return answer;
  }

  async #travel(
    from: HostPort,
    to: HostPort,
    deadlineMs: number,
    kind: "request" | "answer",
    frame: Uint8Array,
  ): Promise<void> {
    // A connection needs both directions.
    const open = this.passes(from.host, to.host) && this.passes(to.host, from.host);
    this.#note(from, to, kind, frame, !open);
    this.largestFrame = Math.max(this.largestFrame, frame.length);
    count(this.streamBytes, from.host, frame.length);
    await new Promise<void>((resolve) => {
      const delayMs = open ? this.#delayMs(from, to) : 2 * deadlineMs;
      this.#clock.timer("stream", delayMs, () => this.#arrive(to.host, resolve));
    });
  }

  #note(from: HostPort, to: HostPort, kind: Sent["kind"], bytes: Uint8Array, lost: boolean): void {
    if (this.traceMax === 0) return;
    const atMs = this.#clock.nowMs();
    this.trace.push({ atMs, from: from.host, to: to.host, kind, bytes, lost });
    if (this.trace.length > 2 * this.traceMax) this.trace.splice(0, this.traceMax);
  }
}

function count(totals: Map<string, number>, host: string, bytes: number): void {
  totals.set(host, (totals.get(host) ?? 0) + bytes);
}
