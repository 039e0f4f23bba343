/**
 * Whole peers under every fault, from some hundred seeds: no address at two hosts, announcements
 * that tell the truth, nobody living declared dead, and after healing equal tables that say what
 * runs.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FAULTS } from "./sim-faults.ts";
import { planOf, swarmOptions } from "./sim-options.ts";
import { replayLine, type SimOptions, simulate } from "./sim-run.ts";

const SEEDS = 20;
const SHORT_SEEDS = 180;
const AT_ONCE = 20;

async function swarm(first: number, change: Partial<SimOptions>): Promise<void> {
  for (let seed = first; seed < first + AT_ONCE; seed += 1) {
    const report = await simulate({ ...swarmOptions(seed), ...change });
    assert.ok(report.packets > 0);
  }
}

describe("a mesh of whole peers", () => {
  for (let first = 1; first <= SEEDS; first += AT_ONCE) {
    it(`holds its laws, seeds ${first} to ${first + AT_ONCE - 1}`, async () => {
      await swarm(first, {});
    });
  }

  for (let first = 1001; first <= 1000 + SHORT_SEEDS; first += AT_ONCE) {
    it(`holds them in short lives, seeds ${first} to ${first + AT_ONCE - 1}`, async () => {
      await swarm(first, { minutes: 0.25 });
    });
  }

  it("does so with more peers than are pushed to directly", async () => {
    const report = await simulate({ ...swarmOptions(2), peers: 36, minutes: 0.2 });
    assert.ok(report.announced > 0, "nothing was announced: the run proves nothing");
  });

  it("gives the same life for the same seed, and leaves out the faults it is told to", async () => {
    const [one, two] = [await simulate(swarmOptions(7)), await simulate(swarmOptions(7))];
    assert.deepEqual(one, two);
    const none = await simulate({ ...swarmOptions(7), only: [] });
    assert.ok(none.faults === 0 && one.faults > 0);
  });

  it("reads its command line, and what a failure prints", () => {
    const plan = planOf(["--seed", "9", "--peers", "5", "--faults", "loss,pause", "--only", "3,7"]);
    const { peers, faults, only, tight } = plan.of(9);
    assert.deepEqual([plan.seeds, peers, faults, only], [[9], 5, ["loss", "pause"], [3, 7]]);
    assert.equal(tight, false);
    assert.equal(planOf([]).of(1).faults, FAULTS);
    assert.deepEqual(planOf(["--seed", "5", "--seeds", "2"]).seeds, [5, 6]);
    assert.throws(() => planOf(["--faults", "gremlins"]), /one of loss/);
    assert.throws(() => planOf(["--only", "x"]), /numbers of steps/);
    const line = replayLine(plan.of(9)).split(" -- ")[1]?.split(" ") ?? [];
    assert.deepEqual(planOf(line).of(9), plan.of(9));
  });
});
