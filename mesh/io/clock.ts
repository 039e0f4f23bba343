/** The Clock port on this process's own time: monotonic from performance.now, timers of Node. */
import type { Clock } from "../ports.ts";

/** Node fires longer timers at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

interface Armed {
  readonly name: string;
  readonly dueMs: number;
}

export interface ProcessClock extends Clock {
  /** Timers that wait now, for diagnostics. */
  armed(): readonly Armed[];
}

/** Timers keep the process alive. */
export function processClock(): ProcessClock {
  /** BOUNDED: timers of this process's own parts. */
  const waiting = new Set<Armed>();
  const nowMs = (): number => performance.now();
  return {
    nowMs,
    wallMs: () => Date.now(),
    timer: (name, delayMs, fire) => {
      const waitMs = Math.min(Math.max(0, delayMs), DELAY_MS_MAX);
      const timer: Armed = { name, dueMs: nowMs() + waitMs };
      waiting.add(timer);
      const run = (): void => {
        waiting.delete(timer);
        fire();
      };
      // Node makes a timeout of nothing a millisecond.
      const immediate = waitMs === 0 ? setImmediate(run) : undefined;
      const timeout = immediate === undefined ? setTimeout(run, waitMs) : undefined;
      return () => {
        waiting.delete(timer);
        clearImmediate(immediate);
        clearTimeout(timeout);
      };
    },
    armed: () => [...waiting],
  };
}
