/**
 * `bench data`: throughput and latency of tsweave's road against Swarm's overlay, a VXLAN made by
 * hand, the bare wire and one host's bridge. The roads take turns within a round, and ratios are
 * the medians of the rounds' own ratios, because the machine's speed drifts.
 */
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section, Table } from "../lib/report.ts";
import { pairedRatio, short, spread } from "../lib/stats.ts";
import { needTool } from "../lib/tools.ts";
import { twoHosts } from "../lib/two-hosts.ts";
import { makePaths, NAMES, type Path } from "./paths.ts";
import { pingUs, smallKpps, startServer, tcpGbit } from "./probes.ts";

const ROUNDS = 9;
const QUICK_ROUNDS = 1;

const MEASURES = {
  tcp1: { what: "TCP, 1 stream", unit: "Gbit/s", better: "higher", probe: one },
  tcp4: { what: "TCP, 4 streams", unit: "Gbit/s", better: "higher", probe: four },
  udp: { what: "UDP of 64 bytes received", unit: "kpps", better: "higher", probe: smallKpps },
  ping: { what: "ping round trip", unit: "µs", better: "lower", probe: pingUs },
} as const;
type Measure = keyof typeof MEASURES;
const KEYS = Object.keys(MEASURES) as Measure[];

/** Samples by round, by path name. */
type Samples = Map<string, Record<Measure, number[]>>;

async function one(path: Path): Promise<number> {
  return await tcpGbit(path, 1);
}

async function four(path: Path): Promise<number> {
  return await tcpGbit(path, 4);
}

export async function benchData({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  await needTool("iperf3");
  await needTool("taskset", "util-linux");
  say("making two hosts");
  const hosts = await twoHosts("bench-data", cleanup, { swarm: true, flags: ["--direct"] });
  const paths = await makePaths(hosts);
  for (const path of paths) cleanup.add(`server of ${path.name}`, startServer(path));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const samples: Samples = new Map();
  for (const { name } of paths) samples.set(name, { tcp1: [], tcp4: [], udp: [], ping: [] });
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const calm = new Calm(60_000);
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    const order = round % 2 === 0 ? paths : paths.toReversed();
    for (const key of KEYS) {
      await calm.wait();
      for (const path of order) {
        samples.get(path.name)?.[key].push(await MEASURES[key].probe(path));
      }
    }
  }
  return section(samples, hosts.noSwarm);
}

interface Comparison {
  readonly ours: string;
  readonly name: string;
  readonly targets: Record<Measure, number>;
}

const AGAINST: readonly Comparison[] = [
  { ours: NAMES.ours, name: NAMES.swarm, targets: { tcp1: 1.05, tcp4: 1.05, udp: 1, ping: 1 } },
  {
    ours: NAMES.ours,
    name: NAMES.ideal,
    targets: { tcp1: 0.97, tcp4: 0.97, udp: 0.97, ping: 1.03 },
  },
  { ours: NAMES.direct, name: NAMES.swarm, targets: { tcp1: 1.3, tcp4: 1.3, udp: 1.3, ping: 1 } },
  { ours: NAMES.direct, name: NAMES.ours, targets: { tcp1: 1.1, tcp4: 1.1, udp: 1.1, ping: 1 } },
];

function section(samples: Samples, noSwarm: string | undefined): Section {
  const figures: Figure[] = [];
  for (const { ours: own, name, targets } of AGAINST) {
    const ours = samples.get(own);
    const theirs = samples.get(name);
    if (ours === undefined || theirs === undefined) continue;
    for (const key of KEYS) {
      const { what, unit, better } = MEASURES[key];
      const [values, peer] = [ours[key], theirs[key]];
      figures.push({
        what: own === NAMES.ours ? what : `${what}, ${own}`,
        unit,
        better,
        ours: values,
        peer: { name, values: peer },
        ratio: pairedRatio(values, peer),
        ratioTarget: targets[key],
      });
    }
  }
  return {
    name: "data",
    title: "data: throughput and latency between two hosts",
    figures,
    tables: [absolute(samples), relative(samples)],
    notes: [...NOTES, ...(noSwarm === undefined ? [] : [`No Swarm: ${noSwarm}`])],
  };
}

function absolute(samples: Samples): Table {
  return {
    title: "Every road: median (least–most, rounds)",
    columns: ["road", ...KEYS.map((key) => `${MEASURES[key].what}, ${MEASURES[key].unit}`)],
    rows: [...samples].map(([name, values]) => [name, ...KEYS.map((key) => spread(values[key]))]),
  };
}

function relative(samples: Samples): Table {
  const base = samples.get(NAMES.swarm) ?? samples.get(NAMES.ideal);
  const name = samples.has(NAMES.swarm) ? NAMES.swarm : NAMES.ideal;
  return {
    title: `Every road over ${name}: median of the rounds' ratios`,
    columns: ["road", ...KEYS.map((key) => MEASURES[key].what)],
    rows: [...samples].map(([road, values]) => [
      road,
      ...KEYS.map((key) => short(pairedRatio(values[key], base?.[key] ?? []))),
    ]),
  };
}

const NOTES = [
  "Two hosts are two sets of namespaces on one machine, joined by veth pairs and a bridge: there " +
    "is " +
    "no wire, so every road is bound by the processor, and only ratios mean anything.",
  "iperf3 for 1 s, client and server pinned to one core each; ping without pause.",
  "VXLAN by hand: the same devices and flags as an overlay, static entries, bridge-nf-call off.",
];
