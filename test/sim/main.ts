/** `npm run sim`: whole peers in virtual time from seeds; see sim-options.ts for the flags. */
import { measureJoin } from "./join-measure.ts";
import { planOf, USAGE } from "./sim-options.ts";
import { simulate } from "./sim-run.ts";
import { measureSpread } from "./spread-measure.ts";

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
  const startedMs = performance.now();
  const totals = { granted: 0, announced: 0, faults: 0, packets: 0, slowestMs: 0 };
  let failed = 0;
  for (const seed of plan.seeds) {
    try {
      const report = await simulate(plan.of(seed));
      totals.granted += report.granted;
      totals.announced += report.announced;
      totals.faults += report.faults;
      totals.packets += report.packets;
      totals.slowestMs = Math.max(totals.slowestMs, report.convergedMs);
    } catch (error) {
      failed += 1;
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(
    `${plan.seeds.length} seeds, ${failed} failed, ${seconds} s: ${totals.faults} faults, ` +
      `${totals.granted} containers, ${totals.announced} announcements, ` +
      `${totals.packets} datagrams; agreed at most ${totals.slowestMs} ms after healing\n`,
  );
  return failed === 0 ? 0 : 1;
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
