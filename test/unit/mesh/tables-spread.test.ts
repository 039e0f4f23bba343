/** The eager road above the direct bound: ranges cover everyone, announcements tell the truth. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS, type Member } from "../../../mesh/index.ts";
import { inRange, markReader, marksOf } from "../../../mesh/tables/push.ts";
import { cutRanges } from "../../../mesh/tables/ranges.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { measureSpread } from "../../sim/spread-measure.ts";
import { StillMesh } from "../../sim/still-mesh.ts";

function members(count: number, seed: number): Member[] {
  return [...new StillMesh(seed, count).members].sort((a, b) => (a.id < b.id ? -1 : 1));
}

describe("ranges of ids", () => {
  it("put every peer, known or not, into exactly one of about √N ranges", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(1e6), (count, seed) => {
        const random = new SeededRandom(seed);
        const ranges = cutRanges(members(count, seed), random);
        assert.ok(ranges.length <= Math.ceil(Math.sqrt(count)) + 1);
        const stranger = Buffer.from(random.bytes(16)).toString("hex");
        const all = [...ranges.flatMap((part) => part.members.map(({ id }) => id)), stranger];
        assert.equal(new Set(all).size, count + 1);
        for (const id of all) {
          assert.equal(ranges.filter(({ range }) => inRange(range, id)).length, 1, id);
        }
        for (const part of ranges) {
          for (const { id } of part.members) assert.ok(inRange(part.range, id));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("mark peers in four bytes each", () => {
    const ids = members(40, 3).map(({ id }) => id);
    const marks = marksOf(ids.slice(0, 20));
    assert.equal(marks.length, 80);
    const holds = markReader(marks);
    assert.deepEqual(ids.map(holds), [...Array(20).fill(true), ...Array(20).fill(false)]);
  });
});

describe("a push to a large mesh", () => {
  it("reaches a hundred peers in two hops and costs its origin a few heads", async () => {
    const figures = await measureSpread(100, 0, 3);
    assert.ok(figures.p99Ms < 2, `${figures.p99Ms} ms`);
    assert.equal(figures.late, 0);
    assert.ok(figures.bytesMax < 5000, `${figures.bytesMax} bytes by the busiest peer`);
  });

  it("reaches everyone at 5 and at 25 % loss", async () => {
    for (const loss of [0.05, 0.25]) {
      const figures = await measureSpread(64, loss, 10);
      assert.ok(figures.p50Ms < 200, `${figures.p50Ms} ms at ${loss}`);
    }
  });

  it("names exactly those whom neither origin nor head could reach", async () => {
    const mesh = new StillMesh(5, LIMITS.directPeersMax + 18);
    await mesh.acquaint();
    await mesh.open();
    const [origin, ...others] = mesh.members.map(({ advertise }) => advertise.host);
    const lost = others.slice(0, 3);
    mesh.network.partition(lost, [origin ?? "", ...others.slice(3)]);
    mesh.nodes[0]?.tables.put("endpoints", "e", ["x"]);
    let late: readonly string[] | undefined;
    const announced = mesh.nodes[0]?.tables.announce(400).then((answer) => {
      late = answer.late;
    });
    await mesh.clock.run(401);
    await announced;
    const expected = mesh.members.slice(1, 4).map(({ id }) => id);
    assert.deepEqual([...(late ?? [])].sort(), expected.sort());
    for (const node of mesh.nodes) node.tables.stop();
    assert.ok(mesh.nodes.slice(4).every(({ tables }) => tables.rows("endpoints").length === 1));
  });

  it("reaches whom the origin has no path to, through the head of the range", async () => {
    const mesh = new StillMesh(6, 50);
    await mesh.acquaint();
    await mesh.open();
    const [origin, cutOff] = mesh.members;
    if (origin === undefined || cutOff === undefined) throw new Error("no members");
    mesh.network.partition([origin.advertise.host], [cutOff.advertise.host]);
    mesh.nodes[0]?.tables.put("endpoints", "e", ["x"]);
    const announced = mesh.nodes[0]?.tables.announce(400);
    await mesh.clock.run(401);
    assert.deepEqual(await announced, { late: [] });
    assert.equal(mesh.nodes[1]?.tables.rows("endpoints").length, 1);
    for (const node of mesh.nodes) node.tables.stop();
  });
});
