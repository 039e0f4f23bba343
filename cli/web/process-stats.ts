/** What this process costs its host, as the metrics tell it. */
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface ProcessStats {
  readonly rssBytes: number;
  readonly cpuSeconds: number;
  /** Longest time since the last call in which the daemon answered nobody. */
  readonly stallSeconds: number;
}

const NANOSECONDS = 1e9;
const RESOLUTION_MS = 20;

/** Measures from now on; each call begins a new span for the longest stall. */
export function processStats(): () => ProcessStats {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  return () => {
    const { user, system } = process.cpuUsage();
    const lateMs = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
    delay.reset();
    return {
      rssBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      stallSeconds: (lateMs * 1e6) / NANOSECONDS,
    };
  };
}
