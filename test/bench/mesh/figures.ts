/** What the mesh bench measured, as figures against serf and against the design's targets. */
import type { Figure, Section, Table } from "../lib/report.ts";
import { quantile, short, spread } from "../lib/stats.ts";
import type { DaemonCosts } from "./daemons.ts";
import type { DriverResult, HarnessShare } from "./driver.ts";
import { isKeyed, KEYED } from "./engine-name.ts";
import { type LateJoins, ROWS } from "./late-join.ts";
import type { Measured, PauseCell } from "./trial.ts";

/** Targets of 20 peers, from the design. */
const TARGETS = {
  ...{ joinMs: 150, lastMs: 10, killMs: 1000, vanishMs: 4000, resumeMs: 300 },
  ...{ idle: 200, eventBytes: 250 },
};
/** A pause of a peer that nobody should call dead for it. */
const SHORT_PAUSE_MS = 4000;

export function sectionOf(
  { trials, daemons, lateJoins, codec, harness }: DriverResult,
  engines: readonly string[],
  grid: readonly PauseCell[],
): Section {
  const last = trials.at(-1) ?? [];
  const figures = trials.flatMap((trial) =>
    trial.flatMap((ours) => {
      const serf = peerOf(ours.system, trial);
      return isSerf(ours) || serf === undefined ? [] : compare(ours, serf);
    }),
  );
  const digest = [`${codec.digestBytes} B a digest (${spread(codec.digestMicros)} µs to make)`];
  const coded = `${codec.deltaBytes} B for ${ROWS} rows`;
  return {
    name: "mesh",
    title: `mesh: ${engines.join(", ")} against serf`,
    figures: [
      ...figures,
      ...last.flatMap((ours) => pauseFigures(ours, last, grid)),
      ...daemons.flatMap((costs) => daemonFigures(costs, peerOf(costs.engine, last))),
      ...lateJoins.flatMap(lateFigures),
      plain("codec: rows written", "rows/s", codec.writtenPerSecond, "higher"),
      plain("codec: rows read", "rows/s", codec.readPerSecond, "higher"),
    ],
    tables: [slanderTable(trials), gridTable(last, grid), harnessTable(harness)],
    notes: [...NOTES, `Tables: ${[...digest, coded].join(", ")}.`],
  };
}

const isSerf = ({ system }: Measured): boolean => system.startsWith("serf");

/** An encrypted mesh is compared with an encrypted one. */
function peerOf(engine: string, trial: readonly Measured[]): Measured | undefined {
  return trial.find(({ system }) => system === (isKeyed(engine) ? `serf${KEYED}` : "serf"));
}

function plain(what: string, unit: string, ours: readonly number[], better: Figure["better"]) {
  return { what, unit, ours, better };
}

function compare(ours: Measured, serf: Measured): Figure[] {
  const what = (text: string): string => `${ours.system}, ${ours.size} peers: ${text}`;
  const against = (values: readonly number[]) => ({ name: serf.system, values });
  const lower = "lower" as const;
  const row = (text: string, unit: string, key: keyof Measured, target?: number): Figure[] => {
    const [mine, theirs] = [ours[key], serf[key]] as unknown as (readonly number[])[];
    if (!Array.isArray(mine) || !Array.isArray(theirs) || mine.length === 0) return [];
    const limit = target === undefined ? {} : { target };
    return [{ what: what(text), unit, ours: mine, peer: against(theirs), better: lower, ...limit }];
  };
  return [
    ...row("joined at once, until all see all", "ms", "joinMs", TARGETS.joinMs),
    ...row("packets of a join per peer, 0.5 s more included", "", "joinPackets"),
    ...row("processor time of a join per peer", "ms", "joinCpuMs"),
    ...row("event to the median receiver", "ms", "medianMs"),
    ...row("event to the last receiver", "ms", "lastMs", TARGETS.lastMs),
    ...row("bytes of one event per peer", "B", "eventBytes", TARGETS.eventBytes),
    ...row("kill -9 (port closed) until the first knows", "ms", "killFirstMs"),
    ...row("kill -9 (port closed) until all know", "ms", "killLastMs", TARGETS.killMs),
    ...row("host gone without a word, until all know", "ms", "vanishLastMs", TARGETS.vanishMs),
    ...row("restarted, from join until all see all", "ms", "restartMs"),
    ...row("paused 30 s: dead for all after", "ms", "pauseDeadMs", TARGETS.vanishMs),
    ...row("paused 30 s: all agree after SIGCONT", "ms", "resumeMs", TARGETS.resumeMs),
    ...row("idle bytes per peer and second", "B/s", "idleBytes", TARGETS.idle),
    ...row("idle packets per peer and second", "1/s", "idlePackets"),
    ...row("resident memory of a bare peer", "MiB", "rssMib"),
  ];
}

/** No verdict that serf does not give: its count is the target, as a ratio to nothing is none. */
function pauseFigures(ours: Measured, trial: readonly Measured[], grid: readonly PauseCell[]) {
  const serf = peerOf(ours.system, trial);
  if (isSerf(ours) || ours.pauses.length === 0 || serf === undefined) return [];
  const sum = ({ pauses }: Measured, key: "slander" | "illness" | "aboutPaused", maxMs: number) =>
    pauses.reduce((all, one, at) => all + ((grid[at]?.ms ?? 0) <= maxMs ? one[key] : 0), 0);
  const figure = (text: string, key: "slander" | "illness" | "aboutPaused", maxMs: number) => {
    const theirs = sum(serf, key, maxMs);
    const peer = { name: serf.system, values: [theirs] };
    const what = `${ours.system}, ${ours.size} peers, grid of pauses: ${text}`;
    return {
      ...{ what, unit: "verdicts", ours: [sum(ours, key, maxMs)], peer, target: theirs },
      ...{ better: "lower" as const, ratioTarget: null },
    };
  };
  const ever = Number.POSITIVE_INFINITY;
  return [
    figure("dead, about peers that ran, by peers that ran", "slander", ever),
    figure("dead, about peers that ran, by the paused", "illness", ever),
    figure(`dead, about peers paused ≤${SHORT_PAUSE_MS / 1000} s`, "aboutPaused", SHORT_PAUSE_MS),
  ];
}

function daemonFigures(costs: DaemonCosts, serf: Measured | undefined): Figure[] {
  const what = (text: string): string =>
    `daemon with ${costs.engine}, ${costs.size} of them: ${text}`;
  const peer = (values: readonly number[] | undefined) =>
    values === undefined || serf === undefined ? {} : { peer: { name: serf.system, values } };
  const row = (text: string, unit: string, ours: readonly number[], more: object = {}): Figure => ({
    ...plain(what(text), unit, ours, "lower"),
    ...more,
  });
  return [
    row("idle bytes per peer and second", "B/s", [costs.idleBytes], {
      ...peer(serf?.idleBytes),
      target: TARGETS.idle,
    }),
    row("idle packets per peer and second", "1/s", [costs.idlePackets], peer(serf?.idlePackets)),
    row("resident memory", "MiB", costs.rssMib, peer(serf?.rssMib)),
    row("memory, shared pages divided", "MiB", costs.pssMib),
    row("processor time when idle, per second", "ms", [costs.cpuMsPerSecond]),
    row("all forked at once, until all see all", "ms", [costs.launchMs]),
  ];
}

function lateFigures({ engine, syncMs, bytes, cpuMs, rssMib }: LateJoins): Figure[] {
  const what = (text: string): string => `${engine}, late joiner of ${ROWS} endpoint rows: ${text}`;
  return [
    plain(what("from join until it holds all"), "ms", syncMs, "lower"),
    plain(what("bytes that all sent meanwhile"), "B", bytes, "lower"),
    plain(what("its processor time"), "ms", cpuMs, "lower"),
    plain(what("its resident memory after"), "MiB", rssMib, "lower"),
  ];
}

function slanderTable(trials: readonly (readonly Measured[])[]): Table {
  return {
    title: "Verdicts of death about peers that ran all the time, but for the grid of pauses",
    columns: ["peers", "system", "verdicts"],
    rows: trials.flatMap((trial) =>
      trial.map(({ size, system, falseVerdicts }) => [String(size), system, String(falseVerdicts)]),
    ),
  };
}

function gridTable(trial: readonly Measured[], grid: readonly PauseCell[]): Table {
  const paused = trial.filter(({ pauses }) => pauses.length > 0);
  return {
    title:
      "Verdicts of death, some of 20 peers paused: about peers that ran by such / by the paused, " +
      "and about the paused (of how many possible)",
    columns: ["paused", "for", ...paused.map(({ system }) => system)],
    rows: grid.map((cell, at) => [
      String(cell.paused),
      `${cell.ms / 1000} s`,
      ...paused.map(({ size, pauses }) => {
        const { slander = 0, illness = 0, aboutPaused = 0 } = pauses[at] ?? {};
        const possible = cell.paused * (size - cell.paused);
        return `${slander} / ${illness}, ${aboutPaused} of ${possible}`;
      }),
    ]),
  };
}

function harnessTable({ onTheWayMs, lateMs }: HarnessShare): Table {
  const of = (q: number): string => short(quantile(onTheWayMs, q));
  const [median = 0, most = 0, worst = 0] = lateMs;
  return {
    title: "What the bench itself adds, in ms",
    columns: ["", "median", "99 of 100", "worst"],
    rows: [
      ["from an event in a peer of ours to its arrival here", of(0.5), of(0.99), of(1)],
      ["a timer of this process, late", ...[median, most, worst].map(short)],
    ],
  };
}

const NOTES = [
  "Each peer is a process with its own loopback address, all in one network namespace. Bare " +
    "peers of tsweave are the product's mesh (sockets, disk store, membership, tables) without " +
    "kernel and Docker. All are driven by one process, over a channel or serf's RPC port, and " +
    "run before they are told to join.",
  "Peers of ours stamp what they see themselves, by the machine's monotonic clock; serf's lines " +
    "are stamped on arrival, which costs it what the last table shows.",
  "Encrypted (+key) is compared with serf under -encrypt (AES-256).",
  "Joins and events take the systems in turn; deaths, pauses and idle time run side by side.",
  "An event is a table row here and a user event in serf; a table row is acknowledged and kept.",
  "Idle time begins when a system's traffic falls no more, at most 30 s after all met.",
  "Host gone: every packet from and to the address is dropped, then kill -9.",
];
