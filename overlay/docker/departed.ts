/**
 * Ids that Docker itself ended in this life of the daemon, so that a comparison that began before
 * does not take them for something that got lost. The engine never uses an id twice.
 */

/** A comparison takes seconds; nothing older matters. */
const DEPARTED_MAX = 4096;

export class Departed {
  /** BOUNDED: DEPARTED_MAX, the oldest goes. */
  readonly #ids = new Set<string>();

  add(id: string): void {
    const oldest = this.#ids.values().next().value;
    if (this.#ids.size >= DEPARTED_MAX && oldest !== undefined) this.#ids.delete(oldest);
    this.#ids.add(id);
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }
}
