/**
 * Lifeguard's local health: how far this peer should trust its own timers.
 *
 * Law: a peer that misses answers which others do get, or that is itself suspected, slows down
 * before it accuses: its periods and timeouts stretch together.
 */
export class Health {
  readonly #max: number;
  #score = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** 0 is healthy. */
  get score(): number {
    return this.#score;
  }

  /** By what own periods and timeouts are multiplied. */
  get stretch(): number {
    return 1 + this.#score;
  }

  /** Worse by `delta`, better when negative. */
  note(delta: number): void {
    this.#score = Math.min(this.#max, Math.max(0, this.#score + delta));
  }
}
