/**
 * When the rows of a peer that does not come back are dropped.
 *
 * Law: never on doubt. A peer's rows go after a day in which it was not here at any check and at
 * whose end its host is silent, or serves another peer: a host that refuses the connection is up
 * with its daemon down, and its containers go on talking. What is dropped comes back with the peer
 * itself (see replica.ts).
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

export class Retention {
  readonly #ports: RetentionPorts;
  /** BOUNDED: peersMax; absent peers and since when, by the monotonic clock. */
  #since = new Map<PeerId, number>();
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
    this.#since = new Map(absent.map((peer) => [peer, this.#since.get(peer) ?? nowMs]));
    for (const [peer, sinceMs] of this.#since) {
      const address = this.#ports.addressOf(peer);
      if (nowMs - sinceMs < TIMES.forgetAfterMs || address === undefined) continue;
      if (!(await this.#isGone(address)) || !this.#ports.forget(peer)) continue;
      this.#ports.log.info({ peer, address }, "gone for a day: its rows are dropped");
    }
  }

  async #isGone(address: HostPort): Promise<boolean> {
    if (this.#ports.isTaken(address)) return true;
    return (await this.#ports.streams.probe(address, PROBE_DEADLINE_MS)) === "silent";
  }
}
