/**
 * Which peer speaks with which tag: the other direction of short.ts's tags, for peers on record.
 *
 * Law: only present lives are found, so what an earlier life sent, or what is meant for an earlier
 * life of this peer, is nobody's.
 */
import type { PeerId } from "../../ports.ts";
import { type Life, lifeOf, type PeerRecord } from "../record.ts";
import { type LifeTag, lifeTag, type PairTag, pairTag } from "./short.ts";

export class Tags {
  /** BOUNDED: the roster's entries (LIMITS.peersMax). */
  readonly #byId = new Map<PeerId, LifeTag>();
  /** BOUNDED: the roster's entries (LIMITS.peersMax). */
  readonly #byPair = new Map<PairTag, PeerId>();
  #own: LifeTag;

  constructor(self: PeerId, life: Life) {
    this.#own = lifeTag(self, life);
  }

  /** This peer goes on under another life. */
  become(self: PeerId, life: Life): void {
    this.#own = lifeTag(self, life);
    this.#byPair.clear();
    for (const [id, tag] of this.#byId) this.#byPair.set(pairTag(tag, this.#own), id);
  }

  /** Takes note of a peer's present life. */
  observe(record: PeerRecord): void {
    const { id } = record.meta;
    this.forget(id);
    const tag = lifeTag(id, lifeOf(record));
    this.#byId.set(id, tag);
    this.#byPair.set(pairTag(tag, this.#own), id);
  }

  forget(id: PeerId): void {
    const tag = this.#byId.get(id);
    if (tag !== undefined) this.#byPair.delete(pairTag(tag, this.#own));
    this.#byId.delete(id);
  }

  /** The tag of what this peer says to another one. */
  to(id: PeerId): PairTag | undefined {
    const tag = this.#byId.get(id);
    return tag === undefined ? undefined : pairTag(this.#own, tag);
  }

  /** The tag of what one peer says to another one. */
  between(speaker: PeerId, hearer: PeerId): PairTag | undefined {
    const [speaks, hears] = [this.#byId.get(speaker), this.#byId.get(hearer)];
    return speaks === undefined || hears === undefined ? undefined : pairTag(speaks, hears);
  }

  /** Who says something with this tag to this peer. */
  speaker(tag: PairTag): PeerId | undefined {
    return this.#byPair.get(tag);
  }
}
