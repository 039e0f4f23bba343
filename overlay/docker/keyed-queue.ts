/**
 * Runs work of one key in order and of different keys side by side, so that all calls for one
 * endpoint are serialised while a slow one delays no other.
 */

export class KeyedQueue {
  /** Key → its last work. BOUNDED: one entry per call in flight; removed when drained. */
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `work` after all earlier work of `key`, whether that succeeded or not. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(work);
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    try {
      return await result;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** Whether work of `key` is running or waiting. */
  busy(key: string): boolean {
    return this.#tails.has(key);
  }
}
