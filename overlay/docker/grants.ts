/**
 * Addresses that were given to the engine and have not come back in a CreateEndpoint yet.
 *
 * Law: an answer can be lost on its way (the engine then asks again with an empty body), so an
 * address without an endpoint is taken back, but not one that may still be on its way into use.
 */
import { type Clock, LIMITS } from "../../mesh/index.ts";

/** Prefix of the keys of addresses that Docker asked for. */
const KEY_PREFIX = "docker-";

export class Grants {
  readonly #clock: Clock;
  readonly #startMs: number;
  /** `subnet ip` → when it was given. BOUNDED: leasesMax, the oldest goes. */
  readonly #givenMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.nowMs();
  }

  given(subnet: string, ip: string): void {
    const oldest = this.#givenMs.keys().next().value;
    if (this.#givenMs.size >= LIMITS.leasesMax && oldest !== undefined)
      this.#givenMs.delete(oldest);
    this.#givenMs.set(`${subnet} ${ip}`, this.#clock.nowMs());
  }

  /** The address has its endpoint, or is released. */
  settled(subnet: string, ip: string): void {
    this.#givenMs.delete(`${subnet} ${ip}`);
  }

  /** How long ago it was given; what an earlier life gave counts from the start of this one. */
  ageMs(subnet: string, ip: string): number {
    return this.#clock.nowMs() - (this.#givenMs.get(`${subnet} ${ip}`) ?? this.#startMs);
  }
}

/** The key of an address given to the engine; `token` makes it one of its kind. */
export function grantKey(token: Uint8Array): string {
  return KEY_PREFIX + Buffer.from(token).toString("hex");
}

export function isGrantKey(key: string): boolean {
  return key.startsWith(KEY_PREFIX);
}
