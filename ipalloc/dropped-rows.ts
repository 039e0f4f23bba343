/**
 * Until when what this host took back is known to be gone everywhere.
 *
 * Law: an address whose last holder some live peer still has in its table is given to nobody else:
 * that peer would send to the wrong container.
 */
import { type Clock, type Tables, TIMES } from "../mesh/index.ts";

export class DroppedRows {
  readonly #ports: { readonly clock: Clock; readonly tables: Tables };
  #byMs = Number.NEGATIVE_INFINITY;

  constructor(ports: { readonly clock: Clock; readonly tables: Tables }) {
    this.#ports = ports;
  }

  /** Rows that were removed by then (monotonic ms) are held by no live peer any more. */
  get byMs(): number {
    return this.#byMs;
  }

  /** Asks all live peers; resolves when they have confirmed, or after announceMs. */
  async confirm(): Promise<void> {
    const { clock, tables } = this.#ports;
    const askedMs = clock.nowMs();
    const { late } = await tables.announce(TIMES.announceMs);
    if (late.length === 0) this.#byMs = Math.max(this.#byMs, askedMs);
  }
}
