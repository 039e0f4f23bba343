/**
 * `npm run bench -- NAME… [--write] [--quick] [--engine E,…]`: measures what exists against a peer
 * or the floor in the same run, prints Markdown, and with --write replaces that part of RESULTS.md.
 */
import { Cleanup } from "./lib/cleanup.ts";
import { machineLine } from "./lib/machine.ts";
import type { BenchOptions } from "./lib/options.ts";
import { faultLines, renderSection, type Section } from "./lib/report.ts";
import { ratioDrawings, writeDrawings, writePart } from "./lib/results-file.ts";

type Bench = (options: BenchOptions) => Promise<Section>;

const BENCHES: Record<string, () => Promise<Bench>> = {
  mesh: async () => (await import("./mesh/bench.ts")).benchMesh,
  control: async () => (await import("./control/bench.ts")).benchControl,
  data: async () => (await import("./data/bench.ts")).benchData,
  kernel: async () => (await import("./kernel/bench.ts")).benchKernel,
  joins: async () => (await import("./joins/bench.ts")).benchJoins,
  dns: async () => (await import("./dns/bench.ts")).benchDns,
  ipalloc: async () => (await import("./ipalloc/bench.ts")).benchIpalloc,
  sim: async () => (await import("./sim/bench.ts")).benchSim,
  scale: async () => (await import("./scale/bench.ts")).benchScale,
  commands: async () => (await import("./commands/bench.ts")).benchCommands,
  soak: async () => (await import("./soak/bench.ts")).benchSoak,
};

const USAGE = `usage: npm run bench -- [${Object.keys(BENCHES).join("|")}]… [--write] [--quick]
                        [--engine native,swim,native+key] [--minutes M]  (no name: all)`;

interface Arguments {
  readonly names: readonly string[];
  readonly write: boolean;
  readonly quick: boolean;
  readonly engines: readonly string[];
  readonly minutes: number | undefined;
}

function readArguments(args: readonly string[]): Arguments {
  const names: string[] = [];
  let [write, quick, engines] = [false, false, ["swim", "native", "native+key"]];
  let minutes: number | undefined;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--write") write = true;
    else if (arg === "--quick") quick = true;
    else if (arg === "--engine" && args[at + 1] !== undefined) {
      engines = (args[++at] ?? "").split(",");
    } else if (arg === "--minutes" && /^[1-9]\d{0,3}$/.test(args[at + 1] ?? "")) {
      minutes = Number(args[++at]);
    } else if (arg in BENCHES) names.push(arg);
    else throw new Error(`unknown argument ${arg}\n${USAGE}`);
  }
  const all = names.length > 0 ? names : Object.keys(BENCHES);
  return { names: all, write, quick, engines, minutes };
}

async function runBench(name: string, { write, ...options }: Arguments): Promise<void> {
  const startMs = performance.now();
  const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(0);
  const say = (text: string): void => {
    process.stderr.write(`${seconds().padStart(4)} s  ${name}: ${text}\n`);
  };
  const cleanup = new Cleanup();
  cleanup.onSignals();
  const about = machineLine();
  const bench = await BENCHES[name]?.();
  try {
    const section = await bench?.({ ...options, cleanup, say });
    if (section === undefined) return;
    const text = renderSection(section, `${about} · ${seconds()} s`);
    process.stdout.write(`${text}\n`);
    if (write) {
      writePart(name, text);
      writeDrawings([...(section.drawings ?? []), ...ratioDrawings()]);
    }
    say(`${faultLines(section).length} figures worse or missed`);
  } finally {
    await cleanup.run();
  }
}

async function main(): Promise<void> {
  let args: Arguments;
  try {
    args = readArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
    return;
  }
  for (const name of args.names) {
    try {
      await runBench(name, args);
    } catch (error) {
      process.stderr.write(`bench ${name}: ${error instanceof Error ? error.stack : error}\n`);
      process.exitCode = 1;
    }
  }
}

await main();
