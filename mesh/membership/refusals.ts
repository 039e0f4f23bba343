/**
 * Damaged packets in the log: each at debug, each 1000th from the first on at warn, so that floods
 * stay readable.
 */
import { messageOf } from "../errors.ts";
import type { HostPort, Log } from "../ports.ts";

export class Refusals {
  readonly #log: Log;
  readonly #text: string;
  #count = 0;

  constructor(log: Log, text = "refused a membership packet") {
    this.#log = log;
    this.#text = text;
  }

  note(from: HostPort, error: unknown): void {
    const fields = { from, refused: this.#count + 1, error: messageOf(error) };
    if (this.#count % 1000 === 0) this.#log.warn(fields, this.#text);
    else this.#log.debug(fields, this.#text);
    this.#count += 1;
  }
}
