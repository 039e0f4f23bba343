/** When a refused connect is a verdict: only after two pings of one's own, and only once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reachability } from "../../../mesh/index.ts";
import { ClosedPorts } from "../../../mesh/membership/closed-ports.ts";
import type { PeerRecord } from "../../../mesh/membership/record.ts";
import { addressOf, idOf } from "../../contract/membership.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

class World {
  readonly clock = new VirtualClock();
  readonly refused: string[] = [];
  readonly asked: number[] = [];
  pings = 0;
  answeredMs = Number.NEGATIVE_INFINITY;
  isLate = false;
  found: Reachability | Error = "refused";
  known: PeerRecord = {
    meta: { id: idOf(1), name: "p1", incarnation: 1, advertise: addressOf(1) },
    era: 0,
    boot: 1,
    state: "suspect",
    refutation: 0,
  };
  readonly ports = new ClosedPorts(
    {
      clock: this.clock,
      log: new QuietLog(),
      streams: {
        probe: async () => {
          this.asked.push(this.clock.nowMs());
          if (this.found instanceof Error) throw this.found;
          return this.found;
        },
      },
    },
    {
      pingTimeoutMs: 200,
      connectMs: 300,
      wasPaused: () => this.isLate,
      ping: () => {
        this.pings += 1;
      },
      answeredSince: (_id, sinceMs) => this.answeredMs >= sinceMs,
      record: () => this.known,
      refused: ({ meta }) => this.refused.push(meta.name),
    },
  );
}

test("a refused connect counts after two unanswered pings", async () => {
  const world = new World();
  world.ports.look(world.known, 0);
  await world.clock.run(399);
  assert.deepEqual([world.pings, world.asked, world.refused], [2, [], []]);
  await world.clock.run(10);
  assert.deepEqual([world.pings, world.asked, world.refused], [2, [400], ["p1"]]);
  await world.clock.run(5000);
  assert.equal(world.refused.length, 1);
});

test("who has pinged already asks at once", async () => {
  const world = new World();
  world.ports.look(world.known, 0, 2);
  await world.clock.run(1);
  assert.deepEqual([world.pings, world.refused], [0, ["p1"]]);
});

test("an answer, a pause, another life or find, or an end of doubt convict nobody", async () => {
  const cases: [string, (world: World) => void][] = [
    ["an answer", (world) => (world.answeredMs = 100)],
    ["silence", (world) => (world.found = "silent")],
    ["an open port", (world) => (world.found = "open")],
    ["no way to ask", (world) => (world.found = new Error("no route"))],
    ["another life", (world) => (world.known = { ...world.known, boot: 2 })],
    ["alive again", (world) => (world.known = { ...world.known, state: "alive" })],
    ["no longer looked at", (world) => world.ports.drop(world.known.meta.id)],
    ["the end", (world) => world.ports.clear()],
    ["a pause", (world) => (world.isLate = true)],
  ];
  for (const [what, happens] of cases) {
    const world = new World();
    world.ports.look(world.known, 0);
    await world.clock.run(150);
    happens(world);
    await world.clock.run(2000);
    assert.deepEqual(world.refused, [], what);
    world.ports.clear();
    assert.deepEqual(world.clock.armed(), [], what);
  }
});

test("after a pause the pings are counted anew", async () => {
  const world = new World();
  world.isLate = true;
  world.ports.look(world.known, 0);
  await world.clock.run(300);
  world.isLate = false;
  await world.clock.run(299);
  assert.deepEqual(world.refused, []);
  await world.clock.run(10);
  assert.deepEqual(world.refused, ["p1"]);
});
