/** Chaos can be repeated: its schedule follows from the seed alone and is one that can be done. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isChurn, type Step, stepText } from "../../chaos/action.ts";
import { optionsOf, replayText } from "../../chaos/options.ts";
import { type PlanOptions, plan } from "../../chaos/plan.ts";

const HOSTS = ["h1", "h2", "h3"];
const of = (seed: number, minutes = 6): PlanOptions => ({
  ...{ seed, minutes },
  ...{ hosts: HOSTS, tight: "h3" },
});
const steps = (seed: number): Step[] => plan(of(seed)).flatMap((round) => [...round.steps]);
const SEEDS = Array.from({ length: 100 }, (_, at) => at);

describe("the chaos schedule", () => {
  it("is the same for the same seed, another for another, and no shorter for fewer minutes", () => {
    assert.deepEqual(plan(of(7)), plan(of(7)));
    assert.notDeepEqual(plan(of(7)), plan(of(8)));
    assert.deepEqual(plan(of(7, 2)), plan(of(7, 6)).slice(0, 2));
  });

  it("numbers the steps through and has them in order of time", () => {
    for (const seed of SEEDS) {
      const numbers = steps(seed).map(({ number }) => number);
      assert.deepEqual(
        numbers,
        numbers.map((_, at) => at + 1),
      );
      for (const round of plan(of(seed))) {
        const times = round.steps.map(({ atMs }) => atMs);
        assert.deepEqual(
          times,
          [...times].sort((a, b) => a - b),
        );
        assert.ok((times.at(-1) ?? 0) <= 30_000);
      }
    }
  });

  it("draws every kind of churn and fault", () => {
    const kinds = new Set(SEEDS.flatMap((seed) => steps(seed).map(({ action }) => action.kind)));
    assert.deepEqual(
      [...kinds].sort(),
      [
        ...["clock", "connect", "daemon-kill", "daemon-pause", "daemon-stop", "disconnect"],
        ...["disk-full", "engine-kill", "engine-restart", "fdb", "group-down", "group-up", "link"],
        ...["loss", "mtu", "neigh", "nft", "partition", "power", "rate", "rename", "restart", "rm"],
        ...["rmpeer", "run"],
      ].sort(),
    );
  });

  it("has only the daemons' faults in the odd rounds", () => {
    for (const { number, steps: some } of SEEDS.flatMap((seed) => plan(of(seed)))) {
      if (number % 2 === 0) continue;
      for (const { action } of some.filter((step) => !isChurn(step.action))) {
        assert.match(action.kind, /^(daemon-|nft|clock)/);
      }
    }
  });

  it("never cuts the power of the host whose state would be lost by it", () => {
    for (const { action } of SEEDS.flatMap(steps)) {
      if (action.kind === "power" || action.kind === "rmpeer") assert.notEqual(action.host, "h3");
      if (action.kind === "disk-full") assert.equal(action.host, "h3");
    }
  });

  it("has no two faults of one daemon or one engine at once", () => {
    for (const round of SEEDS.flatMap((seed) => plan(of(seed)))) {
      const until = new Map<string, number>();
      for (const { atMs, action } of round.steps) {
        if (!/^(daemon|engine|power|rmpeer|disk)/.test(action.kind) || !("host" in action))
          continue;
        const isWhole = action.kind === "power" || action.kind === "rmpeer";
        const parts = isWhole ? ["engine", "daemon"] : [action.kind.slice(0, 6)];
        for (const part of parts.map(
          (one) => `${one.replace("disk-f", "daemon")} ${action.host}`,
        )) {
          assert.ok(atMs >= (until.get(part) ?? 0), stepText({ number: 0, atMs, action }));
          until.set(part, atMs + ("forMs" in action ? action.forMs : 0));
        }
      }
    }
  });

  it("begins and ends a group on a host by turns, and removes one peer at a time", () => {
    for (const seed of SEEDS) {
      const up = new Set<string>();
      for (const { action } of steps(seed)) {
        if (action.kind === "group-up") {
          assert.ok(!up.has(`${action.group} ${action.host}`));
          up.add(`${action.group} ${action.host}`);
        } else if (action.kind === "group-down") {
          assert.ok(up.delete(`${action.group} ${action.host}`));
        }
      }
      for (const round of plan(of(seed))) {
        const removals = round.steps.filter(({ action }) => action.kind === "rmpeer");
        removals.forEach(({ atMs }, at) => {
          assert.ok(atMs - (removals[at - 1]?.atMs ?? -60_000) > 25_000);
        });
      }
    }
  });

  it("asks for no address twice, and uses only names that are free", () => {
    for (const seed of SEEDS) {
      const ips: string[] = [];
      const names = new Set<string>();
      for (const { action } of steps(seed)) {
        if (action.kind === "run") {
          if (action.ip !== null) ips.push(action.ip);
          assert.ok(!names.has(action.name), `${action.name} is taken`);
          names.add(action.name);
        } else if (action.kind === "rm") assert.ok(names.delete(action.name));
        else if (action.kind === "rename") {
          assert.ok(names.delete(action.name));
          assert.ok(!names.has(action.to));
          names.add(action.to);
        }
      }
      assert.equal(new Set(ips).size, ips.length);
    }
  });
});

describe("the chaos command line", () => {
  it("reads what its replay line says", () => {
    const options = optionsOf(["--seed", "5", "--minutes", "2", "--only", "4,9"], 0);
    const line = replayText(options, 17);
    const again = optionsOf(line.split(" -- ")[1]?.split(" ") ?? [], 1);
    assert.deepEqual(again, { ...options, until: 17 });
    assert.deepEqual(optionsOf(["--only", "none"], 0).only, []);
  });

  it("refuses what it does not know", () => {
    for (const wrong of [
      ["--seeds", "1"],
      ["--seed", "x"],
      ["--hosts", "9"],
      ["--only", "0"],
    ]) {
      assert.throws(() => optionsOf(wrong, 0));
    }
  });
});
