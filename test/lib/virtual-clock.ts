/** A clock that only a test moves; timers fire in time order, ties in arming order. */
import type { Cancel, Clock } from "../../mesh/index.ts";

interface Timer {
  readonly name: string;
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  live: boolean;
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #wallOffsetMs: number;
  /** A binary heap, soonest first; cancelled timers stay until they come up. */
  readonly #heap: Timer[] = [];

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
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const timer = { name, atMs, order: this.#order++, fire, live: true };
    this.#push(timer);
    return () => {
      timer.live = false;
    };
  }

  /** Names of armed timers. */
  armed(): string[] {
    return this.#heap.filter((timer) => timer.live).map((timer) => timer.name);
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
    timer.live = false;
    this.#nowMs = timer.atMs;
    timer.fire();
  }

  /** Takes the soonest live timer that falls due by `endMs` off the heap. */
  #next(endMs: number): Timer | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (top.live && top.atMs > endMs) return undefined;
      this.#pop();
      if (top.live) return top;
    }
    return undefined;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !isBefore(timer, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

/** Lets promise chains of reasonable depth finish. */
export async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
