/** dnsperf, Debian's DNS load generator, run against 127.0.0.11 inside a container's namespace. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../lab/exec.ts";
import { quantile } from "../lib/stats.ts";

/** Questions in flight, as many as a busy container may have. */
const IN_FLIGHT = 20;
/** For latencies: far below what any resolver bears, so that no queue is measured. */
const GENTLE_RATE = 300;

export interface Asker {
  /** Prefix of commands in the container's network namespace. */
  readonly enter: readonly string[];
  readonly name: string;
  /** Where the list of questions goes. */
  readonly dir: string;
}

/** Queries answered a second with many in flight. Throws unless all answers were good. */
export async function queriesPerSecond(asker: Asker, seconds: number): Promise<number> {
  const text = await dnsperf(asker, ["-q", String(IN_FLIGHT), "-l", String(seconds)]);
  const rate = /Queries per second:\s+([\d.]+)/.exec(text)?.[1];
  requireGood(asker, text);
  return Number(rate);
}

/** Latency of questions at a gentle rate, in µs. */
export async function latencyUs(asker: Asker, seconds: number) {
  const flags = ["-v", "-q", "1", "-Q", String(GENTLE_RATE), "-l", String(seconds)];
  const text = await dnsperf(asker, flags);
  requireGood(asker, text);
  const found = text.matchAll(/^> NOERROR \S+ A ([\d.]+)/gm);
  const us = [...found].map(([, latency]) => Number(latency) * 1e6);
  return { p50: quantile(us, 0.5), p99: quantile(us, 0.99) };
}

async function dnsperf(asker: Asker, flags: readonly string[]): Promise<string> {
  const file = join(asker.dir, "questions");
  writeFileSync(file, `${asker.name} A\n`);
  const argv = ["dnsperf", "-s", "127.0.0.11", "-d", file, "-c", "1", "-T", "1", ...flags];
  return (await run([...asker.enter, ...argv], { timeoutMs: 60_000 })).stdout;
}

function requireGood(asker: Asker, text: string): void {
  const allGood = /Response codes:\s+NOERROR \d+ \(100\.00%\)$/m.test(text);
  const noneLost = /Queries lost:\s+0 /.test(text);
  if (!allGood || !noneLost) throw new Error(`${asker.name}: bad answers\n${text.slice(-2000)}`);
}
