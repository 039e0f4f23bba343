/**
 * Pools that the engine was given and has not made a network of yet.
 *
 * Law: an explicit address asked for in that time is `--aux-address`, the user's own; and a pool
 * whose network never came goes back, so that it does not stand in the way of another subnet.
 */
import { type Clock, TIMES } from "../../mesh/index.ts";

export class HeldPools {
  readonly #clock: Clock;
  /** Subnet → when the engine was given it. BOUNDED: networksMax, checked before a grant. */
  readonly #sinceMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#sinceMs.size;
  }

  given(subnet: string): void {
    this.#sinceMs.set(subnet, this.#clock.nowMs());
  }

  /** The subnet became a network, or was released. */
  settled(subnet: string): void {
    this.#sinceMs.delete(subnet);
  }

  has(subnet: string): boolean {
    return this.#sinceMs.has(subnet);
  }

  /** Every such pool, and whether it may still be on its way into use. */
  all(): { readonly subnet: string; readonly fresh: boolean }[] {
    const nowMs = this.#clock.nowMs();
    return [...this.#sinceMs].map(([subnet, sinceMs]) => ({
      subnet,
      fresh: nowMs - sinceMs < TIMES.engineInFlightMs,
    }));
  }
}
