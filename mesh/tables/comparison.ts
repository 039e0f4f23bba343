/**
 * With whom this peer compares its state, and when: with peers just met, and with those whose hash,
 * seen on a probe, was another one.
 *
 * Law: each peer met is compared with, since either of the two may lack something; but a mesh that
 * forms or heals all at once pays for a few comparisons a peer, not for all pairs at once.
 * A hash that differs because news is on its way costs nothing.
 */
import type { Cancel, Clock, PeerId, Random } from "../ports.ts";
import type { Replica } from "./replica.ts";
import { sameStart } from "./vector-hash.ts";

/** So many at once, then one each pause. */
const BURST = 2;
const PAUSE_MS = 250;
/** News reaches everyone within this; a hash that still differs then, differs. */
const SETTLE_MS = 50;
/** A peer met shows its state within this, or was shown this one's, where hellos carry states. */
const MEET_MS = 20;
/** Where more wait, the hashes on probes and the periodic digest find what differs. */
const WAITING_MAX = 64;

interface ComparisonPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Sends this peer's digest and asks for the other's. */
  readonly ask: (peer: PeerId) => void;
}

export class Comparisons {
  readonly #ports: ComparisonPorts;
  readonly #replica: Replica;
  /** BOUNDED: WAITING_MAX peers to compare with. */
  readonly #waiting = new Set<PeerId>();
  /** BOUNDED: WAITING_MAX hashes that differed when they were seen. */
  readonly #hints = new Map<PeerId, Uint8Array>();
  #left = BURST;
  #filledMs: number;
  #cancelNext: Cancel | undefined;
  #cancelHints: Cancel | undefined;
  /** BOUNDED: WAITING_MAX peers just met, of whose state nothing is known yet. */
  readonly #met = new Set<PeerId>();
  #cancelMet: Cancel | undefined;

  constructor(ports: ComparisonPorts, replica: Replica) {
    this.#ports = ports;
    this.#replica = replica;
    this.#filledMs = ports.clock.nowMs();
  }

  stop(): void {
    this.#cancelNext?.();
    this.#cancelHints?.();
    this.#cancelMet?.();
    this.#cancelNext = undefined;
    this.#cancelHints = undefined;
    this.#cancelMet = undefined;
    this.#met.clear();
    this.#waiting.clear();
    this.#hints.clear();
  }

  /** A peer's state is to be compared with this one's: at once, unless many are. */
  with(peer: PeerId): void {
    this.#met.delete(peer);
    if (this.#waiting.size < WAITING_MAX) this.#waiting.add(peer);
    if (this.#cancelNext === undefined) this.#work();
  }

  /** As `with`, unless the peer shows its state in a moment, or was shown this one's. */
  soon(peer: PeerId): void {
    if (this.#met.size < WAITING_MAX) this.#met.add(peer);
    this.#cancelMet ??= this.#ports.clock.timer("met", MEET_MS, () => {
      this.#cancelMet = undefined;
      for (const each of [...this.#met]) this.with(each);
    });
  }

  /** Nothing is to be compared with a peer: it is gone, or was just found equal. */
  drop(peer: PeerId): void {
    this.#met.delete(peer);
    this.#waiting.delete(peer);
    this.#hints.delete(peer);
  }

  /** A peer showed the first bytes of its state hash. */
  seen(peer: PeerId, hash: Uint8Array): void {
    if (sameStart(this.#replica.digest(), hash)) {
      this.drop(peer);
      return;
    }
    if (this.#hints.size >= WAITING_MAX) return;
    this.#hints.set(peer, Uint8Array.from(hash));
    this.#cancelHints ??= this.#ports.clock.timer("differs", SETTLE_MS, () => this.#weigh());
  }

  #weigh(): void {
    this.#cancelHints = undefined;
    const own = this.#replica.digest();
    const differing = [...this.#hints].filter(([, hash]) => !sameStart(own, hash));
    this.#hints.clear();
    for (const [peer] of differing) this.with(peer);
  }

  #work(): void {
    this.#cancelNext = undefined;
    const nowMs = this.#ports.clock.nowMs();
    this.#left = Math.min(BURST, this.#left + (nowMs - this.#filledMs) / PAUSE_MS);
    this.#filledMs = nowMs;
    while (this.#left >= 1 && this.#waiting.size > 0) {
      const peers = [...this.#waiting];
      const peer = peers[this.#ports.random.u32() % peers.length];
      if (peer === undefined) break;
      this.#waiting.delete(peer);
      this.#left -= 1;
      this.#ports.ask(peer);
    }
    if (this.#waiting.size === 0) return;
    this.#cancelNext = this.#ports.clock.timer("compare", PAUSE_MS, () => this.#work());
  }
}
