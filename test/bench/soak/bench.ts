/**
 * `bench soak`: half an hour of containers that come and go, ten a second over three hosts, and
 * whether the daemons stay the same size meanwhile. Containers are namespaces, attached and
 * detached, so that the daemons are what is measured and not an engine.
 */
import { AttachMesh } from "../lib/attach-mesh.ts";
import type { BenchOptions } from "../lib/options.ts";
import { panels } from "../lib/panels.ts";
import type { Figure, Section } from "../lib/report.ts";
import { median, quantile } from "../lib/stats.ts";
import { Churn } from "./churn.ts";
import { Samples } from "./samples.ts";

const HOSTS = 3;
const MINUTES = 30;
const QUICK_MINUTES = 1;
const PER_SECOND = 10;
const ALIVE = 60;
const SAMPLE_MS = 5000;
const REST_MS = 5000;

const NOTES = [
  "Three daemons without engines, each on a host of its own. Ten times a second a namespace is",
  "made, attached, pings another container once, and the oldest is detached and deleted; sixty",
  "live at a time. Every five seconds each daemon is measured. Growth compares the medians of the",
  "second and of the last fifth of the run. Attaching includes the wait for all hosts to have",
  "programmed it.",
];

export async function benchSoak(options: BenchOptions): Promise<Section> {
  const { cleanup, quick, say } = options;
  const minutes = options.minutes ?? (quick ? QUICK_MINUTES : MINUTES);
  const mesh = await AttachMesh.up(`s${(process.pid % 46_656).toString(36)}`, HOSTS, cleanup);
  const churn = new Churn(mesh, { perSecond: PER_SECOND, alive: ALIVE });
  const samples = new Samples(mesh, churn);
  const stopSampling = samples.every(SAMPLE_MS, say);
  cleanup.add("the samples", stopSampling);
  await churn.run(minutes * 60_000);
  await stopSampling();
  await churn.end();
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const left = await mesh.left();
  return {
    name: "soak",
    title: `soak: ${minutes} minutes at ${PER_SECOND} containers a second`,
    figures: [...churnFigures(churn, minutes), ...growthFigures(samples), leftFigure(left)],
    tables: [],
    notes: [
      NOTES.join(" "),
      ...churn.failures.slice(0, 5).map((text) => `Failed: ${text}`),
      "![memory, descriptors, stalls and state over the run](soak.svg)",
    ],
    drawings: [{ file: "soak.svg", svg: panels("minutes", samples.panels()) }],
  };
}

function churnFigures({ attachMs, born, failed, lost }: Churn, minutes: number): Figure[] {
  const perSecond = born / (minutes * 60);
  return [
    one("containers a second", "1/s", perSecond, "higher", PER_SECOND * 0.95),
    one("containers in all", "", born, "higher"),
    one("attach, median", "ms", median(attachMs), "lower"),
    one("attach, 99 of 100", "ms", quantile(attachMs, 0.99), "lower"),
    one("starts and ends that failed", "", failed, "lower", 0),
    one("first pings without an answer", "", lost, "lower", 0),
  ];
}

function growthFigures(samples: Samples): Figure[] {
  const { rss, fds, state, stallMs } = samples.growth();
  return [
    one("resident memory, end over beginning", "", rss, "lower", 1.1),
    one("open descriptors, end over beginning", "", fds, "lower", 1.1),
    one("state on disk, end over beginning", "", state, "lower", 1.5),
    one("longest stall of a daemon, median of 5 s", "ms", median(stallMs), "lower"),
    one("longest stall of a daemon, of all", "ms", Math.max(...stallMs), "lower"),
  ];
}

function leftFigure(left: number): Figure {
  return one("devices and namespaces left at the end", "", left, "lower", 0);
}

function one(
  what: string,
  unit: string,
  value: number,
  better: Figure["better"],
  target?: number,
): Figure {
  return { what, unit, ours: [value], better, ...(target === undefined ? {} : { target }) };
}
