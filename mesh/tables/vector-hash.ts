/**
 * A hash of a whole version vector, kept as it changes: 32 buckets of origins, each the exclusive
 * or of its entries' hashes. What two peers compare is 8 bytes, and where those differ 128 bytes.
 *
 * Law: equal vectors have equal hashes on every peer, in whatever order they came about; an entry
 * costs two short hashes when it changes and nothing when it does not. A log without a change says
 * nothing: peers that have written nothing yet agree without having met.
 */
import { createHash } from "node:crypto";
import type { PeerId } from "../ports.ts";
import type { VectorEntry } from "./messages.ts";

export const BUCKETS = 32;
/** Every bucket, as the mask of a digest exchange. */
export const ALL_BUCKETS = 0xffffffff;
export const STATE_HASH_BYTES = 8;
export const BUCKET_HASHES_BYTES = BUCKETS * 4;

/** Which of the 32 buckets an origin's entry belongs to: ids are random, so their end is. */
export function bucketOf(origin: PeerId): number {
  return Number.parseInt(origin.slice(-2), 16) % BUCKETS;
}

/** Whether the shorter of two hashes is the beginning of the other. */
export function sameStart(one: Uint8Array, other: Uint8Array): boolean {
  const length = Math.min(one.length, other.length);
  return Buffer.compare(one.subarray(0, length), other.subarray(0, length)) === 0;
}

/** Whether a mask names an origin's bucket. */
export function inMask(mask: number, origin: PeerId): boolean {
  return ((mask >>> bucketOf(origin)) & 1) === 1;
}

export class VectorHash {
  readonly #high = new Uint32Array(BUCKETS);
  readonly #low = new Uint32Array(BUCKETS);

  /** Takes an entry in, or out again: the two are the same operation. */
  flip({ origin, incarnation, seq }: VectorEntry): void {
    if (seq === 0) return;
    const hash = createHash("sha256").update(`${origin} ${incarnation} ${seq}`).digest();
    const bucket = bucketOf(origin);
    this.#high[bucket] = (this.#high[bucket] ?? 0) ^ hash.readUInt32BE(0);
    this.#low[bucket] = (this.#low[bucket] ?? 0) ^ hash.readUInt32BE(4);
  }

  /**
   * Eight bytes that are equal exactly when the vectors are (but for a chance of 2^-64), logs
   * without a change left out.
   */
  state(): Uint8Array {
    const bytes = Buffer.alloc(STATE_HASH_BYTES);
    bytes.writeUInt32BE(
      this.#high.reduce((all, half) => (all ^ half) >>> 0, 0),
      0,
    );
    bytes.writeUInt32BE(
      this.#low.reduce((all, half) => (all ^ half) >>> 0, 0),
      4,
    );
    return bytes;
  }

  /** Four bytes a bucket. */
  buckets(): Uint8Array {
    const bytes = Buffer.alloc(BUCKET_HASHES_BYTES);
    this.#low.forEach((hash, bucket) => {
      bytes.writeUInt32BE(hash, bucket * 4);
    });
    return bytes;
  }

  /**
   * The buckets that differ from another peer's. When the whole differs and no bucket shows it
   * (four bytes may collide), all of them.
   */
  differing(buckets: Uint8Array, state: Uint8Array): number {
    const own = this.buckets();
    let mask = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const at = bucket * 4;
      const same = Buffer.compare(own.subarray(at, at + 4), buckets.subarray(at, at + 4)) === 0;
      if (!same) mask |= 1 << bucket;
    }
    if (mask === 0 && Buffer.compare(this.state(), state) !== 0) return ALL_BUCKETS;
    return mask >>> 0;
  }
}
