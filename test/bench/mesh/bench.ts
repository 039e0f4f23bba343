/**
 * `bench mesh`: tsweave's membership and tables against Debian's serf on loopback addresses of one
 * network namespace, and what whole daemons cost when idle.
 */
import { spawn } from "node:child_process";
import { run } from "../../lab/exec.ts";
import { BUNDLE } from "../../lib/mesh-hosts.ts";
import { bundle, scratchDir } from "../lib/bundle.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section, Table } from "../lib/report.ts";
import { spread } from "../lib/stats.ts";
import { needTool } from "../lib/tools.ts";
import type { DaemonCosts } from "./daemons.ts";
import type { DriverMessage, DriverOptions } from "./driver.ts";
import { ENGINE_NAMES } from "./engine-name.ts";
import type { Effort, Measured } from "./trial.ts";

const SIZES = [5, 20] as const;
/** What an encrypted mesh costs when idle is one of the targets. */
const KEYED = "native+key";
const FULL: Effort = { joins: 4, tells: 20, kills: 2, pauseMs: 30_000, idleMs: 10_000 };
const QUICK: Effort = { joins: 1, tells: 3, kills: 1, pauseMs: 0, idleMs: 3000 };

/** Targets of 20 peers, from the design. */
const TARGETS = { joinMs: 150, lastMs: 10, killMs: 1000, vanishMs: 4000, resumeMs: 300, idle: 200 };

export async function benchMesh(options: BenchOptions): Promise<Section> {
  const { cleanup, quick, engines, say } = options;
  const unknown = engines.find((name) => !ENGINE_NAMES.some((known) => known === name));
  if (unknown !== undefined) throw new Error(`no engine ${unknown}: ${ENGINE_NAMES.join(", ")}`);
  await needTool("serf");
  await needTool("setpriv", "util-linux");
  const dir = scratchDir(cleanup);
  const netns = `tswbench-${process.pid}`;
  await run(["ip", "netns", "add", netns]);
  cleanup.add(netns, async () => void (await run(["ip", "netns", "del", netns])));
  const effort = quick ? QUICK : FULL;
  const driverOptions: DriverOptions = {
    engines,
    // The pause is the same thing at every size; it is asked where it is hardest.
    sizes: SIZES.map((size) => ({ size, effort: size === 5 ? { ...effort, pauseMs: 0 } : effort })),
    daemons: { engines: [...new Set([...engines, KEYED])], size: 20, idleMs: effort.idleMs },
    files: { worker: await bundle("mesh/worker.ts", dir), executable: BUNDLE, dir },
  };
  const driver = await bundle("mesh/driver.ts", dir);
  const result = await drive(driver, netns, driverOptions, options);
  say("done");
  return section(result.trials, result.daemons, engines);
}

type Result = Extract<DriverMessage, { trials: unknown }>;

async function drive(
  driver: string,
  netns: string,
  driverOptions: DriverOptions,
  { cleanup, say }: BenchOptions,
): Promise<Result> {
  const enter = [`--net=/run/netns/${netns}`, process.execPath, driver];
  const child = spawn("nsenter", [...enter, JSON.stringify(driverOptions)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  cleanup.add("the driver", async () => {
    child.kill("SIGKILL");
    await gone;
    // Its peers die with it; the kernel needs a moment for twenty of them.
    await new Promise((resolve) => setTimeout(resolve, 500));
  });
  return await new Promise<Result>((resolve, reject) => {
    child.on("message", (message: DriverMessage) => {
      if ("say" in message) say(message.say);
      else if ("failure" in message) reject(new Error(message.failure));
      else resolve(message);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the driver ended (${code})`)));
  });
}

function section(
  trials: readonly Measured[][],
  daemons: readonly DaemonCosts[],
  engines: readonly string[],
): Section {
  const figures = trials.flatMap((trial, at) => {
    const size = SIZES[at] ?? 0;
    const serf = trial.find(({ system }) => system === "serf");
    return trial.flatMap((ours) =>
      ours === serf || serf === undefined ? [] : compare(ours, serf, size),
    );
  });
  const serf20 = trials.at(-1)?.find(({ system }) => system === "serf");
  return {
    name: "mesh",
    title: `mesh: ${engines.join(", ")} against serf`,
    figures: [...figures, ...daemons.flatMap((costs) => daemonFigures(costs, serf20))],
    tables: [slanderTable(trials)],
    notes: NOTES,
  };
}

function compare(ours: Measured, serf: Measured, size: number): Figure[] {
  const what = (text: string): string => `${ours.system}, ${size} peers: ${text}`;
  const against = (values: readonly number[]) => ({ name: "serf", values });
  const lower = "lower" as const;
  const row = (text: string, unit: string, key: keyof Measured, target?: number): Figure[] => {
    const [mine, theirs] = [ours[key], serf[key]];
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
    ...row("bytes of one event per peer", "B", "eventBytes", 250),
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

function daemonFigures(costs: DaemonCosts, serf: Measured | undefined): Figure[] {
  const what = (text: string): string =>
    `daemon with ${costs.engine}, ${costs.size} of them: ${text}`;
  const peer = (values: readonly number[] | undefined) =>
    values === undefined ? {} : { peer: { name: "serf", values } };
  return [
    {
      what: what("idle bytes per peer and second"),
      unit: "B/s",
      ours: [costs.idleBytes],
      ...peer(serf?.idleBytes),
      better: "lower",
      target: TARGETS.idle,
    },
    {
      what: what("idle packets per peer and second"),
      unit: "1/s",
      ours: [costs.idlePackets],
      ...peer(serf?.idlePackets),
      better: "lower",
    },
    {
      what: what("resident memory"),
      unit: "MiB",
      ours: costs.rssMib,
      ...peer(serf?.rssMib),
      better: "lower",
    },
    {
      what: what("memory, shared pages divided"),
      unit: "MiB",
      ours: costs.pssMib,
      better: "lower",
    },
    {
      what: what("processor time when idle, per second"),
      unit: "ms",
      ours: [costs.cpuMsPerSecond],
      better: "lower",
    },
    {
      what: what("all forked at once, until all see all"),
      unit: "ms",
      ours: [costs.launchMs],
      better: "lower",
    },
  ];
}

function slanderTable(trials: readonly Measured[][]): Table {
  return {
    title: "Verdicts of death about peers that ran all the time",
    columns: ["peers", ...(trials[0]?.map(({ system }) => system) ?? [])],
    rows: trials.map((trial, at) => [
      String(SIZES[at]),
      ...trial.map(({ falseVerdicts }) => spread([falseVerdicts])),
    ]),
  };
}

const NOTES = [
  "Each peer is a process with its own loopback address, all in one network namespace. Bare " +
    "peers " +
    "of tsweave are the product's mesh (sockets, disk store, membership, tables) without kernel " +
    "and Docker; both programs are driven and timed by one process over a socket or channel.",
  "Joins and events take the systems in turn; deaths, pauses and idle time run side by side.",
  "An event is a table row here and a user event in serf; a table row is acknowledged and kept.",
  "Host gone: every packet from and to the address is dropped, then kill -9.",
];
