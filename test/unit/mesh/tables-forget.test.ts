/** Who does not come back: rows dropped after a day, never on doubt, back only with the peer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type HostPort, LIMITS, type Reachability, TIMES } from "../../../mesh/index.ts";
import { deltaFromWire, deltaToWire } from "../../../mesh/tables/messages.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import { Retention } from "../../../mesh/tables/retention.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
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
    assert.deepEqual(b.forget(A, false), [
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

  it("is forgotten by all who are told, whenever they come", () => {
    const { a, b, c } = three();
    const late = new Replica("d".repeat(32), 1);
    late.restore(c.dump());
    b.forget(A, true);
    catchUp(c, b);
    catchUp(late, c);
    for (const replica of [b, c, late]) {
      assert.deepEqual(replica.rows("endpoints"), []);
      assert.equal(replica.held(A), undefined);
    }
    const [told, heard] = [b, late].map((one) => one.vector().find(({ origin }) => origin === A));
    assert.deepEqual(told, heard, "and no exchange goes on for ever");
    catchUp(b, c);
    const again = new Replica(C, 2);
    again.restore(c.dump());
    assert.deepEqual(again.rows("endpoints"), [], "also after a restart");
    const { deltas } = b.deltasFor(a.vector(), LIMITS.syncBytesMax);
    assert.ok(deltas.some(({ origin }) => origin === A));
    for (const delta of deltas) {
      const merged = a.merge(deltaFromWire(deltaToWire(delta)));
      assert.deepEqual(
        [merged.cloned, merged.changes],
        [false, []],
        "no word about the peer itself",
      );
    }
    a.put("endpoints", "web", ["2"]);
    for (const replica of [b, c]) replica.revive(A);
    catchUp(b, a);
    catchUp(c, b);
    assert.deepEqual(
      c.rows("endpoints").map(({ value }) => value),
      [["2"]],
      "but by itself",
    );
  });

  it("that one forgot who had not heard its last word is kept by who had", () => {
    const { a, b, c } = three();
    a.put("endpoints", "db", ["2"]);
    a.put("endpoints", "mq", ["3"]);
    catchUp(c, a);
    b.forget(A, true);
    catchUp(c, b);
    assert.equal(c.rows("endpoints").length, 3);
    if (catchUp(b, c)) catchUp(b, c);
    assert.equal(b.rows("endpoints").length, 3, "and again by the first, until both forget");
    c.forget(A, true);
    catchUp(b, c);
    assert.deepEqual(b.rows("endpoints"), []);
  });

  it("comes back by a change of its own, in the same life or the next", () => {
    const { a, b } = three();
    b.forget(A, false);
    const { ownSeq } = a;
    a.put("endpoints", "db", ["2"]);
    assert.equal(b.merge(a.ownDelta(ownSeq)).behind, true, "one change is not the whole log");
    catchUp(b, a);
    assert.equal(b.rows("endpoints").length, 2);
    b.forget(A, false);
    const next = new Replica(A, 6);
    next.put("endpoints", "web", ["1"]);
    catchUp(b, next);
    assert.equal(b.rows("endpoints").length, 1);
  });

  it("comes back unchanged once it is seen again", () => {
    const { a, b } = three();
    b.forget(A, false);
    catchUp(b, a);
    assert.deepEqual(b.rows("endpoints"), [], "its entry hides that its rows are missing");
    b.revive(A);
    catchUp(b, a);
    assert.equal(b.rows("endpoints").length, 1);
  });

  it("stays forgotten over a restart", () => {
    const { b } = three();
    b.forget(A, false);
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
    full.forget(idOf(7), false);
    full.merge(late.ownDelta(0));
    assert.equal(full.rows("names").length, 1);
    assert.ok(full.vector().length <= LIMITS.peersMax);
  });
});

/** A peer's absence as seen in several lives of one host. */
class Sight {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore();
  readonly forgotten: [peer: string, forAll: boolean][] = [];
  readonly probed: string[] = [];
  absent: () => string[] = () => (this.forgotten.length > 0 ? [] : [A]);
  address: HostPort | undefined = { host: "10.0.0.1", port: 6783 };
  isTaken = false;
  found: Reachability = "silent";

  begin(): Retention {
    const retention = new Retention({
      clock: this.clock,
      log: new QuietLog(),
      store: this.store,
      streams: {
        probe: async ({ host }) => {
          this.probed.push(host);
          return this.found;
        },
      },
      absent: () => this.absent(),
      addressOf: () => this.address,
      isTaken: () => this.isTaken,
      forget: (peer, forAll) => this.forgotten.push([peer, forAll]) > 0,
    });
    retention.start();
    return retention;
  }

  async live(ms: number): Promise<void> {
    const retention = this.begin();
    await this.clock.run(ms);
    retention.stop();
    assert.deepEqual(this.clock.armed(), []);
  }
}

describe("Retention", () => {
  async function afterADay(sight: Sight): Promise<string[]> {
    const retention = sight.begin();
    await sight.clock.run(TIMES.forgetAfterMs - TIMES.forgetCheckMs);
    assert.equal(sight.forgotten.length, 0, "not before a day");
    await sight.clock.run(3 * TIMES.forgetCheckMs);
    retention.stop();
    assert.deepEqual(sight.clock.armed(), []);
    assert.ok(
      sight.forgotten.every(([, forAll]) => !forAll),
      "others may see it otherwise",
    );
    return sight.forgotten.map(([peer]) => peer);
  }

  it("forgets a host that was absent at every check of a day and is silent", async () => {
    assert.deepEqual(await afterADay(new Sight()), [A]);
  });

  it("keeps whoever's host answers or is unknown, or who was here in between", async () => {
    for (const found of ["refused", "open"] as const) {
      assert.deepEqual(await afterADay(Object.assign(new Sight(), { found })), []);
    }
    assert.deepEqual(await afterADay(Object.assign(new Sight(), { address: undefined })), []);
    let checks = 0;
    const absent = () => (checks++ === 100 ? [] : [A]);
    assert.deepEqual(await afterADay(Object.assign(new Sight(), { absent })), []);
  });

  it("forgets the peer that a host was before it was made anew, after the grace", async () => {
    const sight = Object.assign(new Sight(), { isTaken: true });
    await sight.live(TIMES.deadGraceMs);
    assert.deepEqual(sight.forgotten, [], "not before");
    await sight.live(2 * TIMES.forgetCheckMs);
    assert.deepEqual(sight.forgotten, [[A, true]]);
    assert.deepEqual(sight.probed, [], "nothing is to be probed");
  });

  it("counts that grace over restarts, and only while the other is here", async () => {
    const sight = Object.assign(new Sight(), { isTaken: true });
    const [partMs, parts] = [20_000, 4];
    for (let part = 0; part < parts - 1; part += 1) await sight.live(partMs);
    sight.isTaken = false;
    await sight.live(TIMES.deadGraceMs);
    assert.deepEqual(sight.forgotten, []);
    sight.isTaken = true;
    // Each life sees one check's time less than it lasted.
    await sight.live(partMs + parts * TIMES.forgetCheckMs);
    assert.deepEqual(sight.forgotten, [[A, true]]);
  });

  it("counts anew when the peer was here again, or what was counted does not read", async () => {
    const sight = Object.assign(new Sight(), { isTaken: true });
    await sight.live(TIMES.deadGraceMs);
    sight.absent = () => [];
    await sight.live(2 * TIMES.forgetCheckMs);
    sight.absent = () => [A];
    await sight.live(TIMES.deadGraceMs);
    assert.deepEqual(sight.forgotten, []);
    await sight.store.save("replaced", Buffer.from("no such thing"));
    await sight.live(TIMES.deadGraceMs);
    assert.deepEqual(sight.forgotten, []);
  });

  it("forgets also where the disk takes nothing", async () => {
    const sight = Object.assign(new Sight(), { isTaken: true });
    sight.store.failure = new Error("disk full");
    await sight.live(TIMES.deadGraceMs + 2 * TIMES.forgetCheckMs);
    assert.deepEqual(sight.forgotten, [[A, true]]);
  });
});
