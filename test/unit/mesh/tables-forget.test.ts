/** Who does not come back: rows dropped after a day, never on doubt, back only with the peer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS, type Reachability, TIMES } from "../../../mesh/index.ts";
import { deltaFromWire, deltaToWire } from "../../../mesh/tables/messages.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import { Retention } from "../../../mesh/tables/retention.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const A = "a".repeat(32);
const B = "b".repeat(32);
const C = "c".repeat(32);

function catchUp(to: Replica, from: Replica): boolean {
  const { deltas } = from.deltasFor(to.vector(), LIMITS.syncBytesMax);
  return deltas.some((delta) => to.merge(deltaFromWire(deltaToWire(delta))).behind);
}

function three(): { a: Replica; b: Replica; c: Replica } {
  const a = new Replica(A, 5);
  a.put("endpoints", "web", ["1"]);
  const [b, c] = [new Replica(B, 1), new Replica(C, 1)];
  catchUp(b, a);
  catchUp(c, b);
  return { a, b, c };
}

describe("a forgotten peer", () => {
  it("loses its rows, and nobody's copy brings them back", () => {
    const { b, c } = three();
    assert.deepEqual(b.forget(A), [
      { origin: A, table: "endpoints", key: "web", value: undefined },
    ]);
    assert.deepEqual(b.rows("endpoints"), []);
    assert.equal(b.held(A), undefined, "no claim to hold its rows");
    catchUp(b, c);
    catchUp(c, b);
    assert.deepEqual(b.rows("endpoints"), []);
    assert.equal(c.rows("endpoints").length, 1, "who has not forgotten yet keeps them");
    assert.deepEqual(b.vector(), c.vector(), "and no exchange goes on for ever");
    const joiner = new Replica("d".repeat(32), 1);
    catchUp(joiner, b);
    assert.equal(joiner.held(A), undefined, "hollow for whoever learns it here");
  });

  it("comes back by a change of its own, in the same life or the next", () => {
    const { a, b } = three();
    b.forget(A);
    const { ownSeq } = a;
    a.put("endpoints", "db", ["2"]);
    assert.equal(b.merge(a.ownDelta(ownSeq)).behind, true, "one change is not the whole log");
    catchUp(b, a);
    assert.equal(b.rows("endpoints").length, 2);
    b.forget(A);
    const next = new Replica(A, 6);
    next.put("endpoints", "web", ["1"]);
    catchUp(b, next);
    assert.equal(b.rows("endpoints").length, 1);
  });

  it("comes back unchanged once it is seen again", () => {
    const { a, b } = three();
    b.forget(A);
    catchUp(b, a);
    assert.deepEqual(b.rows("endpoints"), [], "its entry hides that its rows are missing");
    b.revive(A);
    catchUp(b, a);
    assert.equal(b.rows("endpoints").length, 1);
  });

  it("stays forgotten over a restart", () => {
    const { b } = three();
    b.forget(A);
    const again = new Replica(B, 2);
    again.restore(b.dump());
    assert.deepEqual(again.rows("endpoints"), []);
    assert.equal(again.held(A), undefined);
  });

  it("makes room for a new peer where none is left", () => {
    const full = new Replica(A, 1);
    const idOf = (n: number) => n.toString(16).padStart(32, "0");
    for (let n = 0; n < LIMITS.peersMax; n += 1) full.merge(new Replica(idOf(n), 1).ownDelta(0));
    const late = new Replica(B, 1);
    late.put("names", "n", ["x"]);
    full.merge(late.ownDelta(0));
    assert.equal(full.rows("names").length, 0, "full");
    full.forget(idOf(7));
    full.merge(late.ownDelta(0));
    assert.equal(full.rows("names").length, 1);
    assert.ok(full.vector().length <= LIMITS.peersMax);
  });
});

describe("Retention", () => {
  async function afterADay(found: Reachability, address: boolean, absent: () => string[]) {
    const clock = new VirtualClock();
    const forgotten: string[] = [];
    const retention = new Retention({
      clock,
      log: new QuietLog(),
      streams: { probe: async () => found },
      absent,
      addressOf: () => (address ? { host: "10.0.0.1", port: 6783 } : undefined),
      isTaken: () => false,
      forget: (peer) => forgotten.push(peer) > 0,
    });
    retention.start();
    await clock.run(TIMES.forgetAfterMs - TIMES.forgetCheckMs);
    assert.equal(forgotten.length, 0, "not before a day");
    await clock.run(3 * TIMES.forgetCheckMs);
    retention.stop();
    assert.deepEqual(clock.armed(), []);
    return forgotten;
  }

  it("forgets a host that was absent at every check of a day and is silent", async () => {
    assert.ok((await afterADay("silent", true, () => [A])).includes(A));
  });

  it("forgets the peer that a host was before it was made anew, after the grace", async () => {
    const clock = new VirtualClock();
    const forgotten: string[] = [];
    let isTaken = true;
    const retention = new Retention({
      clock,
      log: new QuietLog(),
      streams: { probe: async () => assert.fail("nothing is to be probed") },
      absent: () => (forgotten.length > 0 ? [] : [A]),
      addressOf: () => ({ host: "10.0.0.1", port: 6783 }),
      isTaken: () => isTaken,
      forget: (peer) => forgotten.push(peer) > 0,
    });
    retention.start();
    await clock.run(TIMES.deadGraceMs);
    isTaken = false;
    await clock.run(TIMES.forgetCheckMs);
    isTaken = true;
    await clock.run(TIMES.deadGraceMs);
    assert.deepEqual(forgotten, [], "the other was not there all the time");
    await clock.run(2 * TIMES.forgetCheckMs);
    assert.deepEqual(forgotten, [A]);
    retention.stop();
  });

  it("keeps whoever's host answers or is unknown, or who was here in between", async () => {
    assert.deepEqual(await afterADay("refused", true, () => [A]), []);
    assert.deepEqual(await afterADay("open", true, () => [A]), []);
    assert.deepEqual(await afterADay("silent", false, () => [A]), []);
    let checks = 0;
    assert.deepEqual(await afterADay("silent", true, () => (checks++ === 100 ? [] : [A])), []);
  });
});
