/** `npm run sim`: whole peers in virtual time from seeds; see sim-options.ts for the flags. */
import { measureJoin } from "./join-measure.ts";
import { mergeSchedules } from "./merge-laws.ts";
import { type Plan, planOf, USAGE } from "./sim-options.ts";
import { replayLine, type SimFailure, type SimReport, simulate } from "./sim-run.ts";
import { runnerOf, shrink } from "./sim-shrink.ts";
import { measureSpread } from "./spread-measure.ts";

/** So many failing seeds are shrunk and drawn; of more only the replay is told. */
const EXPLAINED_MAX = 3;
/** A long run says how far it is each so many seeds. */
const PROGRESS_EVERY = 50;
/** Packets kept for the picture. */
const TRACE_PACKETS = 5000;

/** One line of JSON a measurement. */
async function measure(): Promise<void> {
  for (const [peers, events] of [
    [20, 100],
    [100, 100],
    [1000, 25],
  ] as const) {
    for (const loss of [0, 0.05, 0.25]) {
      process.stdout.write(`${JSON.stringify(await measureSpread(peers, loss, events))}\n`);
    }
  }
  process.stdout.write(`${JSON.stringify(await measureJoin(100, 100))}\n`);
}

const plain = runnerOf(simulate);
const traced = runnerOf(simulate, TRACE_PACKETS);

/** What was found, the smallest life that shows it, and the packets before. */
async function explain(failure: SimFailure): Promise<string> {
  const small = await shrink(plain, failure);
  const again = (await traced(small.failure.options)) ?? small.failure;
  const { options, struck } = again;
  const faults = struck.map(({ atMs, fault, text }) => {
    return `  ${(atMs / 1000).toFixed(1)} s ${fault}: ${text}`;
  });
  return [
    failure.message,
    `shrunk in ${small.runs} runs to ${options.peers} peers, ${options.minutes} minutes and ` +
      `${struck.length} faults: ${again.violation.message}`,
    `replay: ${replayLine(options)}`,
    ...faults,
    "",
    again.diagram,
  ].join("\n");
}

async function runAll(plan: Plan): Promise<number> {
  const startedMs = performance.now();
  const reports: SimReport[] = [];
  let failed = 0;
  for (const [at, seed] of plan.seeds.entries()) {
    if (at > 0 && at % PROGRESS_EVERY === 0) {
      process.stderr.write(`${at} of ${plan.seeds.length} seeds, ${failed} failed\n`);
    }
    const run = runnerOf(async (options) => reports.push(await simulate(options)));
    const failure = await run(plan.of(seed));
    if (failure === undefined) continue;
    failed += 1;
    const text = failed > EXPLAINED_MAX ? failure.message : await explain(failure);
    process.stderr.write(`${text}\n\n`);
  }
  const sum = (of: (report: SimReport) => number) => {
    return reports.reduce((total, report) => total + of(report), 0);
  };
  const slowestMs = reports.reduce((most, { convergedMs }) => Math.max(most, convergedMs), 0);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(
    `${plan.seeds.length} seeds, ${failed} failed, ${seconds} s: ${sum((one) => one.faults)} ` +
      `faults, ${sum((one) => one.granted)} containers, ${sum((one) => one.announced)} ` +
      `announcements, ${sum((one) => one.packets)} datagrams, ` +
      `${sum((one) => one.deaths)} deaths, ${sum((one) => one.wrongDeaths)} of them wrong; ` +
      `agreed at most ${slowestMs} ms after healing\n`,
  );
  return failed;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help")) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  if (argv.includes("--measure")) {
    await measure();
    return 0;
  }
  const plan = planOf(argv);
  if (plan.schedules > 0) {
    mergeSchedules(plan.schedules);
    process.stdout.write(`${plan.schedules} schedules of the merge laws hold\n`);
  }
  return (await runAll(plan)) === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}\n`);
    process.exitCode = 2;
  },
);
