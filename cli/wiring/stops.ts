/** What has been started, to be stopped in reverse order: at a clean stop and at a failed start. */
import { type Log, messageOf } from "../../mesh/index.ts";

export class Stops {
  readonly #log: Log;
  readonly #stops: { name: string; stop: () => void | Promise<void> }[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(name: string, stop: () => void | Promise<void>): void {
    this.#stops.push({ name, stop });
  }

  /** Runs every stop once, last first; one that fails is logged and the rest still run. */
  async run(): Promise<void> {
    for (const { name, stop } of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        this.#log.warn({ part: name, error: messageOf(error) }, "did not stop cleanly");
      }
    }
  }
}
