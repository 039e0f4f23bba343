/**
 * Random choices of the failure detector, through the Random port.
 *
 * Law: probes go round: no member is probed twice before all were probed once, which bounds the
 * time to the first failed probe (SWIM, section 4.3).
 */
import type { PeerId, Random } from "../ports.ts";

/** Uniform in [0, bound). */
function below(random: Random, bound: number): number {
  return Math.floor((random.u32() / 2 ** 32) * bound);
}

/** At most `count` distinct items in random order. */
export function sample<T>(random: Random, items: readonly T[], count: number): T[] {
  const rest = [...items];
  const chosen: T[] = [];
  while (chosen.length < count && rest.length > 0) {
    chosen.push(...rest.splice(below(random, rest.length), 1));
  }
  return chosen;
}

export class ProbeOrder {
  readonly #random: Random;
  /** BOUNDED: at most the live members (LIMITS.peersMax). */
  #round: PeerId[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next member to probe among those live now; newcomers wait for the next round. */
  next(live: readonly PeerId[]): PeerId | undefined {
    const present = new Set(live);
    for (let wrapped = false; ; wrapped = true) {
      for (let id = this.#round.pop(); id !== undefined; id = this.#round.pop()) {
        if (present.has(id)) return id;
      }
      if (wrapped || live.length === 0) return undefined;
      this.#round = sample(this.#random, live, live.length);
    }
  }
}
