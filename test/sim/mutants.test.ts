/**
 * Planted mistakes: each breaks one rule of the real source, and a short swarm must notice. The
 * table in README.md says which seed did; UPDATE_MUTANTS=1 writes it anew.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { MutantWorkshop } from "./mutated.ts";
import { swarmOptions } from "./sim-options.ts";
import { replayLine, type SimFailure } from "./sim-run.ts";
import { runnerOf, shrink } from "./sim-shrink.ts";

const README = fileURLToPath(new URL("./README.md", import.meta.url));
const SEEDS_MAX = 40;
const isUpdate = process.env.UPDATE_MUTANTS === "1";

interface Catch {
  readonly seed: number;
  readonly law: string;
}

/** The table as it stands: | name | mistake | seed | law |. */
function recorded(): Map<string, Catch> {
  const rows = readFileSync(README, "utf8").matchAll(
    /^\| `([a-z-]+)` \| [^|]+ \| (\d+) \| ([a-z]+) \|$/gm,
  );
  return new Map(
    [...rows].map(([, name = "", seed, law = ""]) => [name, { seed: Number(seed), law }]),
  );
}

function writeTable(caught: ReadonlyMap<string, Catch>): void {
  const rows = MUTANTS.map(({ name, mistake }) => {
    const { seed, law } = caught.get(name) ?? { seed: 0, law: "none" };
    return `| \`${name}\` | ${mistake} | ${seed} | ${law} |`;
  });
  const table = ["| mutant | mistake | seed | law |", "|---|---|---|---|", ...rows].join("\n");
  const text = readFileSync(README, "utf8");
  const marks = /(<!-- mutants -->\n).*(<!-- end mutants -->)/s;
  assert.match(text, marks, "README.md has lost the marks of its table");
  writeFileSync(
    README,
    text.replace(marks, (_all, open, close) => `${open}${table}\n${close}`),
  );
}

describe("mistakes that the simulation finds", () => {
  const workshop = new MutantWorkshop();
  const known = recorded();
  const caught = new Map<string, Catch>();
  after(() => {
    workshop.close();
    if (isUpdate) writeTable(caught);
  });

  /** The first failing seed, the recorded one before all others. */
  async function firstFailure(mutant: Mutant): Promise<SimFailure | undefined> {
    const run = runnerOf(await workshop.simulator(mutant));
    const seed = isUpdate ? undefined : known.get(mutant.name)?.seed;
    const others = Array.from({ length: SEEDS_MAX }, (_, at) => at + 1);
    for (const one of [...(seed === undefined ? [] : [seed]), ...others]) {
      const failure = await run(swarmOptions(one));
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  for (const mutant of MUTANTS) {
    it(`${mutant.name}: ${mutant.mistake}`, async () => {
      const failure = await firstFailure(mutant);
      if (failure === undefined) return assert.fail(`${SEEDS_MAX} seeds did not notice`);
      const found = { seed: failure.options.seed, law: failure.violation.law };
      caught.set(mutant.name, found);
      if (isUpdate) return;
      const cure = "UPDATE_MUTANTS=1 node --import tsx --test test/sim/mutants.test.ts";
      assert.deepEqual(found, known.get(mutant.name), `README.md says otherwise: ${cure}`);
    });
  }

  it("a failing life is shrunk to one that fails the same way, with a picture", async () => {
    const mutant = MUTANTS.find(({ name }) => name === "journal-not-replayed");
    assert.ok(mutant);
    const simulate = await workshop.simulator(mutant);
    const run = runnerOf(simulate);
    let failure: SimFailure | undefined;
    for (let seed = 1; (failure?.struck.length ?? 0) < 3 && seed <= SEEDS_MAX; seed += 1) {
      failure = await run(swarmOptions(seed));
    }
    assert.ok(failure, "no seed with faults failed");
    const { failure: small, runs } = await shrink(run, failure);
    const [before, now] = [failure.options, small.options];
    assert.ok(runs > 1);
    assert.ok(now.peers <= before.peers && now.minutes <= before.minutes);
    assert.ok(small.struck.length < failure.struck.length, `${small.struck.length} faults left`);
    const again = await runnerOf(simulate, 1000)(now);
    assert.equal(again?.violation.law, failure.violation.law);
    assert.equal(again?.violation.message, small.violation.message);
    assert.match(replayLine(now), /^npm run sim -- --peers \d+ --seed \d+ .*--only [\d,none]+/);
    assert.match(again?.diagram ?? "", /sequenceDiagram\n {2}participant h0\n.* {2}h\d+-/s);
  });
});
