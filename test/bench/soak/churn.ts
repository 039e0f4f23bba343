/** Containers that come and go at a pace, each tried with one ping when it comes. */
import type { AttachMesh, Container } from "../lib/attach-mesh.ts";

export interface Pace {
  readonly perSecond: number;
  /** So many live at a time; above it the oldest goes for each that comes. */
  readonly alive: number;
}

/** Under way at once; a start that finds so many is left out, and shows in the count. */
const UNDER_WAY_MAX = 40;
const FAILURES_KEPT = 20;

export class Churn {
  readonly #mesh: AttachMesh;
  readonly #pace: Pace;
  /** BOUNDED: #pace.alive and what is under way. */
  readonly #alive: Container[] = [];
  /** BOUNDED: UNDER_WAY_MAX. */
  readonly #underWay = new Set<Promise<void>>();
  readonly attachMs: number[] = [];
  readonly failures: string[] = [];
  born = 0;
  failed = 0;
  lost = 0;

  constructor(mesh: AttachMesh, pace: Pace) {
    this.#mesh = mesh;
    this.#pace = pace;
  }

  get alive(): number {
    return this.#alive.length;
  }

  async run(forMs: number): Promise<void> {
    const startMs = performance.now();
    const everyMs = 1000 / this.#pace.perSecond;
    for (let nth = 0; nth * everyMs < forMs; nth++) {
      const restMs = startMs + nth * everyMs - performance.now();
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
      if (this.#underWay.size < UNDER_WAY_MAX) this.#begin(() => this.#turn(nth));
    }
    await Promise.all(this.#underWay);
  }

  /** All containers go. */
  async end(): Promise<void> {
    for (const container of this.#alive.splice(0)) await this.#mesh.remove(container);
  }

  #begin(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        this.failed += 1;
        if (this.failures.length < FAILURES_KEPT) this.failures.push(String(error));
      })
      .finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
  }

  async #turn(nth: number): Promise<void> {
    const host = this.#mesh.hosts[nth % this.#mesh.hosts.length];
    if (host === undefined) return;
    const container = await this.#mesh.container(host);
    this.attachMs.push(container.attachMs);
    this.born += 1;
    // One of the youngest half on another host: it will live longer than the ping takes.
    const half = this.#alive.slice(-this.#pace.alive / 2);
    const others = half.filter((other) => other.host !== host);
    const other = others[nth % Math.max(1, others.length)];
    if (other !== undefined) this.lost += 1 - (await this.#mesh.echoes(container, other, 1));
    this.#alive.push(container);
    if (this.#alive.length <= this.#pace.alive) return;
    const oldest = this.#alive.shift();
    if (oldest !== undefined) await this.#mesh.remove(oldest);
  }
}
