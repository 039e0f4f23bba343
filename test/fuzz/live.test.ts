/** Peers that are fed with garbage: sealed channels, and whole nodes of either engine. */
import { describe, it } from "node:test";
import { fuzz } from "./run.ts";
import { LIVE } from "./targets.ts";

const SEED = 20_261_121;
const CASES = 8000;

describe("fuzzing of living peers", () => {
  const weights = LIVE.reduce((sum, { weight }) => sum + weight, 0);
  for (const target of LIVE) {
    it(target.name, async () => {
      await fuzz(target, { seed: SEED, cases: Math.ceil((CASES * target.weight) / weights) });
    });
  }
});
