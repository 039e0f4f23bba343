/** The command line of `npm run sim`. */
import { parseArgs } from "node:util";
import { FAULTS, type Fault, type SimOptions } from "./sim-run.ts";

export const USAGE = `npm run sim -- [--seed S | --seeds N] [--peers N] [--minutes M] …

  --seed S       one seed; without it, seeds 1 to --seeds
  --seeds N      how many seeds (100)
  --peers N      hosts of the mesh (3 to 6, by seed)
  --minutes M    virtual minutes before everything is healed (1)
  --faults LIST  ${FAULTS.join(",")} (all)
  --tight        bounds so low that small meshes relay and cut their logs (every second seed)
  --native       the native membership engine instead of verdicts from what reaches what
  --nightly      2000 seeds of 3 minutes
  --measure      instead: what a row costs 20, 100 and 1000 peers, and 10 000 rows a late joiner

A seed that fails prints what was found, how to replay it, and the last packets.`;

export interface Plan {
  readonly seeds: readonly number[];
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
    native: false,
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
      tight: { type: "boolean" },
      native: { type: "boolean" },
      nightly: { type: "boolean" },
    },
  });
  const { nightly = false, native = false } = values;
  const count = numberOf("seeds", values.seeds) ?? (nightly ? 2000 : 100);
  const seed = numberOf("seed", values.seed);
  const peers = numberOf("peers", values.peers);
  const minutes = numberOf("minutes", values.minutes) ?? (nightly ? 3 : 1);
  const faults = values.faults === undefined ? FAULTS : faultsOf(values.faults);
  return {
    seeds: seed === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [seed],
    of: (one) => {
      const usual = swarmOptions(one);
      // A single seed is a replay: it has exactly what its line says.
      const tight = values.tight ?? (seed === undefined && usual.tight);
      return { ...usual, minutes, faults, tight, native, peers: peers ?? usual.peers };
    },
  };
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${flag} ${text}: not a number above 0`);
}

function faultsOf(text: string): Fault[] {
  return text.split(",").map((word) => {
    const fault = FAULTS.find((known) => known === word);
    if (fault !== undefined) return fault;
    throw new Error(`--faults ${word}: one of ${FAULTS.join(", ")}`);
  });
}
