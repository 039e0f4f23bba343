/** The command line of `npm run sim`. */
import { parseArgs } from "node:util";
import { FAULTS, type Fault } from "./sim-faults.ts";
import type { SimOptions } from "./sim-run.ts";

export const USAGE = `npm run sim -- [--seed S] [--seeds N] [--peers N] [--minutes M] …

  --seed S       this one seed; with --seeds, the first of so many
  --seeds N      how many seeds, from 1 (100)
  --peers N      hosts of the mesh (3 to 6, by seed)
  --minutes M    virtual minutes before everything is healed (1)
  --faults LIST  ${FAULTS.slice(0, 6).join(",")},
                 ${FAULTS.slice(6).join(",")} (all)
  --only LIST    of the faults of one seed, those of these steps; none: no fault at all
  --tight        bounds so low that small meshes relay and cut their logs (every second seed)
  --judged       verdicts from what reaches what instead of the native engine's (every fifth seed)
  --nightly      10 000 schedules of the merge laws, then 1000 seeds of 3 minutes
  --measure      instead: what a row costs the tables alone, and 10 000 rows a late joiner

A seed that fails is shrunk; printed are what was found, how to replay it, and its last packets.`;

/** What `--nightly` runs. */
const NIGHTLY = { seeds: 1000, minutes: 3, schedules: 10_000 };

export interface Plan {
  readonly seeds: readonly number[];
  /** Schedules of the merge laws to be run before. */
  readonly schedules: number;
  readonly of: (seed: number) => SimOptions;
}

/** What one seed of a swarm looks like unless told. */
export function swarmOptions(seed: number): SimOptions {
  return {
    seed,
    peers: 3 + (seed % 4),
    minutes: 1,
    faults: FAULTS,
    tight: seed % 2 === 1,
    judged: seed % 5 === 0,
  };
}

/** @throws Error on anything that does not read. */
export function planOf(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      peers: { type: "string" },
      minutes: { type: "string" },
      faults: { type: "string" },
      only: { type: "string" },
      tight: { type: "boolean" },
      judged: { type: "boolean" },
      nightly: { type: "boolean" },
    },
  });
  const usual = values.nightly ? NIGHTLY : { seeds: 100, minutes: 1, schedules: 0 };
  const seed = numberOf("seed", values.seed);
  const seeds = numberOf("seeds", values.seeds);
  const isReplay = seed !== undefined && seeds === undefined;
  const count = isReplay ? 1 : (seeds ?? usual.seeds);
  const peers = numberOf("peers", values.peers);
  const minutes = numberOf("minutes", values.minutes) ?? usual.minutes;
  const faults = values.faults === undefined ? FAULTS : faultsOf(values.faults);
  const only = values.only === undefined ? undefined : stepsOf(values.only);
  return {
    seeds: Array.from({ length: count }, (_, at) => (seed ?? 1) + at),
    schedules: usual.schedules,
    of: (one) => {
      const swarm = swarmOptions(one);
      // A single seed is a replay: it has exactly what its line says.
      const tight = values.tight ?? (!isReplay && swarm.tight);
      const judged = values.judged ?? (!isReplay && swarm.judged);
      const life = { ...swarm, minutes, faults, tight, judged, peers: peers ?? swarm.peers };
      return only === undefined ? life : { ...life, only };
    },
  };
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${flag} ${text}: not a number above 0`);
}

function stepsOf(text: string): number[] {
  if (text === "none") return [];
  return text.split(",").map((word) => {
    if (/^\d+$/.test(word)) return Number(word);
    throw new Error(`--only ${word}: numbers of steps, or none`);
  });
}

function faultsOf(text: string): Fault[] {
  return text.split(",").map((word) => {
    const fault = FAULTS.find((known) => known === word);
    if (fault !== undefined) return fault;
    throw new Error(`--faults ${word}: one of ${FAULTS.join(", ")}`);
  });
}
