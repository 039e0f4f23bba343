/**
 * One host's clock over the world's: its wall clock jumps, a pause holds its timers back, and after
 * a crash none of them fires.
 */
import type { Cancel, Clock } from "../../mesh/index.ts";

export class HostClock implements Clock {
  readonly #world: Clock;
  readonly #isPaused: () => boolean;
  #held: (() => void)[] = [];
  #alive = true;
  #armed = 0;
  wallOffsetMs: number;

  constructor(world: Clock, isPaused: () => boolean, wallOffsetMs: number) {
    this.#world = world;
    this.#isPaused = isPaused;
    this.wallOffsetMs = wallOffsetMs;
  }

  nowMs(): number {
    return this.#world.nowMs();
  }

  wallMs(): number {
    return this.#world.wallMs() + this.wallOffsetMs;
  }

  timer(name: string, delayMs: number, fire: () => void): Cancel {
    let live = true;
    const run = () => {
      if (!live || !this.#alive) return;
      if (this.#isPaused()) {
        this.#held.push(run);
        return;
      }
      live = false;
      this.#armed -= 1;
      fire();
    };
    const cancel = this.#world.timer(name, delayMs, run);
    this.#armed += 1;
    return () => {
      if (live) this.#armed -= 1;
      live = false;
      cancel();
    };
  }

  /** Timers that have yet to fire: what a process has under way is bounded. */
  get armed(): number {
    return this.#armed;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** What fell due during a pause happens now. */
  resume(): void {
    for (const run of this.#held.splice(0)) run();
  }

  /** The process is gone. */
  kill(): void {
    this.#alive = false;
    this.#held = [];
  }
}
