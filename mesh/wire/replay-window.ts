/**
 * Which counters of one sender have been seen: the sliding window of RFC 4303 §3.4.3, 1024 wide.
 *
 * Law: a counter is accepted once. What is older than the window counts as seen.
 */

/** How far behind the newest a packet may arrive: seconds of traffic between two peers. */
export const WINDOW_COUNTERS = 1024;
const WORD_BITS = 32;

export class ReplayWindow {
  #newest: number;
  /** BOUNDED: one bit a counter of the window, at the counter modulo its width. */
  readonly #seen = new Uint32Array(WINDOW_COUNTERS / WORD_BITS);

  /** Everything below `first` counts as seen. */
  constructor(first = 0) {
    this.#newest = first - 1;
    this.#seen.fill(0xffff_ffff);
  }

  /** True the first time for a counter that is not too old; remembers it. */
  accept(counter: number): boolean {
    if (!this.isFresh(counter)) return false;
    if (counter > this.#newest) this.#advance(counter);
    this.#set(counter, true);
    return true;
  }

  /** Whether `accept` would say yes. */
  isFresh(counter: number): boolean {
    if (counter > this.#newest) return true;
    if (counter <= this.#newest - WINDOW_COUNTERS) return false;
    const bit = counter % WINDOW_COUNTERS;
    return (((this.#seen[(bit / WORD_BITS) | 0] ?? 0) >>> (bit % WORD_BITS)) & 1) === 0;
  }

  #advance(counter: number): void {
    if (counter - this.#newest >= WINDOW_COUNTERS) this.#seen.fill(0);
    else for (let at = this.#newest + 1; at < counter; at += 1) this.#set(at, false);
    this.#newest = counter;
  }

  #set(counter: number, seen: boolean): void {
    const bit = counter % WINDOW_COUNTERS;
    const word = (bit / WORD_BITS) | 0;
    const mask = 1 << (bit % WORD_BITS);
    this.#seen[word] = seen ? (this.#seen[word] ?? 0) | mask : (this.#seen[word] ?? 0) & ~mask;
  }
}
