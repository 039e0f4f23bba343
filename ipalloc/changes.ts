/**
 * "Something about addresses changed": one bell for waiting requests, publication and the daemon.
 */
import { asTsweaveError, type Cancel, type Clock, type Log } from "../mesh/index.ts";

export class Changes {
  readonly #log: Log;
  /** BOUNDED: one per subscriber in the code and one per waiting request. */
  readonly #listeners = new Set<() => void>();

  constructor(log: Log) {
    this.#log = log;
  }

  listen(notify: () => void): Cancel {
    const listener = () => notify();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ring(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        this.#log.error({ err: asTsweaveError(error).message }, "a listener for changes failed");
      }
    }
  }

  /** Resolves at the next ring, or after `delayMs`. */
  next(clock: Clock, delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        cancelTimer();
        cancelListener();
        resolve();
      };
      const cancelTimer = clock.timer("ipalloc-wait", delayMs, finish);
      const cancelListener = this.listen(finish);
    });
  }
}
