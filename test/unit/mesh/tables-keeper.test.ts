/** What others said, on disk: a save costs the change, and any crash reads back to a true state. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Store } from "../../../mesh/index.ts";
import { TablesKeeper } from "../../../mesh/tables/keeper.ts";
import { Replica } from "../../../mesh/tables/replica.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const A = "a".repeat(32);
const B = "b".repeat(32);

class World {
  readonly store = new MemoryStore();
  readonly clock = new VirtualClock();
  readonly log = new QuietLog();
  readonly origin = new Replica(A, 1);
  readonly replica = new Replica(B, 1);
  readonly keeper: TablesKeeper;

  constructor(store: Store = this.store) {
    this.keeper = new TablesKeeper({ store, clock: this.clock, log: this.log }, this.replica);
  }

  /** The origin writes; this peer hears and saves within a second. */
  async hear(key: string, value: string): Promise<void> {
    const { ownSeq } = this.origin;
    this.origin.put("endpoints", key, [value]);
    this.replica.merge(this.origin.ownDelta(ownSeq));
    this.keeper.changed();
    await this.clock.run(1001);
  }

  /** What the next life reads. */
  async next(store: Store = this.store): Promise<Replica> {
    const replica = new Replica(B, 2);
    await new TablesKeeper({ store, clock: this.clock, log: this.log }, replica).load();
    return replica;
  }

  get journal(): readonly Uint8Array[] {
    return this.store.journals.get("tables") ?? [];
  }
}

describe("TablesKeeper", () => {
  it("writes a snapshot first, then only what changed", async () => {
    const world = new World();
    await world.keeper.load();
    for (let i = 0; i < 300; i += 1) await world.hear(`k${i}`, "x".repeat(50));
    const snapshot = world.store.snapshots.get("tables")?.length ?? 0;
    assert.ok(snapshot > 0 && snapshot < 1000, "from the first save");
    assert.equal(world.journal.length, 299);
    assert.ok(world.journal.every((record) => record.length < 150));
    assert.deepEqual((await world.next()).rows("endpoints"), world.replica.rows("endpoints"));
  });

  it("folds the journal into a snapshot when it has grown as large", async () => {
    const world = new World();
    await world.keeper.load();
    for (let i = 0; i < 40; i += 1) await world.hear("same", `${i}`.padEnd(5000));
    assert.ok(world.journal.length < 20, "the journal was cut");
    assert.deepEqual((await world.next()).rows("endpoints"), world.replica.rows("endpoints"));
  });

  it("reads the same after a crash between snapshot and cut", async () => {
    const world = new World();
    await world.keeper.load();
    for (let i = 0; i < 5; i += 1) await world.hear("k", `${i}`);
    const old = [...world.journal];
    world.replica.forget(A, false);
    world.keeper.changed();
    await world.clock.run(1001);
    assert.equal(world.journal.length, 0, "forgetting is a snapshot");
    world.store.journals.set("tables", old);
    const next = await world.next();
    assert.deepEqual(next.rows("endpoints"), [], "the old journal does not bring rows back");
  });

  it("saves at the end, says when the disk refuses, and saves again later", async () => {
    const world = new World();
    await world.keeper.load();
    world.store.failure = new Error("disk full");
    await world.hear("k", "1");
    assert.ok(world.log.lines.some(({ level }) => level === "error"));
    await assert.rejects(world.keeper.close(), /disk full/);
    world.store.failure = undefined;
    await world.keeper.close();
    assert.equal((await world.next()).rows("endpoints").length, 1);
  });

  it("saves by itself soon after there is room, and tries no more often meanwhile", async () => {
    const world = new World();
    await world.keeper.load();
    world.store.failure = new Error("disk full");
    await world.hear("k", "1");
    await world.clock.run(60_000);
    const told = world.log.lines.filter(({ level }) => level === "error").length;
    assert.ok(told >= 12 && told <= 25, `${told} tries a minute`);
    world.store.failure = undefined;
    await world.clock.run(5000);
    assert.equal((await world.next()).rows("endpoints").length, 1);
  });

  it("begins anew, loudly, with what does not read", async () => {
    const world = new World();
    await world.store.save("tables", Uint8Array.from([1, 2, 3]));
    assert.deepEqual((await world.next()).rows("endpoints"), []);
    assert.ok(world.log.lines.some(({ level }) => level === "error"));
  });
});
