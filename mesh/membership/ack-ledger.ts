/**
 * Probes in flight, so that an ack counts only if it comes from the peer that was asked, and the
 * round-trip times they show.
 *
 * Law: a late ack is still proof of life: it cannot undo a timeout, but it prevents a suspicion.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, PeerId } from "../ports.ts";

interface Probe {
  readonly peer: PeerId;
  readonly sentMs: number;
  /** Through a relay: the round trip is not the peer's own. */
  readonly relayed: boolean;
  /** Where a direct probe was sent to. */
  readonly at?: HostPort;
}

/** More probes in flight than any interval needs; the oldest is dropped. */
const PROBES_MAX = 1024;
/** RFC 6298's weight of a new sample. */
const RTT_GAIN = 1 / 8;

export class AckLedger {
  /** BOUNDED: PROBES_MAX, oldest out. */
  readonly #probes = new Map<number, Probe>();
  /** BOUNDED: LIMITS.peersMax; only acknowledged peers enter. */
  readonly #rttMs = new Map<PeerId, number>();
  /** BOUNDED: LIMITS.peersMax; only acknowledged peers enter. */
  readonly #ackedMs = new Map<PeerId, number>();
  readonly #direct: (peer: PeerId, at: HostPort) => boolean;

  /** `direct` hears of each direct answer; false: not from the address in use. */
  constructor(direct: (peer: PeerId, at: HostPort) => boolean = () => true) {
    this.#direct = direct;
  }

  sent(seq: number, probe: Probe): void {
    this.#probes.set(seq, probe);
    if (this.#probes.size <= PROBES_MAX) return;
    for (const oldest of this.#probes.keys()) {
      this.#probes.delete(oldest);
      return;
    }
  }

  /** Whether this ack answers a probe of ours to `peer`; notes the proof of life if so. */
  acked(seq: number, peer: PeerId, nowMs: number): boolean {
    const probe = this.#probes.get(seq);
    if (probe === undefined || probe.peer !== peer) return false;
    this.#probes.delete(seq);
    if (probe.relayed) return true;
    if (this.#ackedMs.size >= LIMITS.peersMax) this.#clear();
    this.#ackedMs.set(peer, nowMs);
    if (probe.at !== undefined && !this.#direct(peer, probe.at)) return true;
    const sampleMs = nowMs - probe.sentMs;
    const smoothedMs = this.#rttMs.get(peer) ?? sampleMs;
    this.#rttMs.set(peer, smoothedMs + (sampleMs - smoothedMs) * RTT_GAIN);
    return true;
  }

  /** Smoothed round trip, null until measured. */
  rttMs(peer: PeerId): number | null {
    return this.#rttMs.get(peer) ?? null;
  }

  /** Whether `peer` itself acknowledged a probe at or after `sinceMs`. */
  ackedSince(peer: PeerId, sinceMs: number): boolean {
    return (this.#ackedMs.get(peer) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
  }

  /** Drops what is known of a peer whose process is gone. */
  forget(peer: PeerId): void {
    this.#rttMs.delete(peer);
    this.#ackedMs.delete(peer);
  }

  #clear(): void {
    this.#rttMs.clear();
    this.#ackedMs.clear();
  }
}
