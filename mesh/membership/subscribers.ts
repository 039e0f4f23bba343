/** Who listens to an engine's events; one that throws harms no other and is logged. */
import { messageOf } from "../errors.ts";
import type { Cancel, Log } from "../ports.ts";
import type { MemberEvent } from "./membership.ts";

export class Subscribers {
  readonly #log: Log;
  /** BOUNDED: subscribers within this process. */
  readonly #receivers = new Set<(event: MemberEvent) => void>();

  constructor(log: Log) {
    this.#log = log;
  }

  add(receive: (event: MemberEvent) => void): Cancel {
    this.#receivers.add(receive);
    return () => this.#receivers.delete(receive);
  }

  emit(event: MemberEvent): void {
    for (const receive of [...this.#receivers]) {
      try {
        receive(event);
      } catch (error) {
        this.#log.error({ error: messageOf(error) }, "a membership subscriber failed");
      }
    }
  }
}
