/**
 * Lets a fixed number of jobs run at once and the rest wait their turn, in order.
 *
 * Law: opening hooks after a restart must not take all of a host's processors.
 */

export class Gate {
  #free: number;
  /** BOUNDED: one waiter a sandbox, LIMITS.dnsSandboxesMax. */
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#free = width;
  }

  /** Runs `job` when a place is free; settles as the job does. */
  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await job();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
