/**
 * Planted mistakes: each breaks one rule of the tables, and a short swarm must notice. They show
 * that the checkers have teeth.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Delta } from "../../mesh/tables/messages.ts";
import { OriginLog } from "../../mesh/tables/origin-log.ts";
import { swarmOptions } from "./sim-options.ts";
import { SimFailure, simulate } from "./sim-run.ts";

const SEEDS_MAX = 25;

/** Plants a mistake while the first failing seed is looked for. */
async function firstFailure(plant: () => void): Promise<SimFailure> {
  const { apply, deltaFrom, whole } = OriginLog.prototype;
  try {
    plant();
    for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
      try {
        await simulate(swarmOptions(seed));
      } catch (error) {
        if (error instanceof SimFailure) return error;
        throw error;
      }
    }
  } finally {
    Object.assign(OriginLog.prototype, { apply, deltaFrom, whole });
  }
  return assert.fail(`${SEEDS_MAX} seeds did not notice`);
}

type Apply = OriginLog["apply"];
type DeltaFrom = OriginLog["deltaFrom"];

function plantApply(mutate: (log: OriginLog, delta: Delta) => Delta): void {
  const right: Apply = OriginLog.prototype.apply;
  OriginLog.prototype.apply = function (this: OriginLog, delta: Delta) {
    return right.call(this, mutate(this, delta));
  };
}

describe("mistakes that the simulation finds", () => {
  it("a merge that ignores sequence numbers: the last to arrive wins", async () => {
    const failure = await firstFailure(() =>
      plantApply((log, delta) => ({
        ...delta,
        rows: delta.rows.map((row) => ({ ...row, seq: Math.max(row.seq, log.seq + 1) })),
      })),
    );
    assert.match(failure.message, /replay: npm run sim -- --peers \d+ --seed \d+/);
    assert.match(failure.message, /sequenceDiagram\n {2}h\d+-/);
  });

  it("a tombstone dropped early without raising the floor", async () => {
    const right: DeltaFrom = OriginLog.prototype.deltaFrom;
    await firstFailure(() => {
      OriginLog.prototype.deltaFrom = function (this: OriginLog, seq: number, bytesMax?: number) {
        const delta = right.call(this, seq, bytesMax);
        // Only the newest few removals are still known.
        const rows = delta.rows.filter((row) => row.bytes !== null || row.seq > this.seq - 2);
        return { ...delta, rows };
      };
    });
  });

  it("a push acknowledged without being applied", async () => {
    let count = 0;
    const failure = await firstFailure(() =>
      plantApply((_log, delta) => {
        count += 1;
        return !delta.whole && count % 5 === 0 ? { ...delta, rows: [] } : delta;
      }),
    );
    assert.match(failure.message, /it has not|differ|names of|h\d+/);
  });

  it("a whole log taken as if nothing were missing from it", async () => {
    await firstFailure(() => plantApply((_log, delta) => ({ ...delta, whole: false, from: 0 })));
  });
});
