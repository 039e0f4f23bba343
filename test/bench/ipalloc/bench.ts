/**
 * `bench ipalloc`: addresses on one peer against the bare disk, three peers launched at once,
 * gifts, the merge of large views, and a /16 given out whole.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { InitMode } from "../../../ipalloc/index.ts";
import { fragment, type Policy } from "../../lib/fragmentation.ts";
import { scratchDir } from "../lib/bundle.ts";
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section, Table } from "../lib/report.ts";
import { median, pairedRatio, short } from "../lib/stats.ts";
import { type FullPool, fullPool, type LocalRound, localRound } from "./local.ts";
import { type Merge, mergeRows } from "./merge.ts";
import { type ThreeRound, threeRound } from "./three.ts";

/** Weave 2.8.1 on another machine: an allocation, and the first of three peers. */
const WEAVE = { allocationMs: 17, firstMs: 88 };
const CONSENSUS: InitMode = { kind: "consensus" };

export async function benchIpalloc({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  const dir = scratchDir(cleanup);
  const rounds = quick ? 2 : 7;
  const calm = new Calm(60_000);
  const local: LocalRound[] = [];
  const agreed: ThreeRound[] = [];
  const seeded: ThreeRound[] = [];
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    await calm.wait();
    local.push(await localRound(dir, round, quick ? 100 : 500));
    await calm.wait();
    agreed.push(
      await threeRound(home(dir, "agreed"), 2 * round, CONSENSUS, quick ? 20 : 100, cleanup),
    );
    await calm.wait();
    const odd = 2 * round + 1;
    const names = [0, 1, 2].map((n) => `r${odd}n${n}`);
    seeded.push(await threeRound(home(dir, "seeded"), odd, { kind: "seed", names }, 0, cleanup));
  }
  say("a full /16");
  const full = await fullPool();
  say("merging");
  const small: Merge[] = [];
  for (let round = 0; round < rounds; round++) {
    small.push(await mergeRows(home(dir, `merge-${round}`), 100, 10));
  }
  const large = await mergeRows(home(dir, "merge-large"), 100, 1000);
  say("fragmentation");
  return {
    name: "ipalloc",
    title: "ipalloc: addresses given out, moved and merged",
    figures: [
      ...localFigures(local),
      ...threeFigures(agreed, seeded),
      ...fullFigures(full),
      {
        what: "100 peers of 10 ranges each: rows read, merged and on disk",
        unit: "ms",
        better: "lower",
        ours: small.map(({ ms }) => ms),
        target: 50,
      },
      {
        what: `the same, their rows (${small[0]?.ranges} ranges)`,
        unit: "B",
        better: "lower",
        ours: [small[0]?.bytes ?? Number.NaN],
        target: 64_000,
      },
      {
        what: `100 peers of 1000 ranges each: the same (${large.bytes} bytes)`,
        unit: "ms",
        better: "lower",
        ours: [large.ms],
        target: 5000,
      },
    ],
    tables: [fragmentation(quick ? 2000 : 10_000)],
    notes: NOTES,
  };
}

function home(dir: string, name: string): string {
  const path = join(dir, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function localFigures(rounds: readonly LocalRound[]): Figure[] {
  const [pairs, floors] = [
    rounds.map(({ pairUs }) => pairUs),
    rounds.map(({ floorUs }) => floorUs),
  ];
  return [
    {
      what: "an address given out and taken back, both on disk: p50",
      unit: "µs",
      better: "lower",
      ours: pairs,
      peer: { name: "two writes with fdatasync", values: floors },
      ratio: pairedRatio(pairs, floors),
      ratioTarget: 1.5,
      target: WEAVE.allocationMs * 1000,
    },
    {
      what: "the same, p99",
      unit: "µs",
      better: "lower",
      ours: rounds.map(({ pairP99Us }) => pairP99Us),
      target: WEAVE.allocationMs * 1000,
    },
    {
      what: "addresses given out a second, 32 asked for at a time",
      unit: "1/s",
      better: "higher",
      ours: rounds.map(({ perSecond }) => perSecond),
      target: 100,
    },
  ];
}

function threeFigures(agreed: readonly ThreeRound[], seeded: readonly ThreeRound[]): Figure[] {
  return [
    {
      what: "three peers launched at once: first address of the last, by agreement",
      unit: "ms",
      better: "lower",
      ours: agreed.map(({ firstMs }) => firstMs),
      target: 1000,
    },
    {
      what: "the same with seed=",
      unit: "ms",
      better: "lower",
      ours: seeded.map(({ firstMs }) => firstMs),
      target: 1000,
    },
    {
      what: "an address that another peer owns, asked of it: p50",
      unit: "ms",
      better: "lower",
      ours: agreed.map(({ giftMs }) => median(giftMs)),
      target: WEAVE.allocationMs,
    },
  ];
}

function fullFigures({ heapMib, allocateUs, churnUs }: FullPool): Figure[] {
  return [
    {
      what: "a /16 given out to the last address: memory",
      unit: "MiB",
      better: "lower",
      ours: [heapMib],
      target: 48,
    },
    {
      what: "the same: processor time of one allocation",
      unit: "µs",
      better: "lower",
      ours: [allocateUs],
      target: 200,
    },
    {
      what: "every second one of them released: processor time of one",
      unit: "µs",
      better: "lower",
      ours: [churnUs],
      target: 200,
    },
  ];
}

function fragmentation(operations: number): Table {
  const policies: readonly [Policy, string][] = [
    ["none", "gifts as they come"],
    ["near", "gifts beside the asker's own first"],
    ["tidy", "and owners merge and give islands back"],
  ];
  return {
    title: `Intervals of a /16 among 8 owners after ${operations} random gifts, claims, leases`,
    columns: ["policy", "after a tenth", "after half", "at the end", "gifts", "given back"],
    rows: policies.map(([policy, text]) => {
      const { intervals, gifts, returns } = fragment(1, operations, policy);
      const at = [intervals[0], intervals[4], intervals.at(-1)].map((n) => short(n ?? Number.NaN));
      return [text, ...at, String(gifts), String(returns)];
    }),
  };
}

const NOTES = [
  `Weave 2.8.1 on another machine: ${WEAVE.allocationMs}–23 ms an allocation, ` +
    `${WEAVE.firstMs} ms the first of three peers that had joined already.`,
  "Three peers: whole mesh nodes of one process with sockets on loopback and journals on disk; " +
    "the time counts joining, the agreement, the opening of the pool and the first address.",
];
