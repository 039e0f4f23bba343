/**
 * Two small tools of order: a queue that runs one job at a time, and a worker that turns any
 * number of requests into one run after another.
 *
 * Law: whatever changes the kernel does so one at a time, so that a pass and a Join never work
 * from two different readings of the tables.
 */
import type { Cancel, Clock } from "../mesh/index.ts";

/** Runs jobs in the order they came, one at a time. A failing job hurts only its caller. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** Coalesces requests: at most one run at a time, and one more after it when asked meanwhile. */
export class CoalescingWorker {
  readonly #clock: Clock;
  readonly #name: string;
  readonly #work: () => Promise<void>;
  #dueMs: number | undefined;
  #cancelTimer: Cancel | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Callers of flush() for the next run. BOUNDED: one a caller that waits. */
  #waiters: (() => void)[] = [];

  /** `work` must not reject. */
  constructor(clock: Clock, name: string, work: () => Promise<void>) {
    this.#clock = clock;
    this.#name = name;
    this.#work = work;
  }

  /** Asks for a run that starts at the latest `delayMs` from now; the earliest wish wins. */
  request(delayMs = 0): void {
    const dueMs = this.#clock.nowMs() + delayMs;
    if (this.#stopped || (this.#dueMs !== undefined && this.#dueMs <= dueMs)) return;
    this.#dueMs = dueMs;
    this.#arm();
  }

  /** Resolves when a run that started after this call is done, or the worker is stopped. */
  flush(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    const done = new Promise<void>((resolve) => this.#waiters.push(resolve));
    this.request();
    return done;
  }

  /** No further runs; resolves when the present one is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#running;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  #arm(): void {
    this.#cancelTimer?.();
    if (this.#running !== undefined || this.#dueMs === undefined || this.#stopped) return;
    const delayMs = Math.max(0, this.#dueMs - this.#clock.nowMs());
    this.#cancelTimer = this.#clock.timer(this.#name, delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#dueMs = undefined;
    const waiters = this.#waiters.splice(0);
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      for (const resolve of waiters) resolve();
      this.#arm();
    });
  }
}
