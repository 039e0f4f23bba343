/**
 * One `ip monitor` in the host's namespace, as a hint that links, addresses or routes changed.
 *
 * Law: as monitor.ts: its text is never taken for truth, it dies with the daemon, and is started
 * again when it dies alone. What containers' devices do is no news of the underlay.
 */
import type { Cancel, Log } from "../../mesh/index.ts";
import { DIES_WITH_US, runBeside } from "./exec.ts";

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
    const argv = [...DIES_WITH_US, "ip", "monitor", "link", "address", "route"];
    const child = runBeside([...prefix, ...argv], (chunk) => {
      const lines = chunk.toString("latin1").split("\n");
      if (!isOver && lines.some((line) => line !== "" && !CONTAINERS.test(line))) notify();
    });
    kill = child.kill;
    ended = child.ended.then((reason) => {
      if (isOver) return;
      log.debug({ reason }, "monitor of routes ended; restarting");
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
