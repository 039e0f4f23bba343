/**
 * Whole peers under every fault, from a hundred seeds: no address at two hosts, announcements that
 * tell the truth, and after healing equal tables that say what runs.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planOf, swarmOptions } from "./sim-options.ts";
import { FAULTS, simulate } from "./sim-run.ts";

const SEEDS = 100;
const AT_ONCE = 20;

describe("a mesh of whole peers", () => {
  for (let first = 1; first <= SEEDS; first += AT_ONCE) {
    it(`holds its laws, seeds ${first} to ${first + AT_ONCE - 1}`, async () => {
      for (let seed = first; seed < first + AT_ONCE; seed += 1) {
        const report = await simulate(swarmOptions(seed));
        assert.ok(report.packets > 0);
      }
    });
  }

  it("holds them with the native membership engine", async () => {
    for (let seed = 201; seed <= 215; seed += 1) {
      await simulate({ ...swarmOptions(seed), native: true });
    }
  });

  it("does so with more peers than are pushed to directly", async () => {
    const report = await simulate({ ...swarmOptions(1), peers: 36, minutes: 0.3, tight: false });
    assert.ok(report.announced > 0, "nothing was announced: the run proves nothing");
  });

  it("gives the same life for the same seed", async () => {
    const [one, two] = [await simulate(swarmOptions(7)), await simulate(swarmOptions(7))];
    assert.deepEqual(one, two);
  });

  it("reads its command line", () => {
    const plan = planOf(["--seed", "9", "--peers", "5", "--faults", "loss,pause"]);
    const { peers, faults, tight } = plan.of(9);
    assert.deepEqual([plan.seeds, peers, faults, tight], [[9], 5, ["loss", "pause"], false]);
    assert.equal(planOf([]).of(1).faults, FAULTS);
    assert.throws(() => planOf(["--faults", "gremlins"]), /one of loss/);
  });
});
