/**
 * `bench mesh`: tsweave's membership and tables against Debian's serf on loopback addresses of one
 * network namespace, encrypted against encrypted, and what whole daemons cost when idle.
 */
import { spawn } from "node:child_process";
import { run } from "../../lab/exec.ts";
import { BUNDLE } from "../../lib/mesh-hosts.ts";
import { bundle, scratchDir } from "../lib/bundle.ts";
import type { BenchOptions } from "../lib/options.ts";
import type { Section } from "../lib/report.ts";
import { needTool } from "../lib/tools.ts";
import type { DriverMessage, DriverOptions, DriverResult } from "./driver.ts";
import { ENGINE_NAMES, isKeyed, KEYED } from "./engine-name.ts";
import { sectionOf } from "./figures.ts";
import type { Effort, PauseCell } from "./trial.ts";

const SMALL = 5;
const LARGE = 20;
/** Shares of twenty peers, and times around what failure detectors bear. */
const GRID: readonly PauseCell[] = [1, 4, 8].flatMap((paused) =>
  [1000, 2000, 4000, 8000].map((ms) => ({ paused, ms })),
);
const FULL: Effort = {
  ...{ joins: 4, tells: 20, kills: 2, pauseMs: 30_000, idleMs: 10_000 },
  grid: GRID,
};
const QUICK: Effort = {
  ...{ joins: 1, tells: 3, kills: 1, pauseMs: 0, idleMs: 3000 },
  grid: [{ paused: 4, ms: 2000 }],
};

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
  const peers = ["serf", ...(engines.some(isKeyed) ? [`serf${KEYED}`] : [])];
  // Eighty processes are what two cores bear: the package's engine is asked at the small size.
  const main = engines.filter((name) => name.startsWith("native"));
  const large = main.length > 0 ? main : engines;
  const driverOptions: DriverOptions = {
    sizes: [
      // The pauses are the same thing at every size; they are asked where it is hardest.
      {
        systems: [...peers, ...engines],
        size: SMALL,
        effort: { ...effort, pauseMs: 0, grid: [] },
      },
      { systems: [...peers, ...large], size: LARGE, effort },
    ],
    lateJoins: { engines: large, rounds: quick ? 1 : 5 },
    daemons: { engines: large, size: LARGE, idleMs: effort.idleMs },
    files: { worker: await bundle("mesh/worker.ts", dir), executable: BUNDLE, dir },
  };
  const driver = await bundle("mesh/driver.ts", dir);
  const result = await drive(driver, netns, driverOptions, options);
  say("done");
  return sectionOf(result, engines, effort.grid);
}

async function drive(
  driver: string,
  netns: string,
  driverOptions: DriverOptions,
  { cleanup, say }: BenchOptions,
): Promise<DriverResult> {
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
  return await new Promise<DriverResult>((resolve, reject) => {
    child.on("message", (message: DriverMessage) => {
      if ("say" in message) say(message.say);
      else if ("failure" in message) reject(new Error(message.failure));
      else resolve(message);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the driver ended (${code})`)));
  });
}
