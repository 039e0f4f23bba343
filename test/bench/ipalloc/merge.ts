/** Rows of many owners read and merged one after the other, as when a peer joins a large mesh. */
import { parseCidr } from "../../../ipalloc/cidr.ts";
import type { Interval, Ownership } from "../../../ipalloc/ownership.ts";
import { decodeOwnership, encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import { Pool } from "../../../ipalloc/pool.ts";
import { decodeWire, encodeWire } from "../../../mesh/index.ts";

export interface Merge {
  readonly ranges: number;
  readonly ms: number;
  readonly bytes: number;
}

/** `peers` rows of `each` ranges that lie between those of the other peers. */
export function mergeRows(peers: number, each: number): Merge {
  const cidr = parseCidr("10.0.0.0/8");
  const ids = Array.from({ length: peers }, (_, n) => (n + 1).toString(16).padStart(16, "0"));
  const size = (cidr.end - cidr.start) / BigInt(peers * each);
  const rows = ids.map((store, n) => encodeWire(encodeOwnership(rowOf(store, n), cidr.bits)));
  const pool = new Pool(cidr, ids[0] ?? "");
  const startMs = performance.now();
  for (const row of rows) pool.learn(decodeOwnership(decodeWire(row), "bench", cidr));
  const ms = performance.now() - startMs;
  const bytes = rows.reduce((sum, row) => sum + row.length, 0);
  return { ranges: pool.ownership.length, ms, bytes };

  function rowOf(store: string, n: number): Ownership {
    return Array.from({ length: each }, (_, nth): Interval => {
      const start = cidr.start + BigInt(nth * peers + n) * size;
      const by = ids[(n + 1) % peers] ?? "";
      return { start, end: start + size, generation: 0, step: 1 + nth, owner: store, by };
    });
  }
}
