/**
 * What changed rows of a peer still cause here, its endpoints' entries in the kernel above all.
 *
 * Law: a peer hears that its rows are held once that is done, so that who waits for it (a Join)
 * can be reached from here; but what takes longer than an announcement waits is not waited for.
 */
import { LIMITS, TIMES } from "../limits.ts";
import type { Cancel, Clock, PeerId } from "../ports.ts";

export class Consequences {
  readonly #clock: Clock;
  /** BOUNDED: peersMax, an entry goes when its work is done. */
  readonly #work = new Map<PeerId, Promise<unknown>>();
  /** BOUNDED: waitingAcksMax. */
  readonly #waiting = new Set<Cancel>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  stop(): void {
    for (const cancel of this.#waiting) cancel();
    this.#waiting.clear();
  }

  /** Changes of a peer's rows cause `work`, which may fail. */
  add(peer: PeerId, work: Promise<unknown>): void {
    const all = Promise.allSettled([this.#work.get(peer), work]).then(() => {
      if (this.#work.get(peer) === all) this.#work.delete(peer);
    });
    this.#work.set(peer, all);
  }

  /**
   * Calls `act` when what a peer's rows have caused so far is done, or after announceMs. Of too
   * many that wait the newest is dropped: its sender asks again.
   */
  whenDone(peer: PeerId, act: () => void): void {
    const work = this.#work.get(peer);
    if (work === undefined) {
      act();
      return;
    }
    if (this.#waiting.size >= LIMITS.waitingAcksMax) return;
    const finish = (): void => {
      if (!this.#waiting.delete(cancel)) return;
      cancel();
      act();
    };
    const cancel = this.#clock.timer("consequences", TIMES.announceMs, finish);
    this.#waiting.add(cancel);
    void work.then(finish);
  }
}
