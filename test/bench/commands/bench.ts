/**
 * `bench commands`: how long a person or a script waits for each command that only reads, from its
 * start to its end, beside a daemon without Docker and beside one whose Docker takes connections
 * and never answers.
 *
 * Law: the executable is run as it is installed; a command that does not end well is an error, not
 * a figure; a command of the table that is in neither list below is one, too.
 */
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "../../../cli/commands/table.ts";
import { READS } from "../../../cli/control/api.ts";
import { run } from "../../lab/exec.ts";
import { BUNDLE, eventually } from "../../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../../lib/netns-daemons.ts";
import { NetnsLab } from "../../lib/netns-hosts.ts";
import { scratchDir } from "../lib/bundle.ts";
import { Calm } from "../lib/calm.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Figure, Section } from "../lib/report.ts";
import { pairedRatio, spread } from "../lib/stats.ts";

const ROUNDS = 5;
const QUICK_ROUNDS = 2;
const TARGET_MS = 300;
const ENDPOINTS = 10;
const PATIENCE_MS = 60_000;
/** For quiet moments, all together. */
const PATIENCE_LOUD_MS = 20_000;

/** What is asked of each command that reads; LOG stands for a log file. */
const READING: Readonly<Record<string, readonly string[]>> = {
  status: ["", ...READS],
  ps: [""],
  netns: [""],
  network: ["ls"],
  keys: ["list"],
  "dns-lookup": ["c1"],
  events: [""],
  "log-level": [""],
  logs: ["--log-file LOG"],
  wait: ["--for founded"],
  links: [""],
  schema: ["status"],
  completion: ["bash"],
  help: ["status"],
  version: [""],
};

/** What changes something, or measures for as long as that takes. */
const OTHERS = [
  ...["launch", "stop", "connect", "forget", "rmpeer", "adopt", "leave", "reset"],
  ...["attach", "detach", "expose", "hide", "reconcile", "dns-add", "dns-remove"],
  ...["ping", "test", "explain", "doctor", "report"],
];

/** Of one command line, or of the floor: what the clock and what the processors say. */
interface Samples {
  readonly wallMs: number[];
  readonly cpuMs: number[];
}

interface Situation {
  readonly name: string;
  readonly daemon: NetnsDaemon;
  /** By command line. */
  readonly samples: Map<string, Samples>;
}

export async function benchCommands({ cleanup, quick, say }: BenchOptions): Promise<Section> {
  const dir = scratchDir(cleanup);
  const log = join(dir, "log");
  writeFileSync(
    log,
    `{"level":30,"time":"2026-01-02T03:04:05Z","part":"mesh","msg":"it joined"}\n`,
  );
  say("starting two daemons");
  const situations = await startBoth(dir, cleanup);
  const lines = await commandLines();
  /** Node with nothing to do, right before each command line. */
  const floors = new Map<string, Samples>();
  const calm = new Calm(quick ? 0 : PATIENCE_LOUD_MS);
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  for (let round = 0; round < rounds; round += 1) {
    say(`round ${round + 1} of ${rounds}`);
    await calm.wait();
    const forth = round % 2 === 0;
    const order = forth ? lines : lines.toReversed();
    for (const line of order) {
      keep(floors, line, await timed(["/usr/bin/env", "node", "-e", "0"]));
      for (const situation of forth ? situations : situations.toReversed()) {
        await sample(situation, line, log);
      }
    }
  }
  return section(situations, floors, lines);
}

/** One daemon with no Docker behind its socket's path, one with a silent one. */
async function startBoth(dir: string, cleanup: BenchOptions["cleanup"]): Promise<Situation[]> {
  const deaf = createServer(() => undefined);
  await new Promise<void>((resolve) => deaf.listen(join(dir, "hangs.sock"), resolve));
  // Connections to it stay open as long as the daemon does.
  cleanup.add("the silent socket", () => void deaf.close());
  const lab = new NetnsLab(`q${(process.pid % 46_656).toString(36)}`);
  cleanup.add("the hosts' namespaces", () => lab.close());
  const daemons = new NetnsDaemons(BUNDLE);
  cleanup.add("the daemons", () => daemons.close());
  await lab.open(2);
  const situations = ["absent", "hangs"].map((name, at): Situation => {
    const host = lab.hosts[at];
    if (host === undefined) throw new Error("no host");
    const options = ["--docker-socket", join(dir, `${name}.sock`)];
    const plugins = ["--plugin-dir", join(dir, `plugins-${name}`)];
    const daemon = daemons.start(host, `h${at + 1}`, [...options, ...plugins]);
    return { name, daemon, samples: new Map() };
  });
  for (const { name, daemon } of situations) {
    const { client } = daemon;
    await eventually(`${name}: addresses`, PATIENCE_MS, async () => {
      if (!(await client.status()).ipam.founded) throw new Error("not founded");
    });
    for (let nth = 1; nth <= ENDPOINTS; nth += 1) {
      const target = await lab.container(`${name}${nth}`);
      await client.attach({ target, names: [`c${nth}`], dns: false, gateway: false });
    }
  }
  return situations;
}

/** As a person types them. @throws Error when a command of the table is in no list, or in both. */
async function commandLines(): Promise<string[]> {
  const known = [...Object.keys(READING), ...OTHERS].toSorted();
  const wanted = COMMANDS.map(({ name }) => name).toSorted();
  if (known.join() !== wanted.join()) throw new Error(`commands: ${wanted}; known: ${known}`);
  return Object.entries(READING).flatMap(([name, words]) =>
    words.map((word) => `${name} ${word}`.trim()),
  );
}

/** Runs one command beside one daemon, and keeps how long it took. */
async function sample(situation: Situation, line: string, log: string): Promise<void> {
  const { daemon, samples } = situation;
  const [name = "", ...words] = line.replace("LOG", log).split(" ");
  const command = COMMANDS.find((entry) => entry.name === name);
  const options = (await command?.load())?.options ?? [];
  const takesDir = options.some((option) => option.name === "run-dir");
  const at = takesDir ? ["--run-dir", join(daemon.home, "run")] : [];
  keep(samples, line, await timed([BUNDLE, name, ...words, ...at]));
}

function keep(all: Map<string, Samples>, line: string, [wallMs, cpuMs]: [number, number]): void {
  const known = all.get(line) ?? { wallMs: [], cpuMs: [] };
  known.wallMs.push(wallMs);
  known.cpuMs.push(cpuMs);
  all.set(line, known);
}

/** Wall and processor time in ms, by the shell: this process may be kept waiting itself. */
async function timed(argv: readonly string[]): Promise<[number, number]> {
  const script = 'exec 3>&2; TIMEFORMAT="%3R %3U %3S"; time "$@" > /dev/null 2>&3';
  const { stderr } = await run(["bash", "-c", script, "timed", ...argv]);
  const [wall, user, system] = stderr.trim().split(" ").map(Number);
  if (wall === undefined || user === undefined || system === undefined) {
    throw new Error(`${argv.join(" ")}: ${stderr}`);
  }
  return [wall * 1000, (user + system) * 1000];
}

function section(
  situations: readonly Situation[],
  floors: ReadonlyMap<string, Samples>,
  lines: readonly string[],
): Section {
  const figures = situations.flatMap(({ name, samples }) =>
    lines.map((line): Figure => {
      const ours = samples.get(line)?.wallMs ?? [];
      const values = floors.get(line)?.wallMs ?? [];
      return {
        what: `Docker ${name}: ${titleOf(line)}`,
        ...{ unit: "ms", ours, better: "lower", target: TARGET_MS },
        ...{ peer: { name: FLOOR, values }, ratio: pairedRatio(ours, values) },
        ratioTarget: null,
      };
    }),
  );
  const cpuOf = (all: readonly ReadonlyMap<string, Samples>[], line: string) =>
    spread(all.flatMap((one) => one.get(line)?.cpuMs ?? []));
  const both = situations.map(({ samples }) => samples);
  return {
    name: "commands",
    title: "commands: how long a read takes, start included",
    figures,
    tables: [
      {
        title: "Processor time, user and system together (ms)",
        columns: ["command", "tsweave", FLOOR],
        rows: lines.map((line) => [titleOf(line), cpuOf(both, line), cpuOf([floors], line)]),
      },
    ],
    notes: [...NOTES, ...loudness()],
  };
}

function loudness(): string[] {
  const [load = 0] = loadavg();
  const cores = availableParallelism();
  if (load <= cores) return [];
  return [`Taken beside other load (${load.toFixed(0)} at the end, on ${cores} cores).`];
}

function titleOf(line: string): string {
  return `tsweave ${line.replace(" --log-file LOG", "")}`;
}

const FLOOR = "node -e 0";

const NOTES = [
  "Wall time of the executable as it is built, from its start to its end, output to /dev/null, " +
    "against `node -e 0` right before it; order forth and back in turn. Ten attached endpoints a " +
    "daemon. Where other load keeps commands waiting, processor time tells what they need. " +
    "Absent: nothing at the socket's path; hangs: it takes connections and never answers.",
  "`links` runs one program for each network namespace of the machine, here about thirty. " +
    "Not here: what changes something, and what measures (ping, test, explain, doctor, report).",
];
