/**
 * Hosts that die, lose disks, leave and come back, over the real code in virtual time. A failure
 * prints its seed: SEED=n MODE=honest|lying repeats that one, SCHEDULES=n runs more, FROM=n others.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { finding, MUTANTS, planted } from "./mutants.ts";
import { DepartureSchedule, type Mode } from "./sim-departures.ts";
import { SCENES } from "./sim-scenes.ts";

const { SEED, MODE, SCHEDULES = "150", FROM = "1", UPDATE_MUTANTS = "0" } = process.env;
const COUNT = Number(SCHEDULES);
const TABLE = new URL("./mutants.json", import.meta.url);

/** Seeds that ended a long run once. */
const FOUND_ONCE: Readonly<Record<Mode, readonly number[]>> = {
  honest: [205480, 257212],
  lying: [249808],
};

interface Caught {
  readonly rule: string;
  readonly name: string;
  /** The mode of the schedule, or the scene. */
  readonly by: string;
  readonly seed: number;
  readonly finding: string;
}

/** Runs schedules and adds up what they did. */
async function runAll(mode: Mode, count: number): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  const usual = [...Array.from({ length: count }, (_, n) => n + +FROM), ...FOUND_ONCE[mode]];
  const seeds = SEED === undefined ? usual : [+SEED];
  for (const seed of seeds) {
    try {
      const totals = await new DepartureSchedule(seed, mode).run();
      for (const [what, n] of Object.entries(totals)) sum[what] = (sum[what] ?? 0) + n;
    } catch (error) {
      throw new Error(`SEED=${seed} MODE=${mode}: ${(error as Error).message}`, { cause: error });
    }
  }
  return sum;
}

test("no schedule of deaths, lost disks, leaving and forgetting gives an address twice", {
  skip: MODE === "lying",
}, async () => {
  const sum = await runAll("honest", COUNT);
  if (SEED !== undefined) return;
  for (const what of ["lostDisks", "buried", "left", "forgotten", "rosters", "taken"]) {
    assert.ok((sum[what] ?? 0) > COUNT / 10, `only ${sum[what]} ${what}: the test tests nothing`);
  }
  assert.ok((sum.granted ?? 0) > COUNT * 5, `only ${sum.granted} grants`);
  assert.ok((sum.extinct ?? 0) <= 1 + COUNT / 50, `${sum.extinct} ended without a member`);
});

test("after live peers were called gone everything comes to rest", {
  skip: MODE === "honest",
}, async () => {
  const sum = await runAll("lying", Math.ceil(COUNT / 3));
  if (SEED !== undefined) return;
  assert.ok((sum.returned ?? 0) > COUNT / 100, `only ${sum.returned} came back`);
});

for (const [name, play] of Object.entries(SCENES)) test(`scene ${name}`, play);

test("every planted fault is found", { skip: SEED !== undefined }, async () => {
  const known = JSON.parse(readFileSync(TABLE, "utf8")) as Caught[];
  const most = Number(UPDATE_MUTANTS);
  const table: Caught[] = [];
  const escaped: string[] = [];
  for (const mutant of MUTANTS) {
    const { rule, name, mode, scene } = mutant;
    const simulation = await planted(mutant);
    const before = known.find((one) => one.name === name)?.seed;
    const searched = scene === undefined ? upTo(most) : [0];
    const seeds = [...(before === undefined ? [] : [before]), ...searched];
    let found: Caught | undefined;
    for (const seed of seeds) {
      const said = await finding(simulation, mutant, seed);
      if (said === undefined) continue;
      found = { rule, name, by: scene ?? mode ?? "", seed, finding: said };
      break;
    }
    if (found === undefined) escaped.push(`${rule} ${name}`);
    else table.push(found);
    if (most > 0) console.log(`${rule} ${name}: ${found?.seed} ${found?.finding ?? "escaped"}`);
  }
  if (most > 0) writeFileSync(TABLE, `${JSON.stringify(table, null, 2)}\n`);
  assert.deepEqual(escaped, [], "planted faults that no checker found; see UPDATE_MUTANTS");
});

function upTo(most: number): number[] {
  return Array.from({ length: most }, (_, n) => n + 1);
}
