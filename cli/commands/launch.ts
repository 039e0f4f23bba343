/** `tsweave launch`: returns when the daemon serves, or with `--foreground` when it is stopped. */
import { join } from "node:path";
import { EXIT } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import type { LaunchConfig } from "../config.ts";
import { LAUNCH_OPTIONS } from "../launch-options.ts";
import { requireRoot } from "./root.ts";

/** Shorter waits need no explanation. */
const QUIET_MS = 1000;

export const launch: Command = {
  usage: "[PEER...] [options]",
  positionalsMax: Number.POSITIVE_INFINITY,
  options: LAUNCH_OPTIONS,
  notes: [
    "PEER is host[:port] of any other host of the mesh, IPv6 in brackets; the port is --port's",
    "unless given. Without peers the host waits for others to name it. Returns when the peer",
    "serves and its network is on the engine. Each option can also be set in the environment",
    "(--ipalloc-range: TSWEAVE_IPALLOC_RANGE; peers: TSWEAVE_PEERS, separated by spaces) and in",
    "the --config file (ipalloc-range, peers as a list); a flag beats the environment, and the",
    "environment the file.",
  ],
  examples: [
    "tsweave launch",
    "tsweave launch 192.168.48.12 192.168.48.13",
    "tsweave launch host2:7783 --port 7783 --ipalloc-range 172.24.0.0/16",
    "tsweave launch --config /etc/tsweave/config.json --foreground",
  ],
  run: async (input) => {
    const { launchConfig } = await import("../config.ts");
    const config = launchConfig(input);
    requireRoot("launch", "programs the kernel's network");
    if (config.foreground) {
      const { runForeground } = await import("../foreground.ts");
      return await runForeground(config, input.note);
    }
    return await inBackground(input, config);
  },
};

async function inBackground(input: CommandInput, config: LaunchConfig): Promise<number> {
  const { launchInBackground } = await import("../launcher.ts");
  const { launchText } = await import("../render/launch-text.ts");
  const logFile = config.logFile ?? join(config.stateDir, "tsweave.log");
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const progress = slowProgress(input.note);
  try {
    const summary = await launchInBackground({
      command: [process.execPath, ...daemonArguments(input.argv)],
      env: input.env,
      stateDir: config.stateDir,
      runDir: config.runDir,
      logFile,
      password: config.password,
      interrupted: interruption.signal,
      progress: progress.tell,
    });
    progress.end();
    input.write(launchText(summary, { logFile }, input.style));
    return EXIT.ok;
  } finally {
    progress.end();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

/** This same program with the same arguments, in the foreground. */
function daemonArguments(argv: readonly string[]): string[] {
  const program = process.argv[1] ?? "";
  return [...process.execArgv, program, "launch", "--foreground", ...argv];
}

/** Shows what is waited for once the wait becomes noticeable. */
function slowProgress(note: (text: string) => void) {
  let text = "starting";
  let shown = false;
  const show = () => note(`tsweave: ${text} ...\n`);
  const timer = setTimeout(() => {
    shown = true;
    show();
  }, QUIET_MS);
  return {
    tell: (news: string) => {
      text = news;
      if (shown) show();
    },
    end: () => clearTimeout(timer),
  };
}
