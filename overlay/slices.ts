/**
 * Long work in slices, so that this process answers Docker, peers and people in between.
 *
 * Law: pure code says only where it may be interrupted; one runner decides whether it is, and work
 * of a few rows runs through in one go. Whoever gives way reads the tables before, so what it
 * decided may be old news after: see recheck.ts.
 */
import type { Clock } from "../mesh/index.ts";

/** Work that may be interrupted where it yields, and in the end returns its result. */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** Between two looks at the clock; about half a millisecond of the slowest work on a row. */
const ROWS = 250;
/** How long nobody else is answered. */
const SLICE_MS = 5;

/** Hands over each row. */
export function* inSlices<T>(rows: Iterable<T>, take: (row: T) => void): Sliced<void> {
  let left = ROWS;
  for (const row of rows) {
    take(row);
    left -= 1;
    if (left > 0) continue;
    left = ROWS;
    yield;
  }
}

/** Does the work in one go. */
export function whole<T>(work: Sliced<T>): T {
  let step = work.next();
  while (step.done !== true) step = work.next();
  return step.value;
}

/** Does work in slices. All that is done by one of these shares the time of a slice. */
export class Slices {
  readonly #clock: Clock;
  #sinceMs = Number.NEGATIVE_INFINITY;
  /** Resolves when the others had their turn. */
  #turn: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with the result of the work; rejects with what it throws. */
  async run<T>(work: Sliced<T>): Promise<T> {
    // Whoever waited for something else did not keep anybody waiting.
    if (this.#isOver()) this.#sinceMs = this.#clock.nowMs();
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      if (this.#isOver()) await this.#giveWay();
    }
  }

  #isOver(): boolean {
    return this.#clock.nowMs() - this.#sinceMs >= SLICE_MS;
  }

  #giveWay(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      this.#clock.timer("slice", 0, () => {
        this.#turn = undefined;
        this.#sinceMs = this.#clock.nowMs();
        resolve();
      });
    });
    return this.#turn;
  }
}
