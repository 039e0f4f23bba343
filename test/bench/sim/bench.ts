/**
 * `bench sim`: whole peers (native engine, tables, wire, store) in virtual time, up to a thousand
 * in one process: what no machine here holds as real hosts.
 */
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section, Table } from "../lib/report.ts";
import { median, quantile, short } from "../lib/stats.ts";
import { curve, type Series } from "./curve.ts";
import { type Effort, measureCrowd, type SimFigures } from "./trial.ts";

const SIZES: readonly (readonly [peers: number, effort: Effort])[] = [
  [20, { events: 60, quietSeconds: 60, victims: 5 }],
  [100, { events: 30, quietSeconds: 30, victims: 4 }],
  [1000, { events: 8, quietSeconds: 10, victims: 2 }],
];
const QUICK: typeof SIZES = [[20, { events: 5, quietSeconds: 10, victims: 1 }]];

/** What the seal adds to each packet of a mesh with a password. */
const SEAL_BYTES = 35;

const NOTES = [
  "Whole peers over a simulated network (one-way delay 0.15 to 0.6 ms), clock and disk; each runs",
  "the native engine and its own tables; nothing is shared. Only joining is left out: all are",
  "handed the list of all. Bytes are plain, with IPv4 and UDP headers; a seal adds 35 a packet.",
  "An event is one endpoint row, measured from the write to the last peer; bytes of",
  "one are not told where suspicions, which come with loss, drown them.",
  "Processor time of peers and machine noise are not in virtual time.",
];

export async function benchSim({ quick, say }: BenchOptions): Promise<Section> {
  const results: SimFigures[] = [];
  for (const [peers, effort] of quick ? QUICK : SIZES) {
    results.push(await measureCrowd(peers, effort, say));
  }
  return {
    name: "sim",
    title: "sim: whole peers in virtual time",
    figures: results.flatMap(figuresOf),
    tables: [lossTable(results), costTable(results)],
    notes: [NOTES.join(" "), "![last receiver by mesh size and loss](sim.svg)"],
    drawings: [{ file: "sim.svg", svg: lastReceiver(results) }],
  };
}

function figuresOf({ peers, losses, allKnewMs }: SimFigures): Figure[] {
  const [none, some] = losses;
  const named = (what: string, unit: string, ours: readonly number[], target: number): Figure => {
    return { what: `${peers} peers: ${what}`, unit, ours, better: "lower", target };
  };
  if (none === undefined || some === undefined) return [];
  const wrong = losses.reduce((sum, one) => sum + one.wrongDeaths, 0);
  const sealed = none.idleBytesPerSecond + none.idlePacketsPerSecond * SEAL_BYTES;
  return [
    named("event to the last receiver", "ms", none.lastMs, 10),
    named("event to the last receiver at 5 % loss", "ms", some.lastMs, 70),
    named("bytes of one event a peer", "B", [none.bytesPerEvent], 250),
    named("bytes of one event a peer at 5 % loss", "B", [some.bytesPerEvent], 250),
    named("idle bytes a peer and second, sealed", "B/s", [sealed], 200),
    named("silent host until all know", "ms", allKnewMs, 4000),
    named("living peers declared dead, at all losses", "", [wrong], 0),
  ];
}

function lossTable(results: readonly SimFigures[]): Table {
  return {
    title: "By size and loss",
    columns: [
      "peers",
      "loss",
      "last receiver p50 / p99 (ms)",
      "B an event",
      "idle B/s",
      "idle packets/s",
      "suspicions",
      "wrong deaths",
      "peer-minutes",
    ],
    rows: results.flatMap(({ peers, losses }) =>
      losses.map((one) => [
        `${peers}`,
        `${one.loss * 100} %`,
        `${short(median(one.lastMs))} / ${short(quantile(one.lastMs, 0.99))}`,
        one.suspicions > 0 ? "–" : short(Math.round(one.bytesPerEvent)),
        short(Math.round(one.idleBytesPerSecond)),
        one.idlePacketsPerSecond.toFixed(1),
        `${one.suspicions}`,
        `${one.wrongDeaths}`,
        short(Math.round((peers * one.virtualSeconds) / 60)),
      ]),
    ),
  };
}

function costTable(results: readonly SimFigures[]): Table {
  return {
    title: "Detection, memory, and what the simulation itself costs",
    columns: [
      "peers",
      "silent host: half know p50 (ms)",
      "all know p50 / worst (ms)",
      "heap a peer (KiB)",
      "real seconds a quiet virtual minute",
    ],
    rows: results.map(({ peers, medianKnewMs, allKnewMs, heapBytes, minuteSeconds }) => [
      `${peers}`,
      short(Math.round(median(medianKnewMs))),
      `${short(Math.round(median(allKnewMs)))} / ${short(Math.round(Math.max(...allKnewMs)))}`,
      short(Math.round(heapBytes / 1024)),
      minuteSeconds.toFixed(1),
    ]),
  };
}

function lastReceiver(results: readonly SimFigures[]): string {
  const colours = ["#2a7", "#27a", "#a42"];
  const series = colours.flatMap((colour, at): Series[] => {
    const points = (share: number) =>
      results.map(({ peers, losses }): readonly [number, number] => {
        return [peers, quantile(losses[at]?.lastMs ?? [], share)];
      });
    const loss = `${(results[0]?.losses[at]?.loss ?? 0) * 100} %`;
    return [
      { name: `${loss} loss, p50`, colour, isDashed: false, points: points(0.5) },
      { name: `${loss} loss, p99`, colour, isDashed: true, points: points(0.99) },
    ];
  });
  return curve("A row at its last receiver", ["peers", "ms"], series);
}
