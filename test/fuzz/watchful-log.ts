/**
 * A Log that counts its lines by message, and remembers the first that must never appear: a packet
 * or a question that failed inside instead of being refused at the door.
 */
import type { Log } from "../../mesh/index.ts";

const NEVER = /^(a membership packet failed|a stream request failed|control call failed)$/;

export class WatchfulLog implements Log {
  /** BOUNDED: messages are texts in the code. */
  readonly counts = new Map<string, number>();
  failure: string | undefined;

  debug(fields: object, message: string): void {
    this.#count(fields, message);
  }
  info(fields: object, message: string): void {
    this.#count(fields, message);
  }
  warn(fields: object, message: string): void {
    this.#count(fields, message);
  }
  error(fields: object, message: string): void {
    this.#count(fields, message);
  }
  child(): Log {
    return this;
  }

  count(message: string): number {
    return this.counts.get(message) ?? 0;
  }

  #count(fields: object, message: string): void {
    this.counts.set(message, this.count(message) + 1);
    const isInternal = "code" in fields && fields.code === "INTERNAL";
    if (NEVER.test(message) || isInternal) {
      this.failure ??= `${message}: ${JSON.stringify(fields)}`;
    }
  }
}
