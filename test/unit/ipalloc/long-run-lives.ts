/**
 * The lives of a long run, one schedule a seed, in one process without a test runner. Bundled by
 * long-run.ts, because a bundle runs half as long as the sources do.
 */
import { parseArgs } from "node:util";
import { AdoptionSchedule } from "./sim-adoption.ts";
import { DepartureSchedule } from "./sim-departures.ts";
import { Schedule } from "./sim-schedule.ts";

const PROGRESS_MS = 60_000;

interface Kind {
  /** So many of a hundred seeds. */
  readonly share: number;
  readonly life: (seed: number) => Promise<unknown>;
  /** What repeats one seed. */
  readonly test: string;
}

const TESTS = "node --import tsx --test test/unit/ipalloc";

const KINDS: Readonly<Record<string, Kind>> = {
  honest: {
    share: 50,
    life: async (seed) => await new DepartureSchedule(seed, "honest").run(),
    test: `MODE=honest ${TESTS}/departures-simulation.test.ts`,
  },
  lying: {
    share: 12,
    life: async (seed) => await new DepartureSchedule(seed, "lying").run(),
    test: `MODE=lying ${TESTS}/departures-simulation.test.ts`,
  },
  plain: {
    share: 18,
    life: async (seed) => await new Schedule(seed).run(),
    test: `${TESTS}/simulation.test.ts`,
  },
  copies: {
    share: 5,
    life: async (seed) => await new Schedule(seed, { copies: true }).run(),
    test: `${TESTS}/simulation.test.ts`,
  },
  setBacks: {
    share: 7,
    life: async (seed) => await new Schedule(seed, { setBacks: true }).run(),
    test: `${TESTS}/simulation.test.ts`,
  },
  adoption: {
    share: 8,
    life: async (seed) => await new AdoptionSchedule(seed).run(),
    test: `${TESTS}/adoption.test.ts`,
  },
};

/** The kind of a seed: by its hash, because the schedules draw on its remainders. */
function kindOf(seed: number): string {
  let left = ((Math.imul(seed, 0x9e3779b1) >>> 8) % 10_000) / 100;
  for (const [name, { share }] of Object.entries(KINDS)) {
    if (left < share) return name;
    left -= share;
  }
  throw new Error("the shares of the kinds are not a hundred");
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(0, 19)}Z ${text}\n`);
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: { schedules: { type: "string" }, from: { type: "string" } },
  });
  const [count, from] = [Number(values.schedules ?? "1000"), Number(values.from ?? "1")];
  const done: Record<string, number> = {};
  // Refusals are thrown by the thousand, and nobody reads where.
  Error.stackTraceLimit = 0;
  const startedMs = performance.now();
  let saidMs = startedMs;
  for (let seed = from; seed < from + count; seed++) {
    const name = kindOf(seed);
    try {
      await KINDS[name]?.life(seed);
    } catch (error) {
      say(`seed ${seed} (${name}): ${error instanceof Error ? error.message : String(error)}`);
      say(`repeat: SEED=${seed} ${KINDS[name]?.test}`);
      return 1;
    }
    done[name] = (done[name] ?? 0) + 1;
    const nowMs = performance.now();
    if (nowMs - saidMs < PROGRESS_MS && seed < from + count - 1) continue;
    saidMs = nowMs;
    const rate = (((seed + 1 - from) * 1000) / (nowMs - startedMs)).toFixed(1);
    const { user } = process.cpuUsage();
    const each = (user / 1000 / (seed + 1 - from)).toFixed(0);
    say(`${seed + 1 - from} of ${count} to seed ${seed}, ${rate}/s, ${each} ms of processor each`);
  }
  say(`no violation: ${JSON.stringify(done)}`);
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(2);
  },
);
