/**
 * How many intervals the ownership of a pool falls into after random gifts: eight stores with one
 * view, blocks that go to whoever asks, single addresses that are claimed, leases that come and go.
 */
import { parseCidr } from "../../ipalloc/cidr.ts";
import { divide, makeFounding } from "../../ipalloc/founding.ts";
import { give, type Ownership } from "../../ipalloc/ownership.ts";
import { Pool } from "../../ipalloc/pool.ts";
import { merges, returned } from "../../ipalloc/tidy.ts";
import { SeededRandom } from "./seeded-random.ts";

const STORES = 8;

/** `none`: gifts as they come; `near`: blocks beside the asker's first; `tidy`: and owners tidy. */
export type Policy = "none" | "near" | "tidy";

export interface Fragmentation {
  /** Intervals of the whole pool, after each tenth of the operations. */
  readonly intervals: readonly number[];
  readonly gifts: number;
  readonly returns: number;
}

/** @param check called with the view after each operation */
export function fragment(
  seed: number,
  operations: number,
  policy: Policy,
  check: (view: Ownership) => void = () => undefined,
): Fragmentation {
  const random = new SeededRandom(seed);
  const cidr = parseCidr("10.40.0.0/16");
  const ids = Array.from({ length: STORES }, (_, n) => (n + 1).toString(16).padStart(16, "0"));
  const founding = makeFounding(
    "f".repeat(16),
    ids.map((store) => ({ store, peer: store.padEnd(32, "0") })),
  );
  const pools = ids.map((store) => new Pool(cidr, store));
  const learn = (records: Ownership): void => {
    for (const pool of pools) pool.learn(records);
  };
  learn(divide(cidr, founding));
  let keys = 0;
  let [gifts, returns] = [0, 0];
  const intervals: number[] = [];
  for (let step = 1; step <= operations; step++) {
    const [giver, asker] = [random.below(STORES), random.below(STORES)].map(
      (n) => pools[n] as Pool,
    );
    if (giver === undefined || asker === undefined) continue;
    const dice = random.below(10);
    if (dice < 4 && giver !== asker) {
      const block = giver.spareBlock(cidr, policy === "none" ? undefined : asker.store);
      const gift =
        block === undefined ? undefined : give(giver.ownership, block, giver.store, asker.store);
      if (gift !== undefined) learn(gift);
      gifts += gift === undefined ? 0 : 1;
    } else if (dice < 5 && giver !== asker) {
      const start = cidr.start + BigInt(random.below(65_536));
      if (giver.obstacle(start) !== undefined) continue;
      learn(give(giver.ownership, { start, end: start + 1n }, giver.store, asker.store) ?? []);
    } else if (dice < 8) {
      const address = giver.pick(cidr);
      if (address !== undefined) giver.lease(address, `k${keys++}`, 0, true);
    } else {
      const held = [...giver.leases.entries()][random.below(Math.max(1, giver.leases.count))];
      if (held !== undefined) giver.leases.release(held[0], 0);
      giver.wake(1);
    }
    if (policy === "tidy") {
      for (const pool of pools) {
        const merged = merges(pool.ownership, pool.store);
        if (merged.length > 0) learn(merged);
        const back = returned(pool, () => true);
        if (back !== undefined) learn(back);
        returns += back === undefined ? 0 : 1;
      }
    }
    check(giver.ownership);
    if (step % (operations / 10) === 0) intervals.push(giver.ownership.length);
  }
  return { intervals, gifts, returns };
}
