/** The command line of `npm run chaos`. */
import { parseArgs } from "node:util";

export const USAGE = `npm run chaos -- [--minutes M] [--seed S] [--hosts N] …

  --minutes M    rounds of about a minute each: 30 s of churn and faults, healing, checks (3)
  --seed S       what decides everything (the time)
  --hosts N      hosts with real engines, 2 to 6 (3)
  --until K      stop after step K of the schedule, heal and check
  --only LIST    of the faults, those of these steps, as 4,9; none: churn alone
  --wall-minutes W  begin no further round when so long has passed
  --bound-s B    seconds within which all must be well after healing (20)
  --keep         leave the hosts up when something was wrong
  --plan         print the schedule and do nothing`;

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly hosts: number;
  readonly until: number | null;
  readonly only: readonly number[] | null;
  readonly boundMs: number;
  /** No round begins later than this after the hosts are up; Infinity: all do. */
  readonly wallMs: number;
  readonly isKept: boolean;
  readonly isPlanOnly: boolean;
}

/** @throws Error on anything that does not read. */
export function optionsOf(argv: readonly string[], nowMs: number): ChaosOptions {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...{ minutes: text, seed: text, hosts: text, until: text, only: text, "bound-s": text },
      "wall-minutes": text,
      ...{ keep: flag, plan: flag },
    },
  });
  const only = values.only === undefined ? null : listOf(values.only);
  return {
    minutes: numberOf("minutes", values.minutes ?? "3", 1, 600),
    seed: numberOf("seed", values.seed ?? String(nowMs % 100_000), 0, 0xffff_ffff),
    hosts: numberOf("hosts", values.hosts ?? "3", 2, 6),
    until: values.until === undefined ? null : numberOf("until", values.until, 0, 1e6),
    only,
    boundMs: numberOf("bound-s", values["bound-s"] ?? "20", 1, 600) * 1000,
    wallMs:
      values["wall-minutes"] === undefined
        ? Number.POSITIVE_INFINITY
        : numberOf("wall-minutes", values["wall-minutes"], 1, 600) * 60_000,
    isKept: values.keep === true,
    isPlanOnly: values.plan === true,
  };
}

/** The command that does the same again. */
export function replayText(options: ChaosOptions, until: number): string {
  const { minutes, seed, hosts, only } = options;
  const some = only === null ? "" : ` --only ${only.length === 0 ? "none" : only.join(",")}`;
  const words = `--seed ${seed} --minutes ${minutes} --hosts ${hosts} --until ${until}`;
  return `npm run chaos -- ${words}${some}`;
}

function listOf(text: string): number[] {
  return text === "none" ? [] : text.split(",").map((one) => numberOf("only", one, 1, 1e6));
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) {
    throw new Error(`--${name} ${text}: a number from ${least} to ${most}`);
  }
  return number;
}
