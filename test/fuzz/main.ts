/**
 * `npm run fuzz -- [--cases N] [--seed S] [--target NAME]… [--bytes HEX]`: N cases over all
 * targets, or over those named; `--bytes` gives one target exactly these. A failure prints what
 * repeats it.
 */
import { fuzz, type Report } from "./run.ts";
import type { Target } from "./target.ts";
import { DECODERS, LIVE } from "./targets.ts";

const TARGETS = [...DECODERS, ...LIVE];
const USAGE = `usage: npm run fuzz -- [--cases N] [--seed S] [--target NAME]… [--bytes HEX]
targets: ${TARGETS.map(({ name }) => name).join(" ")}`;

interface Options {
  cases: number;
  seed: number;
  bytes: Uint8Array | undefined;
  readonly targets: Target[];
}

function read(args: readonly string[]): Options {
  const options: Options = {
    cases: 100_000,
    seed: Date.now() >>> 0,
    bytes: undefined,
    targets: [],
  };
  for (let at = 0; at < args.length; at += 2) {
    const [flag, value = ""] = [args[at], args[at + 1]];
    const target = TARGETS.find(({ name }) => name === value);
    if (flag === "--cases" && /^[1-9]\d{0,8}$/.test(value)) options.cases = Number(value);
    else if (flag === "--seed" && /^\d{1,10}$/.test(value)) options.seed = Number(value) >>> 0;
    else if (flag === "--target" && target !== undefined) options.targets.push(target);
    else if (flag === "--bytes" && /^([0-9a-f]{2})*$/.test(value)) {
      options.bytes = Buffer.from(value, "hex");
    } else throw new Error(`unknown or wrong: ${flag} ${value}\n${USAGE}`);
  }
  if (options.targets.length === 0) options.targets.push(...TARGETS);
  return options;
}

function line({ target, cases, taken, refused, heapGrownMib, ms }: Report): string {
  const often = [...refused].sort(([, a], [, b]) => b - a)[0];
  const rate = ((cases * 1000) / ms).toFixed(0);
  const parts = [
    `${target.padEnd(18)} ${String(cases).padStart(8)} cases, ${rate}/s, ${taken} taken`,
    `refused for ${refused.size} reasons${often === undefined ? "" : `, most: ${often[0]}`}`,
    `heap ${heapGrownMib.toFixed(1)} MiB more`,
  ];
  return `${parts.join("; ")}\n`;
}

async function main(): Promise<number> {
  const { cases, seed, bytes, targets } = read(process.argv.slice(2));
  if (bytes !== undefined) {
    for (const target of targets) {
      const subject = await target.open();
      process.stdout.write(`${target.name}: ${(await subject.run(bytes)) ?? "taken"}\n`);
    }
    return 0;
  }
  const startMs = performance.now();
  const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
  let [done, failed] = [0, 0];
  for (const target of targets) {
    const share = Math.ceil((cases * target.weight) / weights);
    try {
      process.stdout.write(line(await fuzz(target, { seed, cases: share })));
      done += share;
    } catch (error) {
      failed += 1;
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  process.stdout.write(`seed ${seed}: ${done} cases, ${failed} targets failed, ${seconds} s\n`);
  return failed === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`fuzz: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  },
);
