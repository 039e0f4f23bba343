/**
 * The mesh bench inside its network namespace: runs the trials and hands what it measured to the
 * process that made the namespace. Ends, with all its peers, when that process does.
 */
import { run } from "../../lab/exec.ts";
import { type DaemonCosts, measureDaemons } from "./daemons.ts";
import type { PeerSystem } from "./peer.ts";
import { serfSystem } from "./serf-system.ts";
import { startCounting } from "./traffic.ts";
import { type Effort, type Measured, trial } from "./trial.ts";
import { workerSystem } from "./worker-system.ts";

export interface DriverOptions {
  readonly engines: readonly string[];
  readonly sizes: readonly { readonly size: number; readonly effort: Effort }[];
  /** Size and patience of the measurement of whole daemons. */
  readonly daemons: {
    readonly engines: readonly string[];
    readonly size: number;
    readonly idleMs: number;
  };
  readonly files: { readonly worker: string; readonly executable: string; readonly dir: string };
}

export type DriverMessage =
  | { readonly say: string }
  | { readonly failure: string }
  | { readonly trials: readonly Measured[][]; readonly daemons: readonly DaemonCosts[] };

/** The daemon refuses loopback addresses; these are put on the loopback device. */
const DAEMONS = "192.0.2";

async function main({ engines, sizes, daemons, files }: DriverOptions): Promise<void> {
  await run(["ip", "link", "set", "lo", "up"]);
  for (let index = 1; index <= daemons.size; index++) {
    await run(["ip", "address", "add", `${DAEMONS}.${index}/32`, "dev", "lo"]);
  }
  const workers = engines.map((engine, at) => workerSystem(engine, `127.77.${at + 2}`, files));
  const systems: PeerSystem[] = [serfSystem("127.77.1"), ...workers];
  await startCounting([...systems.map(({ prefix }) => prefix), DAEMONS]);
  const say = (text: string): void => tell({ say: text });
  const trials: Measured[][] = [];
  for (const { size, effort } of sizes) trials.push(await trial(systems, size, effort, say));
  const costs: DaemonCosts[] = [];
  for (const engine of daemons.engines) {
    say(`${daemons.size} whole daemons, ${engine}`);
    const what = { engine, size: daemons.size };
    costs.push(await measureDaemons(what, DAEMONS, files, daemons.idleMs));
  }
  tell({ trials, daemons: costs });
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
