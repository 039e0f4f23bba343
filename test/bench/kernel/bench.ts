/**
 * `bench kernel`: how fast the reconciler brings remote endpoints into the kernel, cold and one at
 * a time, against raw batches, and what it costs in processor time, stalls and memory.
 */
import { run } from "../../lab/exec.ts";
import { bundle, scratchDir } from "../lib/bundle.ts";
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import { cpuMs } from "../lib/processes.ts";
import type { Figure, Section } from "../lib/report.ts";
import { ENTRIES, type Measured } from "./endpoints.ts";
import { makeFloor, processPerEntryMs, rawBatchMs } from "./floor.ts";
import { ownTag, removeNamespaces, runWorker } from "./run-worker.ts";

/** Endpoints, and in how many rounds. */
const SIZES: readonly (readonly [size: number, rounds: number])[] = [
  [1000, 5],
  [10_000, 5],
  [50_000, 2],
];
const QUICK_SIZES: typeof SIZES = [[1000, 1]];
const SINGLES = 100;
/** Of the bench itself: what a person, or Docker waiting for an answer, begins to notice. */
const STALL_MS = 100;

interface Samples {
  readonly size: number;
  readonly rounds: number;
  readonly measured: Measured[];
  readonly rawMs: number[];
  readonly rawCpuMs: number[];
  readonly singlesMs: number[];
}

export async function benchKernel(options: BenchOptions): Promise<Section> {
  const { cleanup, quick, say } = options;
  const worker = await bundle("kernel/worker.ts", scratchDir(cleanup));
  const tag = ownTag("k");
  cleanup.add("namespaces", () => removeNamespaces(tag));
  const sizes = quick ? QUICK_SIZES : SIZES;
  const all: Samples[] = sizes.map(([size, rounds]) => ({
    ...{ size, rounds },
    measured: [],
    rawMs: [],
    rawCpuMs: [],
    singlesMs: [],
  }));
  const calm = new Calm(60_000);
  for (let round = 0; all.some(({ rounds }) => round < rounds); round++) {
    for (const samples of all) {
      if (round >= samples.rounds) continue;
      say(`round ${round + 1}: ${samples.size} endpoints`);
      await calm.wait();
      await floors(samples, `tw${tag}-f`);
      const wish = { tag, endpoints: samples.size };
      samples.measured.push(await runWorker<Measured>(worker, wish, cleanup));
    }
  }
  return {
    name: "kernel",
    title: "kernel: remote endpoints into the kernel",
    figures: all.flatMap(figuresOf),
    tables: [],
    notes: NOTES,
  };
}

async function floors({ size, rawMs, rawCpuMs, singlesMs }: Samples, netns: string): Promise<void> {
  await makeFloor(netns);
  const cpuBefore = cpuMs(process.pid);
  rawMs.push(await rawBatchMs(netns, size));
  rawCpuMs.push(cpuMs(process.pid) - cpuBefore);
  const oneMs = await processPerEntryMs(netns, SINGLES);
  singlesMs.push(oneMs * size * ENTRIES);
  await run(["ip", "netns", "del", netns]);
}

function figuresOf({ size, measured, rawMs, rawCpuMs, singlesMs }: Samples): Figure[] {
  const what = (text: string): string => `${size} endpoints: ${text}`;
  const of = (key: keyof Measured): number[] => measured.map((one) => one[key]);
  const rate = (ms: readonly number[]): number[] => ms.map((one) => (size * ENTRIES * 1000) / one);
  const raw = { name: "raw batch", values: rate(rawMs) };
  const singles = { name: "a process each", values: rate(singlesMs) };
  const plain = (text: string, unit: string, key: keyof Measured, target?: number): Figure => ({
    what: what(text),
    unit,
    ours: of(key),
    better: "lower",
    ...(target === undefined ? {} : { target }),
  });
  const cold = rate(of("coldMs"));
  return [
    { what: what("cold"), unit: "entries/s", ours: cold, peer: raw, better: "higher" },
    { what: what("cold"), unit: "entries/s", ours: cold, peer: singles, better: "higher" },
    {
      ...plain("cold, processor time", "ms", "coldCpuMs"),
      peer: { name: "raw batch", values: rawCpuMs },
    },
    plain("cold, longest stall of the daemon", "ms", "coldStallMs", STALL_MS),
    plain("a full pass that changes nothing", "ms", "fullPassMs"),
    plain("a full pass, processor time", "ms", "fullPassCpuMs"),
    plain("a full pass, longest stall", "ms", "fullPassStallMs", STALL_MS),
    plain("one row more", "ms", "oneMs"),
    plain("one row less", "ms", "oneGoneMs"),
    plain("one row more and less, processor time with the looks after", "ms", "oneCpuMs"),
    plain("resident memory", "MiB", "rssMib"),
    plain("resident memory, over an empty reconciler", "MiB", "addedRssMib"),
    plain("peak resident memory", "MiB", "peakRssMib"),
  ];
}

const NOTES = [
  "An endpoint is three entries: neighbour, forward (FDB of vxlan0), steer (FDB of br0). Raw " +
    "batch: " +
    "the same lines by ip and bridge side by side, without reading. A process each: the mean of " +
    `${SINGLES} entries, scaled up.`,
  "Cold holds the observation before, the batches, and the verifying observation after; the raw " +
    "batch only writes. The limit on stalls is the bench's own.",
];
