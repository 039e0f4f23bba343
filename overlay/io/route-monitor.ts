/**
 * One `ip monitor` in the host's namespace, as a hint that links, addresses or routes changed.
 *
 * Law: as monitor.ts: its text is never taken for truth, it dies with the daemon, and is started
 * again when it dies alone. What containers' devices do is no news of the underlay.
 */
import { execa } from "execa";
import type { Cancel, Log } from "../../mesh/index.ts";
import { toolEnv } from "./exec.ts";

const RESTART_MS = 5000;
const CONTAINERS = /\b(veth|tsw[cg]|tsweave|docker|br-)/;

/** Calls `notify` for each piece of output that may matter, until cancelled. */
export function watchRoutes(
  notify: () => void,
  log: Log,
  prefix: readonly string[] = [],
): () => Promise<void> {
  let isOver = false;
  let restart: NodeJS.Timeout | undefined;
  let kill: Cancel = () => undefined;
  let ended: Promise<void> = Promise.resolve();
  const start = (): void => {
    const [file = "", ...args] = [
      ...[...prefix, "setpriv", "--pdeathsig", "KILL", "--"],
      ...["ip", "monitor", "link", "address", "route"],
    ];
    const child = execa(file, args, {
      stdin: "ignore",
      stderr: "ignore",
      buffer: false,
      reject: false,
      extendEnv: false,
      env: toolEnv(),
    });
    kill = () => child.kill("SIGKILL");
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = chunk.toString("latin1").split("\n");
      if (!isOver && lines.some((line) => line !== "" && !CONTAINERS.test(line))) notify();
    });
    ended = child.then(({ shortMessage }) => {
      if (isOver) return;
      log.debug({ reason: shortMessage ?? "ended" }, "monitor of routes ended; restarting");
      restart = setTimeout(start, RESTART_MS).unref();
    });
  };
  start();
  return async () => {
    isOver = true;
    clearTimeout(restart);
    kill();
    await ended;
  };
}
