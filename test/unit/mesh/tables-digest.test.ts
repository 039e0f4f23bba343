/** Digests: equal exactly for equal vectors, and a mismatch costs what differs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeWire, LIMITS } from "../../../mesh/index.ts";
import { deltaFromWire, deltaToWire } from "../../../mesh/tables/messages.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import { ALL_BUCKETS, BUCKETS, inMask } from "../../../mesh/tables/vector-hash.ts";

const ids = Array.from({ length: 200 }, (_, i) => (i * 7919 + 1).toString(16).padStart(32, "0"));

function full(self: string, rowsOf: (index: number) => number): Replica {
  const replica = new Replica(self, 1);
  ids.forEach((id, index) => {
    const origin = new Replica(id, 1);
    for (let row = 0; row < rowsOf(index); row += 1) origin.put("endpoints", `k${row}`, [row]);
    replica.merge({ ...origin.ownDelta(0), whole: true, floor: 0 });
  });
  return replica;
}

describe("the digest of a replica", () => {
  it("is equal exactly when the vectors are, whatever the order of changes", () => {
    const step = fc.record({ origin: fc.nat(3), key: fc.nat(3), value: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.array(fc.nat(100)), (steps, order) => {
        const origins = [0, 1, 2, 3].map((n) => new Replica(String(n).repeat(32), 1));
        const deltas = steps.flatMap(({ origin, key, value }) => {
          const one = origins[origin];
          if (one === undefined) return [];
          const before = one.ownSeq;
          one.put("names", `k${key}`, [value]);
          return [one.ownDelta(before)];
        });
        const [a, b] = [new Replica("a".repeat(32), 1), new Replica("a".repeat(32), 1)];
        for (const delta of deltas) a.merge(delta);
        for (const pick of order) {
          const delta = deltas[pick % Math.max(1, deltas.length)];
          if (delta !== undefined) b.merge(delta);
        }
        const sameVector = JSON.stringify(a.vector()) === JSON.stringify(b.vector());
        assert.equal(Buffer.compare(a.digest(), b.digest()) === 0, sameVector);
        assert.equal(a.differing(b.buckets(), b.digest()) === 0, sameVector);
        for (const one of origins) b.merge({ ...one.ownDelta(0), whole: true, floor: 0 });
        for (const one of origins) a.merge({ ...one.ownDelta(0), whole: true, floor: 0 });
        assert.deepEqual(a.digest(), b.digest());
      }),
      { numRuns: 200 },
    );
  });

  it("leads to the differing buckets only, so an answer is as small as the difference", () => {
    const a = full("f".repeat(32), () => 3);
    const b = full("f".repeat(32), (index) => (index === 17 ? 4 : 3));
    const mask = a.differing(b.buckets(), b.digest());
    const changed = ids[17] ?? "";
    assert.ok(inMask(mask, changed));
    assert.equal(mask.toString(2).replaceAll("0", "").length, 1, "one bucket");
    assert.ok(b.vector(mask).length < ids.length / 8, "not the whole vector");
    const { deltas, more } = b.deltasFor(a.vector(mask), LIMITS.syncBytesMax, mask);
    assert.deepEqual(
      deltas.map(({ origin, rows }) => [origin, rows.length]),
      [[changed, 1]],
    );
    assert.equal(more, false);
    for (const delta of deltas) a.merge(delta);
    assert.deepEqual(a.digest(), b.digest());
  });

  it("compares every bucket when four bytes of one collide", () => {
    const a = full("f".repeat(32), () => 1);
    const other = full("e".repeat(32), () => 1);
    assert.deepEqual(a.digest(), other.digest(), "logs without a change do not count");
    other.put("names", "n", [1]);
    assert.equal(a.differing(a.buckets(), other.digest()), ALL_BUCKETS);
    assert.equal(a.differing(a.buckets(), a.digest()), 0);
    assert.equal(BUCKETS, 32);
  });
});

describe("delta intervals", () => {
  it("carry a large log in pieces, each within the bound, in order", () => {
    const a = new Replica("a".repeat(32), 1);
    const b = new Replica("b".repeat(32), 1);
    a.put("names", "first", [0]);
    for (const delta of a.deltasFor([], LIMITS.syncBytesMax).deltas) b.merge(delta);
    for (let row = 0; row < 500; row += 1) a.put("endpoints", `k${row}`, ["x".repeat(200)]);
    let rounds = 0;
    for (let more = true; more; rounds += 1) {
      const answer = a.deltasFor(b.vector(), 10_000);
      for (const delta of answer.deltas) {
        assert.ok(encodeWire(deltaToWire(delta)).length < 11_000);
        assert.equal(b.merge(deltaFromWire(deltaToWire(delta))).behind, false);
      }
      more = answer.more;
    }
    assert.ok(rounds > 5);
    assert.equal(b.rows("endpoints").length, 500);
    assert.deepEqual(b.held(a.self), a.held(a.self));
  });

  it("never bring back a row whose tombstone was dropped", () => {
    const a = new Replica("a".repeat(32), 1);
    const b = new Replica("b".repeat(32), 1);
    a.put("endpoints", "k", [1]);
    const late = a.ownDelta(0);
    b.merge(late);
    a.remove("endpoints", "k");
    for (let i = 0; i <= LIMITS.tombstonesMax; i += 1) {
      a.put("endpoints", `t${i}`, [i]);
      a.remove("endpoints", `t${i}`);
    }
    for (const delta of a.deltasFor(b.vector(), LIMITS.syncBytesMax).deltas) b.merge(delta);
    assert.deepEqual(b.rows("endpoints"), []);
    assert.deepEqual(b.merge(late).changes, [], "a datagram that took an hour");
    assert.deepEqual(b.rows("endpoints"), []);
  });

  it("report a row that went and came back the same as no change", () => {
    const a = new Replica("a".repeat(32), 1);
    const b = new Replica("b".repeat(32), 1);
    a.put("names", "n", ["x"]);
    b.merge(a.ownDelta(0));
    const { ownSeq } = a;
    a.remove("names", "n");
    a.put("names", "n", ["x"]);
    assert.deepEqual(b.merge(a.ownDelta(ownSeq)).changes, []);
    assert.equal(b.held(a.self)?.seq, a.ownSeq);
  });
});
