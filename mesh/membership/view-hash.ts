/**
 * One hash over everything a peer believes of who is here, kept up to date record by record, in 32
 * parts, so that two peers find where their views differ without sending them.
 *
 * Law: the hash of a set is the exclusive or of its records' hashes: the order in which records
 * came does not matter, and a change costs the same at 2 peers and at 1000.
 */
import { createHash } from "node:crypto";
import type { PeerId } from "../ports.ts";
import { BUCKETS } from "./packet.ts";
import type { PeerRecord } from "./record.ts";

/** Two words of a record's SHA-256. */
export type RecordHash = readonly [number, number];

/** What a record adds to its view; the state does not count, a suspicion passes by itself. */
export function recordHash({ meta, era, boot, refutation }: PeerRecord): RecordHash {
  const line = `${meta.id} ${era} ${meta.incarnation} ${boot} ${refutation}`;
  const bytes = createHash("sha256").update(line).digest();
  return [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
}

/** The part of a view a peer belongs to, 0 to 31: five bits of its random id. */
export function bucketOf(id: PeerId): number {
  return Number.parseInt(id.slice(-2), 16) % BUCKETS;
}

export class ViewHash {
  readonly #high = new Uint32Array(BUCKETS);
  readonly #low = new Uint32Array(BUCKETS);

  /** Puts a record in, or takes it out again. */
  toggle(bucket: number, [high, low]: RecordHash): void {
    this.#high[bucket] = (this.#high[bucket] ?? 0) ^ high;
    this.#low[bucket] = (this.#low[bucket] ?? 0) ^ low;
  }

  /** Eight bytes over all. */
  digest(): Uint8Array {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE(this.#high.reduce((sum, word) => sum ^ word, 0) >>> 0, 0);
    bytes.writeUInt32BE(this.#low.reduce((sum, word) => sum ^ word, 0) >>> 0, 4);
    return bytes;
  }

  /** Four bytes a bucket. */
  buckets(): Uint8Array {
    const bytes = Buffer.alloc(BUCKETS * 4);
    this.#low.forEach((word, at) => {
      bytes.writeUInt32BE(word, at * 4);
    });
    return bytes;
  }
}

/** The buckets whose hashes differ, as a mask. */
export function differingBuckets(a: Uint8Array, b: Uint8Array): number {
  let mask = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const differs = [0, 1, 2, 3].some((at) => a[bucket * 4 + at] !== b[bucket * 4 + at]);
    if (differs) mask |= 1 << bucket;
  }
  return mask >>> 0;
}

/** Whether a record belongs to one of the buckets of a mask. */
export function isInBuckets(id: PeerId, mask: number): boolean {
  return ((mask >>> bucketOf(id)) & 1) === 1;
}
