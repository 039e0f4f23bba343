/**
 * A clock on which every look costs more than a slice of time, so that long work gives way wherever
 * it may. Only timers without a delay fire, each in a turn of its own.
 */
import type { Cancel, Clock } from "../../mesh/index.ts";

export class BusyClock implements Clock {
  /** How often work gave way. */
  turns = 0;
  /** Called in each of these turns. */
  meanwhile: () => void = () => undefined;
  #nowMs = 0;

  nowMs(): number {
    this.#nowMs += 6;
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  timer(name: string, delayMs: number, fire: () => void): Cancel {
    if (delayMs > 0) return () => undefined;
    const immediate = setImmediate(() => {
      if (name === "slice") {
        this.turns += 1;
        this.meanwhile();
      }
      fire();
    });
    return () => clearImmediate(immediate);
  }
}
