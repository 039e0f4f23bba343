/** Which life a tag names: the other direction of short.ts's `lifeTag`, for the peers on record. */
import type { PeerId } from "../../ports.ts";
import type { PeerRecord } from "../record.ts";
import { lifeOf } from "../record.ts";
import { type LifeTag, lifeTag } from "./short.ts";

export class Tags {
  /** BOUNDED: the roster's entries (LIMITS.peersMax). */
  readonly #byId = new Map<PeerId, LifeTag>();
  /** BOUNDED: the roster's entries (LIMITS.peersMax). */
  readonly #byTag = new Map<LifeTag, PeerId>();

  /** Takes note of a peer's present life. */
  observe(record: PeerRecord): void {
    const { id } = record.meta;
    this.forget(id);
    const tag = lifeTag(id, lifeOf(record));
    this.#byId.set(id, tag);
    this.#byTag.set(tag, id);
  }

  forget(id: PeerId): void {
    const tag = this.#byId.get(id);
    if (tag !== undefined) this.#byTag.delete(tag);
    this.#byId.delete(id);
  }

  /** The tag of a peer's present life. */
  of(id: PeerId): LifeTag | undefined {
    return this.#byId.get(id);
  }

  /** Whose present life this is. */
  peer(tag: LifeTag): PeerId | undefined {
    return this.#byTag.get(tag);
  }
}
