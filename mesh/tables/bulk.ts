/**
 * Large fetches, one at a time: a peer that comes late lacks everything, and all whom it meets have
 * everything for it.
 *
 * Law: what is fetched from one peer is not fetched from others meanwhile; they wait, and are then
 * asked for what is still missing. One that takes long is not waited for.
 */
import type { Cancel, Clock, PeerId } from "../ports.ts";

/** Missing changes from which on a fetch is large: some fifty kilobytes. */
const LARGE_CHANGES = 1000;
const PATIENCE_MS = 1000;

interface Fetch {
  readonly from: PeerId;
  readonly over: Promise<void>;
  readonly end: () => void;
}

export class Bulk {
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #fetch: Fetch | undefined;

  /** `onEnd` is called whenever the next one may begin. */
  constructor(clock: Clock, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  get isUnderWay(): boolean {
    return this.#fetch !== undefined;
  }

  isLarge(missingChanges: number): boolean {
    return missingChanges >= LARGE_CHANGES;
  }

  /** Resolves when the one under way is over; another may have begun since. */
  async over(): Promise<void> {
    await this.#fetch?.over;
  }

  /** One begins; it ends by itself after a while. Only while none is under way. */
  begin(from: PeerId): void {
    let cancel: Cancel = () => undefined;
    let resolve: () => void = () => undefined;
    const over = new Promise<void>((settle) => {
      resolve = settle;
    });
    const end = (): void => {
      cancel();
      this.#fetch = undefined;
      resolve();
      this.#onEnd();
    };
    this.#fetch = { from, over, end };
    cancel = this.#clock.timer("bulk", PATIENCE_MS, end);
  }

  /** The one from this peer is over, if that is the one under way. */
  end(from: PeerId): void {
    if (this.#fetch?.from === from) this.#fetch.end();
  }

  stop(): void {
    this.#fetch?.end();
  }
}
