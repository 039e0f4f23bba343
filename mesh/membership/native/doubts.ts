/**
 * Running suspicions: who accused whom, and when doubt becomes a verdict.
 *
 * Law (Lifeguard): one accuser alone waits longest; each independent confirmation shortens the
 * wait, down to the floor after K of them. Repetition by the same accuser counts once. A timer that
 * fires late proves that this process was paused: the pause does not count, and as much time again
 * passes for a refutation that waits in a queue or was lost in it.
 */
import type { Cancel, Clock, PeerId } from "../../ports.ts";

interface Doubt {
  readonly refutation: number;
  /** BOUNDED: `accusersMax`. */
  readonly accusers: Set<PeerId>;
  startMs: number;
  dueMs: number;
  cancel: Cancel;
}

export interface DoubtRules {
  /** The wait with so many confirmations beyond the first accuser. */
  windowMs(confirmations: number): number;
  readonly accusersMax: number;
  wasStalled(latenessMs: number): boolean;
  /** Even after a short pause so much time is left for a refutation. */
  readonly secondLookMs: number;
  /** The wait passed without a refutation. */
  expire(id: PeerId): void;
}

export class Doubts {
  /** BOUNDED: live members (LIMITS.peersMax). */
  readonly #running = new Map<PeerId, Doubt>();
  readonly #clock: Clock;
  readonly #rules: DoubtRules;

  constructor(clock: Clock, rules: DoubtRules) {
    this.#clock = clock;
    this.#rules = rules;
  }

  get size(): number {
    return this.#running.size;
  }

  ids(): PeerId[] {
    return [...this.#running.keys()];
  }

  /** Starts the wait for this refutation number; one that runs goes on. */
  raise(id: PeerId, refutation: number): void {
    if (this.#running.get(id)?.refutation === refutation) return;
    this.drop(id);
    const startMs = this.#clock.nowMs();
    const doubt: Doubt = {
      refutation,
      accusers: new Set(),
      startMs,
      dueMs: startMs,
      cancel: () => undefined,
    };
    this.#running.set(id, doubt);
    this.#arm(id, doubt);
  }

  /** Counts an accuser of this very doubt; true when it is a new one that matters. */
  confirm(id: PeerId, refutation: number, accuser: PeerId): boolean {
    const doubt = this.#running.get(id);
    if (doubt?.refutation !== refutation || doubt.accusers.has(accuser)) return false;
    if (doubt.accusers.size >= this.#rules.accusersMax) return false;
    doubt.accusers.add(accuser);
    this.#arm(id, doubt);
    return true;
  }

  /** Whether another confirmation of this doubt would still shorten it. */
  isOpen(id: PeerId): boolean {
    const doubt = this.#running.get(id);
    return doubt !== undefined && doubt.accusers.size < this.#rules.accusersMax;
  }

  /** Computes all waits anew, when the number of members able to confirm changed. */
  review(): void {
    for (const [id, doubt] of [...this.#running]) this.#arm(id, doubt);
  }

  drop(id: PeerId): void {
    this.#running.get(id)?.cancel();
    this.#running.delete(id);
  }

  clear(): void {
    for (const id of this.ids()) this.drop(id);
  }

  #arm(id: PeerId, doubt: Doubt): void {
    doubt.cancel();
    const confirmations = Math.max(0, doubt.accusers.size - 1);
    const nowMs = this.#clock.nowMs();
    doubt.dueMs = Math.max(nowMs, doubt.startMs + this.#rules.windowMs(confirmations));
    doubt.cancel = this.#clock.timer("doubt", doubt.dueMs - nowMs, () => this.#fire(id, doubt));
  }

  #fire(id: PeerId, doubt: Doubt): void {
    const nowMs = this.#clock.nowMs();
    const latenessMs = nowMs - doubt.dueMs;
    if (this.#rules.wasStalled(latenessMs)) {
      const lookMs = Math.max(latenessMs, this.#rules.secondLookMs);
      doubt.startMs = Math.min(nowMs, doubt.startMs + latenessMs + lookMs);
      this.#arm(id, doubt);
      return;
    }
    this.drop(id);
    this.#rules.expire(id);
  }
}
