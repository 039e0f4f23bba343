/**
 * One host with its reconciler on the real kernel, in namespaces of its own: programs so many
 * remote endpoints cold, then changes one, and says what it cost. A process of its own, so that
 * its memory and its stalls are the reconciler's.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { NetnsLab } from "../../lib/netns-hosts.ts";
import { cpuMs } from "../lib/processes.ts";
import { type Measured, remoteAt, type WorkerOptions } from "./endpoints.ts";

async function main({ tag, endpoints }: WorkerOptions): Promise<Measured> {
  const lab = new NetnsLab(tag);
  try {
    await lab.open(1);
    const [host] = lab.hosts;
    if (host === undefined) throw new Error("no host");
    const { reconciler } = host;
    // The devices are there before: what is measured is entries.
    reconciler.start();
    await reconciler.flush();
    const emptyRss = process.memoryUsage().rss;
    const all = Array.from({ length: endpoints }, (_, at) => remoteAt(at));
    host.input = { ...host.input, remotes: all };
    const cold = await measure(() => reconciler.flush());
    const inSync = reconciler.status().inSync;
    const rss = process.memoryUsage().rss;
    const again = await measure(() => reconciler.flush());
    await settled();
    const extra = remoteAt(endpoints);
    host.input = { ...host.input, remotes: [...all, extra] };
    const one = await measure(() => reconciler.applyRemote([extra]));
    const gone = { ...host.input, remotes: all };
    host.input = gone;
    const oneGone = await measure(() => reconciler.applyRemote([extra]));
    // The look again after a change, by the reconciler's own timing.
    const after = await measure(settled);
    if (!inSync) throw new Error(`not in sync: ${reconciler.status().lastError}`);
    const mib = (bytes: number): number => bytes / 2 ** 20;
    return {
      coldMs: cold.ms,
      coldCpuMs: cold.cpu,
      coldStallMs: cold.stall,
      fullPassMs: again.ms,
      fullPassCpuMs: again.cpu,
      fullPassStallMs: again.stall,
      oneMs: one.ms,
      oneGoneMs: oneGone.ms,
      oneCpuMs: one.cpu + oneGone.cpu + after.cpu,
      rssMib: mib(rss),
      addedRssMib: mib(rss - emptyRss),
      peakRssMib: process.resourceUsage().maxRSS / 1024,
    };
  } finally {
    await lab.close();
  }
}

/** Long enough for the pass that a change asks for. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 4000));
}

async function measure(work: () => Promise<void>) {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const cpuBefore = cpuMs(process.pid);
  const startMs = performance.now();
  await work();
  const ms = performance.now() - startMs;
  const cpu = cpuMs(process.pid) - cpuBefore;
  // The timer that shows the last stall has yet to fire.
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.disable();
  return { ms, cpu, stall: delay.max / 1e6 };
}

process.on("disconnect", () => process.exit());
process.on("SIGINT", () => undefined);
const measured = await main(JSON.parse(process.argv[2] ?? "") as WorkerOptions);
process.send?.(measured, () => process.exit());
