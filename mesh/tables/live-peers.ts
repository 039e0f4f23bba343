/**
 * The members as the tables need them: by id, and the live ones sorted, kept between events.
 *
 * Law: never older than the last membership event; asking costs nothing at a thousand peers.
 */
import type { Member } from "../membership/membership.ts";
import type { PeerId } from "../ports.ts";

export class LivePeers {
  readonly #members: () => readonly Member[];
  /** BOUNDED: the members (peersMax). */
  #byId: Map<PeerId, Member> | undefined;
  #live: readonly Member[] | undefined;

  constructor(members: () => readonly Member[]) {
    this.#members = members;
  }

  /** To be called now and then, for the round trips. */
  changed(): void {
    this.#byId = undefined;
    this.#live = undefined;
  }

  /** To be called with each membership event: where a thousand meet, all are not read anew. */
  observe(member: Member): void {
    this.#byId?.set(member.id, member);
    this.#live = undefined;
  }

  get(peer: PeerId): Member | undefined {
    return this.#read().get(peer);
  }

  isLive(peer: PeerId): boolean {
    const member = this.get(peer);
    return member !== undefined && member.state === "alive" && !member.self;
  }

  /** Every other member that is alive, by id. */
  live(): readonly Member[] {
    this.#live ??= [...this.#read().values()]
      .filter(({ state, self }) => state === "alive" && !self)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#live;
  }

  /** Every other member that may be reached: alive or suspect. */
  reachable(): readonly Member[] {
    return [...this.#read().values()].filter(
      ({ state, self }) => !self && (state === "alive" || state === "suspect"),
    );
  }

  #read(): ReadonlyMap<PeerId, Member> {
    this.#byId ??= new Map(this.#members().map((member) => [member.id, member]));
    return this.#byId;
  }
}
