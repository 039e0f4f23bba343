/**
 * The head's part of a two-level push: rows of another origin go on to every peer this one knows in
 * a range of ids, and the origin hears who has them.
 *
 * Law: a cover names only peers that acknowledged. Work for others is bounded: in jobs, and in how
 * many peers one job may address, so that a forged relay is no lever.
 */
import { LIMITS, TIMES } from "../limits.ts";
import type { Cancel, Clock, HostPort, PeerId } from "../ports.ts";
import type { LivePeers } from "./live-peers.ts";
import type { Delta } from "./messages.ts";
import { type Ack, encodeTablesMessage, inRange, markOf, marksOf, type Relay } from "./push.ts";
import { retryMs } from "./ranges.ts";

/** How long a finished job answers an origin whose cover was lost. */
const REMEMBER_MS = 1000;

interface RelayPorts {
  readonly clock: Clock;
  readonly self: PeerId;
  readonly peers: LivePeers;
  readonly send: (to: HostPort, packet: Uint8Array) => void;
  readonly sendAll: (to: readonly HostPort[], packet: Uint8Array) => void;
  /** Whether this peer itself holds all that a delta brings up to. */
  readonly holds: (delta: Delta) => boolean;
}

interface Job {
  readonly relay: Relay;
  readonly replyTo: HostPort;
  readonly packet: Uint8Array;
  /** BOUNDED: `#rangeMax` peers that have not acknowledged. */
  readonly late: Map<PeerId, HostPort>;
  readonly stepMs: number;
  /** BOUNDED: `#rangeMax` peers that have. */
  readonly covered: PeerId[];
  tries: number;
  done: boolean;
  cancel: Cancel;
}

export class RelayHead {
  readonly #ports: RelayPorts;
  /** BOUNDED: relayJobsMax; one more is not relayed, its origin takes another head. */
  readonly #jobs = new Map<string, Job>();

  constructor(ports: RelayPorts) {
    this.#ports = ports;
  }

  stop(): void {
    for (const job of this.#jobs.values()) job.cancel();
    this.#jobs.clear();
  }

  /** Passes rows on that this peer has taken in. */
  take(from: HostPort, relay: Relay): void {
    const { origin, incarnation, to } = relay.delta;
    const key = `${origin} ${incarnation} ${to} ${relay.range.first} ${relay.range.last}`;
    const known = this.#jobs.get(key);
    if (known !== undefined) {
      if (known.done) this.#sendCover(known);
      return;
    }
    // Only for the origin itself, and only for one that is a member here.
    if (relay.sender !== origin || !this.#ports.peers.isLive(origin)) return;
    if (this.#jobs.size >= LIMITS.relayJobsMax) return;
    const job = this.#open(from, relay);
    if (job === undefined) return;
    this.#jobs.set(key, job);
    this.#step(key, job);
  }

  /** A peer tells how far it holds another origin's log. */
  takeAck(ack: Ack): void {
    for (const [key, job] of this.#jobs) {
      const { origin, incarnation, to } = job.relay.delta;
      if (markOf(origin) !== ack.origin || incarnation !== ack.incarnation || ack.seq < to)
        continue;
      if (!job.late.delete(ack.sender)) continue;
      job.covered.push(ack.sender);
      if (job.late.size === 0) this.#finish(key, job);
      else if (job.done) this.#sendCover(job);
    }
  }

  #open(replyTo: HostPort, relay: Relay): Job | undefined {
    const { self, peers } = this.#ports;
    const within = peers
      .reachable()
      .filter(({ id }) => id !== relay.sender && inRange(relay.range, id));
    if (within.length > this.#rangeMax()) return undefined;
    return {
      relay,
      replyTo,
      packet: encodeTablesMessage({ type: "push", sender: self, delta: relay.delta }),
      stepMs: retryMs(within),
      late: new Map(within.map(({ id, advertise }) => [id, advertise])),
      covered: [],
      tries: 0,
      done: false,
      cancel: () => undefined,
    };
  }

  /** Views differ, so a range may be larger here than at its origin, but not much. */
  #rangeMax(): number {
    return 4 * Math.ceil(Math.sqrt(this.#ports.peers.live().length + 1)) + 8;
  }

  #step(key: string, job: Job): void {
    if (job.late.size === 0 || job.tries >= TIMES.relayTries) {
      this.#finish(key, job);
      return;
    }
    job.tries += 1;
    this.#ports.sendAll([...job.late.values()], job.packet);
    const again = () => this.#step(key, job);
    job.cancel = this.#ports.clock.timer("relay", job.stepMs, again);
  }

  #finish(key: string, job: Job): void {
    job.cancel();
    job.done = true;
    this.#sendCover(job);
    const forget = () => this.#jobs.delete(key);
    job.cancel = this.#ports.clock.timer("relay-done", REMEMBER_MS, forget);
  }

  #sendCover(job: Job): void {
    const { delta, range } = job.relay;
    const { self, holds, send } = this.#ports;
    const marks = marksOf(holds(delta) ? [self, ...job.covered] : job.covered);
    const { incarnation, to: seq } = delta;
    const log = { origin: markOf(delta.origin), incarnation, seq };
    const cover = { type: "cover", sender: self, ...log, range, marks } as const;
    send(job.replyTo, encodeTablesMessage(cover));
  }
}
