/**
 * What whole daemons cost when nothing happens: the product as it is installed, launched without
 * Docker, all at once and each naming the first.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cpuMs, memoryMib } from "../lib/processes.ts";
import { onLines, startChild } from "./children.ts";
import { sleep } from "./cluster.ts";
import { controlClient } from "./control-status.ts";
import { engineOf, isKeyed, PASSWORD } from "./engine-name.ts";
import { counts, settled } from "./traffic.ts";

export interface DaemonCosts {
  readonly engine: string;
  readonly size: number;
  /** From the first fork until every daemon counts every other one alive. */
  readonly launchMs: number;
  readonly idleBytes: number;
  readonly idlePackets: number;
  /** Processor time per daemon and second. */
  readonly cpuMsPerSecond: number;
  readonly rssMib: number[];
  readonly pssMib: number[];
}

/** One host's daemons differ in their ports: an own address with the own port is oneself. */
const FIRST_PORT = 16_783;
const FIRST_VXLAN_PORT = 14_789;
const PATIENCE_MS = 180_000;

export async function measureDaemons(
  { engine, size }: { readonly engine: string; readonly size: number },
  prefix: string,
  files: { readonly executable: string; readonly dir: string },
  idleMs: number,
): Promise<DaemonCosts> {
  const startMs = performance.now();
  const daemons = Array.from({ length: size }, (_, at) => launch(at + 1, engine, prefix, files));
  const pids = daemons.map(({ child }) => child.pid ?? 0);
  try {
    const reads = daemons.map(({ runDir }) => controlClient(runDir));
    for (const read of reads) {
      while ((await read()) < size) {
        if (performance.now() - startMs > PATIENCE_MS) throw new Error("daemons do not meet");
        await sleep(20);
      }
    }
    const launchMs = performance.now() - startMs;
    await settled(prefix);
    const cpuBefore = pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
    const before = await counts(prefix);
    const fromMs = performance.now();
    await sleep(idleMs);
    const after = await counts(prefix);
    const peerSeconds = (size * (performance.now() - fromMs)) / 1000;
    const cpu = pids.reduce((sum, pid) => sum + cpuMs(pid), 0) - cpuBefore;
    const memory = pids.map(memoryMib);
    return {
      engine,
      size,
      launchMs,
      idleBytes: (after.bytes - before.bytes) / peerSeconds,
      idlePackets: (after.packets - before.packets) / peerSeconds,
      cpuMsPerSecond: cpu / peerSeconds,
      rssMib: memory.map(({ rss }) => rss),
      pssMib: memory.map(({ pss }) => pss),
    };
  } finally {
    for (const { child } of daemons) child.kill("SIGTERM");
    await Promise.all(daemons.map(({ gone }) => gone));
  }
}

function launch(
  index: number,
  engine: string,
  prefix: string,
  { executable, dir }: { readonly executable: string; readonly dir: string },
) {
  const home = join(dir, `daemon-${engine}-${index}`);
  const runDir = join(home, "run");
  mkdirSync(runDir, { recursive: true });
  const own = `${prefix}.${index}`;
  const argv = [
    ...[process.execPath, executable, "launch", "--foreground", "--no-docker"],
    ...["--name", `n${index}`, "--bind", own, "--advertise", own],
    ...["--port", String(FIRST_PORT + index), "--membership", engineOf(engine)],
    ...["--vxlan-port", String(FIRST_VXLAN_PORT + index), "--log-level", "error"],
    ...["--state-dir", join(home, "state"), "--run-dir", runDir],
    ...(index === 1 ? [] : [`${prefix}.1:${FIRST_PORT + 1}`]),
  ];
  const env = isKeyed(engine) ? { TSWEAVE_PASSWORD: PASSWORD } : {};
  const { child, gone } = startChild(argv, { ipc: false, env });
  child.stdout?.resume();
  onLines(child.stderr, (line) => {
    if (line.startsWith("tsweave: ")) process.stderr.write(`${line}\n`);
  });
  return { child, gone, runDir };
}
