/** A clock that only a test moves; timers fire in time order, ties in arming order. */
import type { Cancel, Clock } from "../../mesh/index.ts";

interface Timer {
  readonly name: string;
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #wallOffsetMs: number;
  readonly #timers = new Set<Timer>();

  constructor(wallStartMs = 1_800_000_000_000) {
    this.#wallOffsetMs = wallStartMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  timer(name: string, delayMs: number, fire: () => void): Cancel {
    const timer = { name, atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Names of armed timers. */
  armed(): string[] {
    return [...this.#timers].map((timer) => timer.name);
  }

  /** Advances by `ms`, firing what falls due, without letting promises run in between. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#fire(next);
    }
    this.#nowMs = endMs;
  }

  /** Advances by `ms`; after each timer lets pending promise reactions run. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#fire(next);
      await settle();
    }
    this.#nowMs = endMs;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.#nowMs = timer.atMs;
    timer.fire();
  }

  #next(endMs: number): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > endMs) continue;
      if (best === undefined || timer.atMs < best.atMs) best = timer;
      else if (timer.atMs === best.atMs && timer.order < best.order) best = timer;
    }
    return best;
  }
}

/** Lets promise chains of reasonable depth finish. */
export async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
