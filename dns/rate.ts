/**
 * How many queries of one sandbox are looked at: a token bucket.
 *
 * Law: a container that asks without end takes a bounded share of the daemon, which serves all
 * others and the mesh besides.
 */
import { type Clock, LIMITS } from "../mesh/index.ts";

export class QueryRate {
  readonly #clock: Clock;
  #tokens: number = LIMITS.dnsQueriesBurstMax;
  #filledMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledMs = clock.nowMs();
  }

  /** Whether one more query may be looked at now. */
  take(): boolean {
    if (this.#tokens < 1) this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #fill(): void {
    const nowMs = this.#clock.nowMs();
    const due = ((nowMs - this.#filledMs) * LIMITS.dnsQueriesPerSecondMax) / 1000;
    this.#tokens = Math.min(this.#tokens + due, LIMITS.dnsQueriesBurstMax);
    this.#filledMs = nowMs;
  }
}
