/**
 * A failing life made as small as it gets: less time, fewer faults, fewer peers, by running it
 * again with each left out.
 *
 * Law: a smaller life counts only when it breaks the same law. Each step of a life draws from
 * randomness of its own, so the faults that are kept stay what they were.
 */
import type { SimFailure, SimOptions } from "./sim-run.ts";

/** Runs one life: what failed in it, or nothing. */
export type Run = (options: SimOptions) => Promise<SimFailure | undefined>;

export interface Shrunk {
  readonly failure: SimFailure;
  readonly runs: number;
}

const PEERS_MIN = 2;
const MINUTES_MIN = 0.05;

class Shrinker {
  readonly #run: Run;
  readonly #runsMax: number;
  #best: SimFailure;
  runs = 0;

  constructor(run: Run, failure: SimFailure, runsMax: number) {
    this.#run = run;
    this.#best = failure;
    this.#runsMax = runsMax;
  }

  get best(): SimFailure {
    return this.#best;
  }

  /** Whether a smaller life still breaks the same law; it is then the best so far. */
  async #holds(change: Partial<SimOptions>): Promise<boolean> {
    if (this.runs >= this.#runsMax) return false;
    this.runs += 1;
    const failure = await this.#run({ ...this.#best.options, ...change });
    if (failure?.violation.law !== this.#best.violation.law) return false;
    this.#best = failure;
    return true;
  }

  async all(): Promise<void> {
    await this.#peers();
    await this.#time();
    await this.#faults();
    await this.#peers();
    await this.#time();
  }

  async #peers(): Promise<void> {
    const { peers } = this.#best.options;
    const most = Math.min(peers - 1, PEERS_MIN + 4);
    for (let fewer = PEERS_MIN; fewer <= most; fewer += 1) {
      if (await this.#holds({ peers: fewer })) return;
    }
  }

  /** To the moment it failed; and where it failed after healing, by halves. */
  async #time(): Promise<void> {
    for (;;) {
      const { options, isHealing, atMs } = this.#best;
      const failed = Math.ceil(atMs / 600) / 100;
      const minutes = isHealing ? Math.ceil(options.minutes * 50) / 100 : failed;
      if (minutes >= options.minutes || minutes < MINUTES_MIN) return;
      if (!(await this.#holds({ minutes }))) return;
    }
  }

  /** Leaves out half of the faults, then quarters, down to single ones. */
  async #faults(): Promise<void> {
    let only = this.#best.struck.map(({ step }) => step);
    if (await this.#holds({ only: [] })) return;
    for (let size = Math.ceil(only.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < only.length; ) {
        const rest = only.toSpliced(at, size);
        if (await this.#holds({ only: rest })) only = rest;
        else at += size;
      }
    }
  }
}

/** The smallest life found in `runsMax` runs. */
export async function shrink(run: Run, failure: SimFailure, runsMax = 120): Promise<Shrunk> {
  const shrinker = new Shrinker(run, failure, runsMax);
  await shrinker.all();
  return { failure: shrinker.best, runs: shrinker.runs };
}

/** `simulate` as a Run. @throws whatever is not a failure of the simulated mesh. */
export function runnerOf(
  simulate: (options: SimOptions, traceMax?: number) => Promise<unknown>,
  traceMax = 0,
): Run {
  return async (options) => {
    try {
      await simulate(options, traceMax);
      return undefined;
    } catch (error) {
      if (error instanceof Error && error.name === "SimFailure") return error as SimFailure;
      throw error;
    }
  };
}
