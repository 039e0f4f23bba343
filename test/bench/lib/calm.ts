/**
 * Waits for a quiet moment of a machine that others use too: a round that begins while a compiler
 * runs elsewhere measures the compiler. Bounded, because some machines are never quiet.
 */
import { cpus } from "node:os";

const LOOK_MS = 250;
/** Of all cores together, spent by anyone, the idle parts of the bench's own daemons included. */
const BUSY_SHARE_MAX = 0.3;

export class Calm {
  #leftMs: number;

  /** `patienceMs`: how long all waits together may take. */
  constructor(patienceMs: number) {
    this.#leftMs = patienceMs;
  }

  /** Resolves at a quiet moment, or once the patience is used up. */
  async wait(): Promise<void> {
    while (this.#leftMs > 0) {
      const before = times();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const after = times();
      const busyShare = 1 - (after.idle - before.idle) / (after.all - before.all);
      if (busyShare <= BUSY_SHARE_MAX) return;
      this.#leftMs -= LOOK_MS;
    }
  }
}

function times(): { readonly idle: number; readonly all: number } {
  let [idle, all] = [0, 0];
  for (const { times: spent } of cpus()) {
    idle += spent.idle;
    all += spent.user + spent.nice + spent.sys + spent.idle + spent.irq;
  }
  return { idle, all };
}
