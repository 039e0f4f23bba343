/**
 * The mesh bench inside its network namespace: runs the trials and hands what it measured to the
 * process that made the namespace. Ends, with all its peers, when that process does.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";
import { run } from "../../lab/exec.ts";
import { goFirst } from "./children.ts";
import { type CodecRates, measureCodec } from "./codec.ts";
import { type DaemonCosts, measureDaemons } from "./daemons.ts";
import { type LateJoins, measureLateJoins } from "./late-join.ts";
import { serfSystem } from "./serf-system.ts";
import { startCounting } from "./traffic.ts";
import { type Effort, type Measured, trial } from "./trial.ts";
import { workerSystem } from "./worker-system.ts";

export interface DriverOptions {
  /** Which systems take part at each size: serf, engines, each with or without a key. */
  readonly sizes: readonly {
    readonly systems: readonly string[];
    readonly size: number;
    readonly effort: Effort;
  }[];
  readonly lateJoins: { readonly engines: readonly string[]; readonly rounds: number };
  /** Size and patience of the measurement of whole daemons. */
  readonly daemons: {
    readonly engines: readonly string[];
    readonly size: number;
    readonly idleMs: number;
  };
  readonly files: { readonly worker: string; readonly executable: string; readonly dir: string };
}

export type DriverMessage = { readonly say: string } | { readonly failure: string } | DriverResult;

export interface DriverResult {
  readonly trials: readonly Measured[][];
  readonly daemons: readonly DaemonCosts[];
  readonly lateJoins: readonly LateJoins[];
  readonly codec: CodecRates;
  readonly harness: HarnessShare;
}

/** What the bench itself adds: samples in ms. */
export interface HarnessShare {
  /** From an event in a peer to its arrival here. */
  readonly onTheWayMs: readonly number[];
  /** How late this process was for its own timers: median, 99 of 100, the worst. */
  readonly lateMs: readonly number[];
}

/** The daemon refuses loopback addresses; these are put on the loopback device. */
const DAEMONS = "192.0.2";

async function main({ sizes, daemons, lateJoins, files }: DriverOptions): Promise<void> {
  goFirst();
  await run(["ip", "link", "set", "lo", "up"]);
  for (let index = 1; index <= daemons.size; index++) {
    await run(["ip", "address", "add", `${DAEMONS}.${index}/32`, "dev", "lo"]);
  }
  const names = [...new Set(sizes.flatMap(({ systems }) => systems))];
  const prefixOf = (at: number): string => `127.77.${at + 1}`;
  const systems = names.map((name, at) =>
    name.startsWith("serf")
      ? serfSystem(name, prefixOf(at))
      : workerSystem(name, prefixOf(at), files),
  );
  const tables = lateJoins.engines.map((engine, at) =>
    workerSystem(engine, prefixOf(names.length + at), files),
  );
  await startCounting([...[...systems, ...tables].map(({ prefix }) => prefix), DAEMONS]);
  const say = (text: string): void => tell({ say: text });
  const late = monitorEventLoopDelay({ resolution: 5 });
  late.enable();
  const trials: Measured[][] = [];
  for (const { systems: wanted, size, effort } of sizes) {
    const taking = systems.filter(({ name }) => wanted.includes(name));
    trials.push(await trial(taking, size, effort, say));
  }
  late.disable();
  const lateMs = [late.percentile(50), late.percentile(99), late.max].map((ns) => ns / 1e6);
  const harness = { onTheWayMs: systems.flatMap(({ onTheWayMs }) => onTheWayMs), lateMs };
  const joined: LateJoins[] = [];
  for (const system of tables) {
    say(`${system.name}: a late joiner`);
    joined.push(await measureLateJoins(system, lateJoins.rounds));
  }
  const costs: DaemonCosts[] = [];
  for (const engine of daemons.engines) {
    say(`${daemons.size} whole daemons, ${engine}`);
    const what = { engine, size: daemons.size };
    costs.push(await measureDaemons(what, DAEMONS, files, daemons.idleMs));
  }
  const codec = measureCodec(15);
  tell({ trials, daemons: costs, lateJoins: joined, codec, harness });
}

function tell(message: DriverMessage): void {
  process.send?.(message);
}

// Ctrl-C reaches the whole process group; the maker of the namespace decides what then happens.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => process.exit());
await main(JSON.parse(process.argv[2] ?? "") as DriverOptions).catch((error: unknown) => {
  tell({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
});
