/** Space of several generations: the own, older one is given out first, and stays apart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { join, type Ownership, recordAt } from "../../../ipalloc/ownership.ts";
import { Pool } from "../../../ipalloc/pool.ts";
import { merges } from "../../../ipalloc/tidy.ts";
import { foundedMesh } from "./sim-founded.ts";
import { within } from "./sim-until.ts";

const CIDR = parseCidr("10.40.0.0/26");

/** Intervals of lengths, owners and generations, from the start of the pool on. */
function view(...parts: readonly [number, string, number][]): Ownership {
  let start = CIDR.start;
  const intervals = parts.flatMap(([length, owner, generation]) => {
    const end = start + BigInt(length) > CIDR.end ? CIDR.end : start + BigInt(length);
    const interval = { start, end, generation, step: 0, owner, by: owner };
    start = end;
    return interval.start < end ? [interval] : [];
  });
  return join([], intervals);
}

test("gifts come of the oldest space that has a block not much smaller", () => {
  const given = (...parts: readonly [number, string, number][]) => {
    const pool = new Pool(CIDR, "a");
    pool.learn(view(...parts));
    const block = pool.spareBlock(CIDR);
    return block && [Number(block.start - CIDR.start), Number(block.end - block.start)];
  };
  assert.deepEqual(given([16, "a", 0], [48, "a", 2]), [8, 8], "8 of the own rather than 16");
  assert.deepEqual(given([3, "a", 0], [29, "b", 0], [32, "a", 2]), [32, 16], "1 would be too few");
  assert.deepEqual(given([32, "a", 4], [16, "a", 0], [16, "b", 0]), [32, 16]);
  assert.deepEqual(given([32, "b", 0], [32, "a", 4]), [48, 8], "there is no older");
});

test("addresses come of the lowest generation that has one, whatever happened before", () => {
  const part = fc.tuple(
    fc.integer({ min: 1, max: 20 }),
    fc.constantFrom("a", "b"),
    fc.constantFrom(0, 3, 5),
  );
  const views = fc.array(fc.array(part, { maxLength: 8 }), { minLength: 1, maxLength: 5 });
  const act = fc.integer({ min: 0, max: 63 });
  fc.assert(
    fc.property(views, fc.array(act, { maxLength: 40 }), (learned, acts) => {
      const pool = new Pool(CIDR, "a");
      for (const parts of learned) {
        pool.learn(view(...parts));
        for (const offset of acts) {
          const address = CIDR.start + BigInt(offset);
          if (pool.leases.at(address) !== undefined) pool.leases.release(address, 0);
          else if (pool.obstacle(address) === undefined) pool.lease(address, `k${offset}`, 0, true);
        }
        pool.wake(1);
        const free: bigint[] = [];
        for (let at = CIDR.start; at < CIDR.end; at++) {
          if (pool.obstacle(at) === undefined) free.push(at);
        }
        assert.equal(pool.free, BigInt(free.length));
        const generation = (at: bigint) => recordAt(pool.ownership, at)?.generation;
        const picked = pool.pick(CIDR);
        const lowest = Math.min(...free.map((at) => generation(at) ?? 0));
        if (picked === undefined) assert.deepEqual(free, []);
        else {
          assert.ok(free.includes(picked));
          assert.equal(generation(picked), lowest);
        }
      }
    }),
  );
});

test("what the newest removal brought stays apart; older space becomes one range", () => {
  const before = view([8, "a", 0], [8, "a", 3], [8, "a", 5], [8, "a", 5], [8, "b", 0]);
  const after = (removedAt: number) =>
    join(before, merges(before, "a", removedAt)).map(({ start, end, generation }) => [
      Number(start - CIDR.start),
      Number(end - CIDR.start),
      generation,
    ]);
  const other = [32, 40, 0];
  assert.deepEqual(after(5), [[0, 16, 3], [16, 32, 5], other]);
  assert.deepEqual(after(6), [[0, 32, 5], other]);
  assert.deepEqual(after(0), [[0, 32, 5], other]);
});

test("the heir of a host that was cut off does not give out of its space at once", async () => {
  const pool = "10.40.0.0/24";
  for (let seed = 1; seed <= 4; seed++) {
    const mesh = await foundedMesh(pool, 2, { seed });
    const heir = seed % 2;
    const give = (host: number, key: string) =>
      within(mesh, mesh.ipalloc(host).allocate(pool, key));
    mesh.partition([0]);
    await mesh.run(1000);
    const { state } = await within(
      mesh,
      mesh.ipalloc(heir).forget([mesh.host(1 - heir).id], "gone-for-good"),
    );
    assert.equal(state, "done");
    // Long enough for the heir to tidy its ranges.
    await mesh.run(10_000);
    const given: string[] = [];
    for (let round = 0; round < 30; round++) {
      given.push(await give(0, `a${round}`), await give(1, `b${round}`));
    }
    assert.equal(new Set(given).size, given.length, `seed ${seed}`);
    mesh.heal();
    await mesh.run(30_000);
    assert.deepEqual(
      [0, 1].flatMap((host) =>
        mesh
          .ipalloc(host)
          .status()
          .pools.flatMap((one) => one.conflicts),
      ),
      [],
      "the host that came back was given every address that it runs",
    );
  }
});
