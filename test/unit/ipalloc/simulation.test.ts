/**
 * Whole address allocators in virtual time under loss, cuts, crashes and slow disks. A failure
 * prints its seed: SEED=n repeats that one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Schedule, type Totals } from "./sim-schedule.ts";

const { SEED: ONLY, SCHEDULES: COUNT = "320" } = process.env;
const SCHEDULES = Number(COUNT);

test("no schedule of crashes, cuts and loss gives an address twice", async () => {
  const sum: Totals = { granted: 0, given: 0, crashes: 0 };
  const seeds = ONLY === undefined ? Array.from({ length: SCHEDULES }, (_, n) => n + 1) : [+ONLY];
  for (const seed of seeds) {
    try {
      const totals = await new Schedule(seed).run();
      sum.granted += totals.granted;
      sum.given += totals.given;
      sum.crashes += totals.crashes;
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  if (ONLY !== undefined) return;
  assert.ok(sum.granted > SCHEDULES * 5, `only ${sum.granted} grants: the test tests nothing`);
  assert.ok(sum.given > SCHEDULES, `only ${sum.given} gifts`);
  assert.ok(sum.crashes > SCHEDULES, `only ${sum.crashes} crashes`);
});

/** The first seed at which the checkers find a broken rule. */
async function found(mutant: ConstructorParameters<typeof Schedule>[1], most: number) {
  for (let seed = 1; seed <= most; seed++) {
    try {
      await new Schedule(seed, mutant).run();
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

test("a disk that answers before it has written is found", async () => {
  assert.match(
    (await found({ lyingDisk: true, slowDisk: 0.6 }, 40)) ?? "",
    /I[1-7]:|granted|owned/,
  );
});

test("a store that forgets what it gave is found", async () => {
  assert.match((await found({ forgetful: true }, 40)) ?? "", /I[1-7]:|granted|fell/);
});
