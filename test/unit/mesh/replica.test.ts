/** The merge law: whatever the order, loss-then-repair and duplication, replicas become equal. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../../mesh/index.ts";
import { deltaFromWire, deltaToWire } from "../../../mesh/tables/messages.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import type { TableRow } from "../../../mesh/tables/types.ts";
import { mergeSchedules } from "../../sim/merge-laws.ts";

/** Random schedules of the merge laws; `npm run sim -- --nightly` runs 10 000. */
const SCHEDULES = Number(process.env.SCHEDULES ?? 400);

const A = "a".repeat(32);
const B = "b".repeat(32);
const C = "c".repeat(32);

function view(replica: Replica): TableRow[] {
  const rows = [...replica.rows("endpoints"), ...replica.rows("names")];
  return rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function catchUp(to: Replica, from: Replica): void {
  for (const delta of from.deltasFor(to.vector(), LIMITS.syncBytesMax).deltas) {
    assert.equal(to.merge(deltaFromWire(deltaToWire(delta))).behind, false);
  }
}

describe("Replica", () => {
  it("merges by a join: commutative, associative, idempotent, in the end byte-equal", () => {
    mergeSchedules(SCHEDULES);
  });

  it("reports each net change once and nothing for an equal value", () => {
    const a = new Replica(A, 1);
    assert.equal(a.put("endpoints", "e1", ["x"]).length, 1);
    assert.deepEqual(a.put("endpoints", "e1", ["x"]), []);
    assert.deepEqual(a.remove("endpoints", "e1"), [
      { origin: A, table: "endpoints", key: "e1", value: undefined },
    ]);
    assert.deepEqual(a.remove("endpoints", "e1"), []);
  });

  it("converges from deltas in any order, duplicated and with gaps repaired", () => {
    const op = fc.record({
      key: fc.constantFrom("k1", "k2", "k3", "k4"),
      value: fc.option(fc.integer({ min: 0, max: 9 }), { nil: null }),
    });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), fc.array(fc.nat(1000)), (ops, picks) => {
        const a = new Replica(A, 7);
        const deltas = [];
        for (const { key, value } of ops) {
          const before = a.ownSeq;
          if (value === null) a.remove("endpoints", key);
          else a.put("endpoints", key, [value]);
          deltas.push(a.ownDelta(before));
        }
        const b = new Replica(B, 1);
        const c = new Replica(C, 1);
        for (const pick of picks) {
          const delta = deltas[pick % Math.max(1, deltas.length)];
          if (delta !== undefined) (pick % 2 === 0 ? b : c).merge(delta);
        }
        catchUp(b, a);
        catchUp(c, b);
        catchUp(b, c);
        assert.deepEqual(view(b), view(a));
        assert.deepEqual(view(c), view(a));
        const own = (r: Replica) => r.vector().find((entry) => entry.origin === A);
        assert.deepEqual(own(b), own(a));
        assert.deepEqual(own(c), own(a));
      }),
      { numRuns: 300 },
    );
  });

  it("replaces a former life at once and reports only what differs", () => {
    const old = new Replica(A, 1);
    old.put("endpoints", "stays", ["1"]);
    old.put("endpoints", "goes", ["2"]);
    const b = new Replica(B, 1);
    catchUp(b, old);
    const next = new Replica(A, 2);
    next.put("endpoints", "stays", ["1"]);
    next.put("endpoints", "new", ["3"]);
    assert.equal(b.merge(next.ownDelta(0)).behind, true, "a push alone must not replace a life");
    assert.equal(b.rows("endpoints").length, 2);
    const [whole] = next.deltasFor(b.vector(), LIMITS.syncBytesMax).deltas;
    assert.ok(whole?.whole);
    const changes = b.merge(whole).changes;
    assert.deepEqual(changes.map((change) => change.key).sort(), ["goes", "new"]);
  });

  it("ignores a former life and recognises a clone of itself", () => {
    const b = new Replica(B, 1);
    const now = new Replica(A, 5);
    now.put("endpoints", "k", ["now"]);
    catchUp(b, now);
    const past = new Replica(A, 4);
    past.put("endpoints", "k", ["past"]);
    assert.deepEqual(b.merge({ ...past.ownDelta(0), whole: true }).changes, []);
    const clone = new Replica(A, 5);
    for (let i = 0; i < 3; i += 1) clone.put("endpoints", "k", [i]);
    assert.equal(now.merge(clone.ownDelta(0)).cloned, true);
    assert.deepEqual(view(now), [{ origin: A, table: "endpoints", key: "k", value: ["now"] }]);
  });

  it("keeps tombstones within their bound and serves the whole log behind the floor", () => {
    const a = new Replica(A, 1);
    const b = new Replica(B, 1);
    a.put("endpoints", "first", [0]);
    catchUp(b, a);
    a.remove("endpoints", "first");
    for (let i = 0; i < LIMITS.tombstonesMax + 10; i += 1) {
      a.put("endpoints", `k${i}`, [i]);
      a.remove("endpoints", `k${i}`);
    }
    a.put("endpoints", "last", [1]);
    const [delta] = a.deltasFor(b.vector(), LIMITS.syncBytesMax).deltas;
    assert.equal(delta?.whole, true);
    assert.ok((delta?.rows.length ?? 0) < LIMITS.tombstonesMax);
    catchUp(b, a);
    assert.deepEqual(view(b), view(a));
  });

  it("does not lose a row that changed beyond a gap when a whole log arrives", () => {
    const a = new Replica(A, 1);
    a.put("endpoints", "k", [1]);
    const b = new Replica(B, 1);
    const c = new Replica(C, 1);
    catchUp(b, a);
    catchUp(c, a);
    a.put("endpoints", "other", [1]);
    const before = a.ownSeq;
    a.put("endpoints", "k", [2]);
    assert.equal(b.merge(a.ownDelta(before)).behind, true);
    for (const delta of b.deltasFor([], LIMITS.syncBytesMax).deltas) {
      if (delta.origin === A) c.merge({ ...delta, whole: true });
    }
    assert.ok(c.rows("endpoints").some((row) => row.key === "k"));
  });

  it("survives a restart by its dump", () => {
    const a = new Replica(A, 1);
    a.put("names", "n", ["web"]);
    const b = new Replica(B, 1);
    catchUp(b, a);
    const again = new Replica(B, 2);
    again.restore(b.dump());
    assert.deepEqual(view(again), view(a));
  });
});
