/**
 * The peers that the operator named at launch, and who of them is here.
 *
 * Law: each is counted once. Who is here goes by its first address, whichever of its addresses was
 * named, as it does in its own vote.
 */
import { addressesOf, type HostPort, LIMITS, type Member } from "../mesh/index.ts";
import { addressKey } from "./founding.ts";
import { isLive } from "./reach.ts";

export class Declared {
  /** This peer, as `host:port`. */
  readonly self: string;
  /** Every declared peer and this one, as `host:port`. BOUNDED: declaredMax. */
  readonly #named: readonly string[];
  readonly #members: () => readonly Member[];

  constructor(members: () => readonly Member[], advertise: HostPort, named: readonly HostPort[]) {
    this.#members = members;
    this.self = addressKey(advertise);
    const all = new Set([this.self, ...named.map(addressKey)]);
    this.#named = [...all].slice(0, LIMITS.declaredMax);
  }

  /** How many were named, this peer included. */
  get count(): number {
    return this.#named.length;
  }

  /** The declared peers, this one included. */
  get addresses(): readonly string[] {
    const firsts = new Map<string, string>();
    for (const { first, others } of this.#present()) {
      for (const address of others) if (!firsts.has(address)) firsts.set(address, first);
    }
    for (const { first } of this.#present()) firsts.set(first, first);
    return [...new Set(this.#named.map((address) => firsts.get(address) ?? address))];
  }

  /** The declared peers that are not here. */
  missing(): string[] {
    const present = this.present();
    return this.addresses.filter((address) => address !== this.self && !present.has(address));
  }

  /** First addresses of the peers that are here, named or not. */
  present(): Set<string> {
    return new Set(this.#present().map(({ first }) => first));
  }

  /** Other members in reach. */
  live(): readonly Member[] {
    return this.#members().filter(({ self, state }) => !self && isLive(state));
  }

  #present(): { readonly first: string; readonly others: readonly string[] }[] {
    return this.live().map((member) => {
      const [first = "", ...others] = addressesOf(member).map(addressKey);
      return { first, others };
    });
  }
}
