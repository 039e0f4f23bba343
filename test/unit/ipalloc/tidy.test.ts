/** Ownership stays in few pieces: what is merged, and what is given back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { assertOwnership, join, type Ownership, recordAt } from "../../../ipalloc/ownership.ts";
import { Pool } from "../../../ipalloc/pool.ts";
import { merges, returned } from "../../../ipalloc/tidy.ts";
import { fragment } from "../../lib/fragmentation.ts";
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const CIDR = parseCidr("10.40.0.0/24");

/** Intervals of lengths and owners, with rising steps so that none coalesce. */
function view(...parts: readonly [number, string][]): Ownership {
  let start = CIDR.start;
  return parts.map(([length, owner], step) => {
    const end = start + BigInt(length);
    const interval = { start, end, generation: 0, step, owner, by: owner };
    start = end;
    return interval;
  });
}

function poolOf(store: string, ownership: Ownership): Pool {
  const pool = new Pool(CIDR, store);
  pool.learn(ownership);
  return pool;
}

test("a merge changes no owner, lowers no record and leaves no two own neighbours", () => {
  const part = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom("a", "b", "c"));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const before = view(...parts);
      const after = join(before, merges(before, "a"));
      assertOwnership(after, CIDR, before);
      for (let at = CIDR.start; at < CIDR.start + 120n; at++) {
        assert.equal(recordAt(after, at)?.owner, recordAt(before, at)?.owner);
      }
      after.forEach(({ owner, end }, index) => {
        const next = after[index + 1];
        assert.ok(!(owner === "a" && next?.owner === "a" && next.start === end));
      });
      assert.deepEqual(merges(after, "a"), [], "once is enough");
    }),
  );
});

test("an island goes back to the owner around it, when it is free and not missed", () => {
  const around = view([64, "a"], [64, "b"], [4, "a"], [60, "b"], [64, "a"]);
  const back = (pool: Pool, canTake = (_: string) => true) => returned(pool, canTake)?.[0];
  const island = CIDR.start + 128n;
  const record = back(poolOf("a", around));
  assert.deepEqual([record?.start, record?.end, record?.owner], [island, island + 4n, "b"]);
  assert.equal(
    back(poolOf("a", around), () => false),
    undefined,
    "b cannot be reached",
  );
  const used = poolOf("a", around);
  used.lease(island, "k", 0, false);
  assert.equal(back(used), undefined, "an address of it is in use");
  const full = poolOf("a", around);
  for (let at = 2n; at < 64n; at++) full.lease(CIDR.start + at, `k${at}`, 0, false);
  assert.equal(back(full), undefined, "less than half would be free");
  const between = view([64, "a"], [64, "b"], [4, "a"], [60, "c"], [64, "a"]);
  assert.equal(back(poolOf("a", between)), undefined, "it parts two owners anyway");
  assert.equal(back(poolOf("a", view([128, "a"], [128, "b"]))), undefined, "the last range stays");
});

test("a gift that touches what the asker owns is preferred, then the highest", () => {
  const pool = poolOf("a", view([64, "a"], [64, "b"], [64, "a"], [64, "c"]));
  const first = (to?: string) => Number((pool.spareBlock(CIDR, to)?.start ?? 0n) - CIDR.start);
  assert.deepEqual([first(), first("b"), first("c"), first("d")], [160, 128, 160, 160]);
});

test("random gifts and returns do not split the pool ever further", () => {
  const whole = (ownership: Ownership) =>
    assert.equal(
      ownership.reduce((sum, { start, end }) => sum + end - start, 0n),
      65_536n,
    );
  const [wild, tidy] = (["none", "tidy"] as const).map((policy) =>
    fragment(3, 1500, policy, whole),
  );
  const ends = [wild?.intervals.at(-1) ?? 0, tidy?.intervals.at(-1) ?? 0] as const;
  assert.ok(ends[1] * 2 < ends[0], `${ends[1]} intervals against ${ends[0]}`);
});

test("a host tidies after a burst, and all come to the same view", async () => {
  const mesh = new SimMesh(1, 2);
  await mesh.launch(0, []);
  await within(mesh, mesh.ipalloc(0).openPool(CIDR.text));
  await mesh.launch(1, [0]);
  await within(mesh, mesh.ipalloc(1).openPool(CIDR.text));
  await mesh.run(10_000);
  const before = mesh.host(0).disk.durable?.pool(CIDR.text)?.ownership.length ?? 0;
  const ip = "10.40.0.20";
  await within(mesh, mesh.ipalloc(1).claim(CIDR.text, "k", ip));
  await mesh.run(10_000);
  const pieces = () => mesh.host(0).disk.durable?.pool(CIDR.text)?.ownership.length ?? 0;
  assert.ok(pieces() > before, "a used island stays");
  await within(mesh, mesh.ipalloc(1).release(CIDR.text, ip));
  await mesh.run(40_000);
  // What rests is not spare: the next change of ownership looks again.
  await within(mesh, mesh.ipalloc(1).claim(CIDR.text, "k2", "10.40.0.60"));
  await mesh.run(10_000);
  const owner = () => {
    const view = mesh.host(0).disk.durable?.pool(CIDR.text)?.ownership ?? [];
    return recordAt(view, CIDR.start + 20n)?.owner;
  };
  assert.equal(owner(), mesh.ipalloc(0).status().store, "given back");
});
