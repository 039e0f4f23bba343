/**
 * The named, repeating chores of an engine, each on its own period, none outliving the engine.
 *
 * Law: a chore that fails is logged and runs again; one that has nothing to do costs nothing.
 */
import { messageOf } from "../errors.ts";
import type { Cancel, Clock, Log } from "../ports.ts";

export class Loops {
  readonly #clock: Clock;
  readonly #log: Log;
  /** BOUNDED: the engine's own chores, by name. */
  readonly #armed = new Map<string, Cancel>();
  #isOver = false;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Runs each `periodMs` until `stop`. */
  every(name: string, periodMs: number, run: () => void): void {
    this.whileDue(name, periodMs, () => {
      run();
      return periodMs;
    });
  }

  /** Runs in `delayMs`, then after each pause that `run` returns, until it returns undefined. */
  whileDue(name: string, delayMs: number, run: () => number | undefined): void {
    if (this.#armed.has(name)) return;
    const cancel = this.#clock.timer(`membership-${name}`, delayMs, () => {
      this.#armed.delete(name);
      const nextMs = this.#attempt(name, delayMs, run);
      if (nextMs !== undefined) this.whileDue(name, nextMs, run);
    });
    this.#armed.set(name, cancel);
  }

  isArmed(name: string): boolean {
    return this.#armed.has(name);
  }

  /** Stops all of them. */
  stop(): void {
    this.#isOver = true;
    for (const cancel of this.#armed.values()) cancel();
    this.#armed.clear();
  }

  #attempt(name: string, delayMs: number, run: () => number | undefined): number | undefined {
    try {
      const nextMs = run();
      return this.#isOver ? undefined : nextMs;
    } catch (error) {
      this.#log.error({ name, error: messageOf(error) }, "a membership loop failed");
      return delayMs;
    }
  }
}
