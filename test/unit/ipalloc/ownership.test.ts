/** The laws of the ownership CRDT, on small pools where a pointwise model is the oracle. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { divide, makeFounding } from "../../../ipalloc/founding.ts";
import {
  assertOwnership,
  compareRecords,
  give,
  type Interval,
  join,
  news,
  type OwnerRecord,
  type Ownership,
  recordAt,
  slices,
} from "../../../ipalloc/ownership.ts";
import { decodeOwnership, encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import { decodeWire, encodeWire, LIMITS } from "../../../mesh/index.ts";

const POOL = parseCidr("10.0.0.0/27");
const STORES = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"];

const interval = fc
  .record({
    start: fc.nat(31),
    length: fc.integer({ min: 1, max: 10 }),
    generation: fc.nat(1),
    step: fc.nat(3),
    owner: fc.constantFrom(...STORES),
    by: fc.constantFrom(...STORES),
  })
  .map(
    ({ start, length, ...record }): Interval => ({
      start: POOL.start + BigInt(start),
      end: POOL.start + BigInt(Math.min(32, start + length)),
      ...record,
    }),
  );

const view = fc
  .array(interval, { maxLength: 8 })
  .map((intervals) => intervals.reduce<Ownership>((all, one) => join(all, [one]), []));

function bytes(value: Ownership): string {
  return Buffer.from(encodeWire(encodeOwnership(value, 32))).toString("hex");
}

function pointwise(value: Ownership): (OwnerRecord | undefined)[] {
  return Array.from({ length: 32 }, (_, offset) => {
    const hit = value.find(
      ({ start, end }) => start <= POOL.start + BigInt(offset) && POOL.start + BigInt(offset) < end,
    );
    if (hit === undefined) return undefined;
    const { generation, step, owner, by } = hit;
    return { generation, step, owner, by };
  });
}

test("join is commutative, associative, idempotent and byte-equal in any order", () => {
  fc.assert(
    fc.property(view, view, view, (a, b, c) => {
      assert.equal(bytes(join(a, b)), bytes(join(b, a)));
      assert.equal(bytes(join(join(a, b), c)), bytes(join(a, join(b, c))));
      assert.equal(bytes(join(a, a)), bytes(a));
      assert.equal(bytes(join(join(a, b), b)), bytes(join(a, b)));
      assertOwnership(join(a, b), POOL, a);
    }),
    { numRuns: 500 },
  );
});

test("intervals say what a pointwise maximum says", () => {
  fc.assert(
    fc.property(view, view, (a, b) => {
      const left = pointwise(a);
      const right = pointwise(b);
      const joined = pointwise(join(a, b));
      const newer = pointwise(news(a, b));
      for (let at = 0; at < 32; at++) {
        const [l, r] = [left[at], right[at]];
        const larger = l === undefined || (r !== undefined && compareRecords(l, r) < 0) ? r : l;
        assert.deepEqual(joined[at], larger);
        const isNews = l !== undefined && (r === undefined || compareRecords(l, r) > 0);
        assert.deepEqual(newer[at], isNews ? l : undefined);
        const found = recordAt(a, POOL.start + BigInt(at));
        assert.equal(found?.owner, l?.owner);
        assert.equal(found?.step, l?.step);
      }
      assert.equal(bytes(join(b, news(a, b))), bytes(join(a, b)), "news is all that is missing");
    }),
    { numRuns: 500 },
  );
});

test("only the owner of every address can give a range, and what it gives wins", () => {
  fc.assert(
    fc.property(view, fc.nat(31), fc.integer({ min: 1, max: 8 }), (a, offset, length) => {
      const start = POOL.start + BigInt(offset);
      const end = start + BigInt(length) > POOL.end ? POOL.end : start + BigInt(length);
      const [from = "", to = ""] = STORES;
      const part = pointwise(a).slice(offset, offset + Number(end - start));
      const mine = part.every((record) => record?.owner === from);
      const gift = give(a, { start, end }, from, to);
      assert.equal(gift !== undefined, mine);
      if (gift === undefined) return;
      assert.equal(gift.length, 1);
      const after = pointwise(join(a, gift)).slice(offset, offset + Number(end - start));
      assert.ok(after.every((record) => record?.owner === to && record.by === from));
    }),
    { numRuns: 500 },
  );
});

test("a view survives its encoding; foreign bytes are refused, not believed", () => {
  fc.assert(
    fc.property(view, (a) => {
      const wire = decodeWire(encodeWire(encodeOwnership(a, 32)));
      assert.deepEqual(decodeOwnership(wire, "test", POOL), a);
    }),
  );
  const store = STORES[0] ?? "";
  const four = (last: number) => Uint8Array.of(10, 0, 0, last);
  const bad = [
    [[store], [[four(9), four(3), 0, 1, 0, 0]]],
    [[store], [[four(3), four(99), 0, 1, 0, 0]]],
    [
      [store],
      [
        [four(5), four(9), 0, 1, 0, 0],
        [four(3), four(4), 0, 1, 0, 0],
      ],
    ],
    [[store], [[four(3), four(4), 0, 1, 0, 7]]],
    [[store], [[four(3), four(4), 0, Number.MAX_SAFE_INTEGER, 0, 0]]],
    [["no store"], []],
    [[store], [[Uint8Array.of(1), four(4), 0, 1, 0, 0]]],
    "text",
  ];
  for (const value of bad) {
    assert.throws(() => decodeOwnership(value, "test", POOL), { code: "BAD_MESSAGE" });
  }
  fc.assert(
    fc.property(fc.anything(), (value) => {
      try {
        decodeOwnership(value as never, "test", POOL);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "BAD_MESSAGE");
      }
    }),
  );
});

test("the first division covers the pool once and differs by at most one address", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), (count) => {
      const founders = Array.from({ length: count }, (_, index) => ({
        store: (index + 1).toString(16).padStart(16, "0"),
        peer: index.toString(16).padStart(32, "0"),
      }));
      const founding = makeFounding("0123456789abcdef", founders.toReversed());
      const shares = divide(POOL, founding);
      assertOwnership(shares, POOL);
      assert.deepEqual(founding.founders, founders, "sorted by store");
      assert.equal(pointwise(shares).filter((record) => record !== undefined).length, 32);
      const sizes = shares.map(({ start, end }) => Number(end - start));
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
    }),
  );
});

test("a fragmented view is cut into parts that each fit a row, and the longest does fit", () => {
  const big = parseCidr("10.0.0.0/16");
  const store = (index: number) => index.toString(16).padStart(16, "f");
  const scattered = Array.from({ length: 5000 }, (_, index): Interval => {
    const start = big.start + BigInt(index * 2);
    const [owner, by] = [store(index % 2000), store(2000 + (index % 2000))];
    return { start, end: start + 1n, generation: 1, step: 2 ** 40, owner, by };
  });
  const parts = slices(scattered);
  assert.deepEqual(parts.flat(), scattered);
  for (const part of parts) {
    const wire = encodeWire(encodeOwnership(part, 32));
    assert.ok(wire.length < LIMITS.rowBytesMax, `${wire.length} bytes`);
    assert.deepEqual(decodeOwnership(decodeWire(wire), "part", big), part);
  }
});
