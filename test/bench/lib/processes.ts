/** Numbers of processes that the benches report: memory and processor time from procfs. */
import { readFileSync } from "node:fs";

/** Resident memory in MiB: `rss` as `ps` shows it, `pss` with shared pages divided. */
export function memoryMib(pid: number): { readonly rss: number; readonly pss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const read = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) / 1024;
  return { rss: read("Rss"), pss: read("Pss") };
}

const TICK_MS = 10;

/** Processor time of a process so far, its ended and awaited children included, in ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_MS;
}
