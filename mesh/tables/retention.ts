/**
 * When the rows of a peer that does not come back are dropped.
 *
 * Law: never on doubt. A peer's rows go after a day in which it was not here at any check and at
 * whose end its host is silent: a host that refuses the connection is up with its daemon down, and
 * its containers go on talking. They go after the grace where at every check in it another peer was
 * here at its address: two processes cannot have one, so it never speaks again, and the other has
 * taken over the containers that still run. What is dropped comes back with the peer itself (see
 * replica.ts).
 */
import { messageOf } from "../errors.ts";
import { LIMITS, TIMES } from "../limits.ts";
import type { Cancel, Clock, HostPort, Log, PeerId, Streams } from "../ports.ts";

const PROBE_DEADLINE_MS = 3000;

interface RetentionPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly streams: Pick<Streams, "probe">;
  /** Peers whose rows are held and that are not here. */
  readonly absent: () => readonly PeerId[];
  /** Where an absent peer's gossip port was; unknown: its rows stay. */
  readonly addressOf: (peer: PeerId) => HostPort | undefined;
  /** Whether another peer that is here has that address: the host was made anew. */
  readonly isTaken: (address: HostPort) => boolean;
  readonly forget: (peer: PeerId) => boolean;
}

/** By the monotonic clock. */
interface Absence {
  readonly sinceMs: number;
  /** Since when another peer was at its address at every check; undefined: none is. */
  readonly takenMs: number | undefined;
}

export class Retention {
  readonly #ports: RetentionPorts;
  /** BOUNDED: peersMax; absent peers. */
  #absences = new Map<PeerId, Absence>();
  #cancel: Cancel | undefined;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#cancel = this.#ports.clock.timer("retention", TIMES.forgetCheckMs, () => {
      this.#check().catch((error: unknown) => {
        this.#ports.log.warn({ error: messageOf(error) }, "cannot tell who is gone for good");
      });
      this.start();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  async #check(): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    const absent = this.#ports.absent().slice(0, LIMITS.peersMax);
    this.#absences = new Map(absent.map((peer) => [peer, this.#absence(peer, nowMs)]));
    for (const [peer, { sinceMs, takenMs }] of this.#absences) {
      const address = this.#ports.addressOf(peer);
      if (address === undefined) continue;
      const isReplaced = takenMs !== undefined && nowMs - takenMs >= TIMES.deadGraceMs;
      const isOld = nowMs - sinceMs >= TIMES.forgetAfterMs;
      if (!isReplaced && !(isOld && (await this.#isSilent(address)))) continue;
      if (!this.#ports.forget(peer)) continue;
      this.#ports.log.info({ peer, address, replaced: isReplaced }, "gone: its rows are dropped");
    }
  }

  #absence(peer: PeerId, nowMs: number): Absence {
    const address = this.#ports.addressOf(peer);
    const before = this.#absences.get(peer);
    const isTaken = address !== undefined && this.#ports.isTaken(address);
    return {
      sinceMs: before?.sinceMs ?? nowMs,
      takenMs: isTaken ? (before?.takenMs ?? nowMs) : undefined,
    };
  }

  async #isSilent(address: HostPort): Promise<boolean> {
    return (await this.#ports.streams.probe(address, PROBE_DEADLINE_MS)) === "silent";
  }
}
