/**
 * The timers between a suspicion and the verdict, one a member and refutation number.
 *
 * Law: every peer that hears of a suspicion runs its own timer, and nothing but a newer record of
 * the member stops or restarts it: not another failed probe, not another accuser. A timer that
 * fires late proves that this process was paused, so it runs once more before it counts.
 */
import type { Cancel, Clock, PeerId } from "../ports.ts";

interface Suspicion {
  readonly refutation: number;
  readonly dueMs: number;
  readonly cancel: Cancel;
}

export interface SuspicionRules {
  windowMs(): number;
  wasPaused(latenessMs: number): boolean;
  /** The window passed without a refutation. */
  expire(id: PeerId): void;
}

export class Suspicions {
  /** BOUNDED: live members (LIMITS.peersMax). */
  readonly #running = new Map<PeerId, Suspicion>();
  readonly #clock: Clock;
  readonly #rules: SuspicionRules;

  constructor(clock: Clock, rules: SuspicionRules) {
    this.#clock = clock;
    this.#rules = rules;
  }

  ids(): PeerId[] {
    return [...this.#running.keys()];
  }

  /** Starts the timer unless it already runs for this refutation number. */
  raise(id: PeerId, refutation: number): void {
    if (this.#running.get(id)?.refutation === refutation) return;
    this.drop(id);
    const windowMs = this.#rules.windowMs();
    const dueMs = this.#clock.nowMs() + windowMs;
    const cancel = this.#clock.timer("suspicion", windowMs, () => this.#fire(id));
    this.#running.set(id, { refutation, dueMs, cancel });
  }

  drop(id: PeerId): void {
    this.#running.get(id)?.cancel();
    this.#running.delete(id);
  }

  clear(): void {
    for (const id of this.ids()) this.drop(id);
  }

  #fire(id: PeerId): void {
    const suspicion = this.#running.get(id);
    if (suspicion === undefined) return;
    this.drop(id);
    if (this.#rules.wasPaused(this.#clock.nowMs() - suspicion.dueMs)) {
      this.raise(id, suspicion.refutation);
    } else {
      this.#rules.expire(id);
    }
  }
}
