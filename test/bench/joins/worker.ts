/**
 * One host with its reconciler on the real kernel, in namespaces of its own, that lets endpoints
 * join and leave and rows change while the remote ones come in.
 */
import type { LocalEndpoint, RemoteEndpoint } from "../../../overlay/model.ts";
import { type NetnsHost, NetnsLab } from "../../lib/netns-hosts.ts";
import { remoteAt } from "../kernel/endpoints.ts";
import type { Waits, Way, WorkerOptions } from "./waits.ts";

const PAUSE_MS = 20;
/** Joins where nothing else goes on. */
const IDLE = 20;

async function main({ tag, endpoints }: WorkerOptions): Promise<Record<Way, Waits>> {
  const lab = new NetnsLab(tag);
  const byAddress = new ByAddress(endpoints);
  try {
    // A namespace that goes with so many entries keeps the kernel busy for seconds: one a way.
    await lab.open(2);
    const [one, two] = lab.hosts;
    if (one === undefined || two === undefined) throw new Error("no hosts");
    for (const host of [one, two]) {
      await host.reconciler.flush();
      host.input = { ...host.input, remotes: byAddress.rows(), near: byAddress.near };
    }
    const pass = await during(one, byAddress, () => one.reconciler.flush());
    await one.reconciler.stop();
    const all = byAddress.rows();
    two.input = { ...two.input, remotes: all };
    const rows = await during(two, byAddress, () => two.reconciler.applyRemote(all));
    await two.reconciler.flush();
    const { inSync, lastError } = two.reconciler.status();
    if (!inSync) throw new Error(`not in sync: ${lastError}`);
    const idle = await during(two, byAddress, undefined);
    return { idle, pass, rows };
  } finally {
    await lab.close();
  }
}

/** As the daemon has it: rows by address. */
class ByAddress {
  readonly #rows = new Map<string, RemoteEndpoint>();

  constructor(endpoints: number) {
    for (let at = 0; at < endpoints; at++) this.add(remoteAt(at));
  }

  /** Rows that there are. */
  get size(): number {
    return this.#rows.size / 2;
  }

  rows(): RemoteEndpoint[] {
    return [...new Set(this.#rows.values())];
  }

  readonly near = (addresses: Iterable<string>): RemoteEndpoint[] =>
    [...addresses].flatMap((address) => this.#rows.get(address) ?? []);

  add(row: RemoteEndpoint): void {
    this.#rows.set(row.ip, row).set(row.mac, row);
  }
}

/** Joins, leaves and changes rows, one after the other, until `work` is done. */
async function during(
  host: NetnsHost,
  byAddress: ByAddress,
  work: (() => Promise<void>) | undefined,
): Promise<Waits> {
  const { reconciler, network } = host;
  const [joinMs, leaveMs, rowMs]: [number[], number[], number[]] = [[], [], []];
  let isDone = false;
  const working = work === undefined ? undefined : timed(work).finally(() => (isDone = true));
  for (let at = 0; work === undefined ? at < IDLE : !isDone; at++) {
    const mine = localAt(at);
    host.input = { ...host.input, locals: [mine] };
    joinMs.push(await timed(() => reconciler.plug(mine, network)));
    await pause();
    const row = remoteAt(byAddress.size);
    byAddress.add(row);
    host.input = { ...host.input, remotes: [...host.input.remotes, row] };
    rowMs.push(await timed(() => reconciler.applyRemote([row])));
    await pause();
    host.input = { ...host.input, locals: [] };
    leaveMs.push(await timed(() => reconciler.unplug(mine.id, network)));
    await pause();
  }
  const allMs = working === undefined ? [] : [await working];
  return { joinMs, leaveMs, rowMs, allMs };
}

function localAt(at: number): LocalEndpoint {
  const hex = at.toString(16).padStart(4, "0");
  const mac = `02:42:0a:2f:${hex.slice(0, 2)}:${hex.slice(2)}`;
  return { id: hex.padEnd(64, "d"), network: "tsweave", ip: `10.47.${at >> 8}.${at & 255}`, mac };
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

process.on("disconnect", () => process.exit());
process.on("SIGINT", () => undefined);
const measured = await main(JSON.parse(process.argv[2] ?? "") as WorkerOptions);
process.send?.(measured, () => process.exit());
