/**
 * Something that is tried until it is done: one try at a time, with growing, random pauses, so that
 * peers that want the same do not keep each other from it. A full disk of this host is nobody's
 * competition: pauses stay short then.
 */
import {
  asTsweaveError,
  type Cancel,
  type Clock,
  type Log,
  type Random,
  TIMES,
} from "../mesh/index.ts";

export class Retry {
  readonly #ports: { readonly clock: Clock; readonly random: Random; readonly log: Log };
  readonly #name: string;
  readonly #attempt: () => Promise<boolean>;
  #busy = false;
  #again = false;
  #stopped = false;
  #pauseMs: number = TIMES.rosterRetryMs;
  #cancel: Cancel | undefined;

  /** `attempt` resolves with whether nothing is left to do. */
  constructor(
    ports: { readonly clock: Clock; readonly random: Random; readonly log: Log },
    name: string,
    attempt: () => Promise<boolean>,
  ) {
    this.#ports = ports;
    this.#name = name;
    this.#attempt = attempt;
  }

  /** Tries now, or once more after the try under way. */
  now(): void {
    this.#pauseMs = TIMES.rosterRetryMs;
    if (this.#busy) this.#again = true;
    else void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  async #run(): Promise<void> {
    if (this.#stopped) return;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#busy = true;
    this.#again = false;
    let done = false;
    try {
      done = await this.#attempt();
    } catch (error) {
      const { log } = this.#ports;
      const { code, message: err } = asTsweaveError(error);
      log.warn({ err, what: this.#name }, "failed, will be tried again");
      if (code === "STATE_UNWRITABLE") {
        this.#pauseMs = Math.min(this.#pauseMs, TIMES.storeRetryMs / 2);
      }
    }
    this.#busy = false;
    if (this.#stopped || (done && !this.#again)) return;
    this.#pause();
  }

  #pause(): void {
    const { clock, random } = this.#ports;
    const delayMs = this.#again ? 0 : this.#pauseMs + (random.u32() % this.#pauseMs);
    if (!this.#again) this.#pauseMs = Math.min(this.#pauseMs * 2, TIMES.rosterRetryMsMax);
    this.#cancel = clock.timer(this.#name, delayMs, () => void this.#run());
  }
}
