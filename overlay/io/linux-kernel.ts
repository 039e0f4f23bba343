/**
 * The Kernel port on Linux: `ip` and `bridge` batches in, observations out.
 *
 * Law: everything happens in namespaces and on devices named by us; the few commands in the
 * host's own namespace delete a veth end of ours or make and remove our namespaces.
 * A Join costs one line to a tool that is open: the veth pair is made from inside the overlay
 * namespace, already enslaved and up, with its container end put into the host's.
 */
import { statfs } from "node:fs/promises";
import type { Cancel, Clock, Kernel, Log } from "../../mesh/index.ts";
import type { StepFailure } from "../failures.ts";
import { type Joins, readJoins } from "../groups/joins.ts";
import { OBSERVE_LINES, observationInSlices } from "../observe.ts";
import { type Batch, FILTER_KEYS, render } from "../render.ts";
import { Slices } from "../slices.ts";
import {
  BRIDGE,
  DIRECT,
  emptyObservation,
  type ObservedNetwork,
  type Scope,
  type Step,
  VXLAN,
} from "../state.ts";
import { runBatch } from "./batch.ts";
import { commandFailed, type Run, run } from "./exec.ts";
import { type MonitorHint, Monitors } from "./monitor.ts";
import { entering, inodeOf, netnsPath } from "./netns.ts";
import { OWN_NETNS, type ToolSessions } from "./tool-sessions.ts";

const NSFS_MAGIC = 0x6e736673;
/** A monitor's line about one of those that entries are for. */
const LOST_DEVICE = new RegExp(`^Deleted \\d+: (${BRIDGE}|${VXLAN}|${DIRECT})\\b`);

export interface LinuxKernelOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** The tools that stay open. */
  readonly tools: ToolSessions;
  /**
   * Path or name of the namespace that counts as the host's: VXLAN sockets and container ends
   * go there. Default: this process's own.
   */
  readonly hostNetns?: string;
  /** Words put before commands that work in the host's namespace. Default: none. */
  readonly prefix?: readonly string[];
}

export class LinuxKernel implements Kernel<Scope, ObservedNetwork, Step> {
  readonly #run: Run = run;
  readonly #prefix: readonly string[];
  readonly #monitors: Monitors;
  readonly #log: Log;
  readonly #slices: Slices;
  readonly #tools: ToolSessions;
  /** What `ip` calls the host's namespace when it works inside another. */
  readonly hostNetns: string;

  constructor(options: LinuxKernelOptions) {
    this.#prefix = options.prefix ?? [];
    this.hostNetns = options.hostNetns ?? OWN_NETNS;
    this.#log = options.log;
    this.#slices = new Slices(options.clock);
    this.#monitors = new Monitors(options.log);
    this.#tools = options.tools;
  }

  /**
   * Reads one namespace: three short processes side by side. One whose name was taken away gets
   * it back first. Throws `COMMAND_FAILED`.
   */
  async observe(scope: Scope): Promise<ObservedNetwork> {
    const { netns } = scope;
    await this.#reclaim(netns);
    const state = await netnsState(netns);
    if (state !== "present") return emptyObservation(netns, state);
    const inode = await inodeOf(netnsPath(netns));
    if (inode !== undefined) this.#monitors.watch(netns, inode);
    const keys = FILTER_KEYS.map((key) => `/proc/sys/${key.replaceAll(".", "/")}`);
    const ipArgv = ["ip", "-n", netns, "-j", "-d", "-force", "-batch", "-"];
    const [ip, fdb, filters] = await Promise.all([
      this.#run(ipArgv, { input: `${OBSERVE_LINES.join("\n")}\n`, tolerant: true }),
      this.#run(["bridge", "-n", netns, "-j", "fdb", "show"], { tolerant: true }),
      this.#run([...entering(netns), "grep", "-H", ".", ...keys], { tolerant: true }),
    ]);
    const noVxlan = (stderr: string) => /Cannot find device/.test(stderr);
    if (ip.exitCode !== 0 && !noVxlan(ip.stderr)) throw commandFailed(ipArgv, ip);
    if (fdb.exitCode !== 0 && !noVxlan(fdb.stderr)) throw commandFailed(["bridge", "fdb"], fdb);
    const filterLines = filters.stdout.replaceAll("/proc/sys/", "").replaceAll("/", ".");
    const raw = {
      ip: ip.stdout,
      fdb: fdb.exitCode === 0 ? fdb.stdout : "",
      filters: filterLines.replaceAll(":", "="),
    };
    return await this.#slices.run(observationInSlices(netns, raw));
  }

  /**
   * After `ip netns del` the namespace lives on without a name while its monitor runs, with every
   * container still plugged in: naming it again loses nothing, a new one would cut them off.
   */
  async #reclaim(netns: string): Promise<void> {
    const inode = await inodeOf(netnsPath(netns));
    if (!this.#monitors.strayed(netns, inode)) return;
    const pid = await this.#monitors.holder(netns);
    if (pid !== undefined && (await this.#nameAgain(netns, pid))) return;
    await this.#release(netns);
  }

  /** Ends what would keep a namespace. */
  async #release(netns: string): Promise<void> {
    await Promise.all([this.#monitors.unwatch(netns), this.#tools.release(netns)]);
  }

  async #nameAgain(netns: string, pid: number): Promise<boolean> {
    await this.#run(["ip", "netns", "del", netns], { tolerant: true });
    const argv = ["ip", "netns", "attach", netns, String(pid)];
    const { exitCode, stderr } = await this.#run(argv, { tolerant: true });
    if (exitCode === 0) this.#log.warn({ netns }, "a namespace lost its name and has it again");
    else this.#log.error({ netns, stderr }, "a namespace lost its name: a new one is built");
    return exitCode === 0;
  }

  /** Applies in order; table entries of `ip` and `bridge` run side by side. */
  async apply(steps: readonly Step[]): Promise<readonly StepFailure[]> {
    for (const step of steps) {
      if (step.kind === "netns-del") await this.#release(step.netns);
    }
    const failures: StepFailure[] = [];
    for (const group of parallelGroups(render(steps, this.hostNetns))) {
      const runs = group.map((batch) => runBatch(this.#run, this.#prefix, batch, this.#tools));
      for (const failed of await Promise.all(runs)) failures.push(...failed);
    }
    // An observation that ran meanwhile may have begun to watch what is gone now.
    for (const step of steps) {
      if (step.kind === "netns-del") await this.#release(step.netns);
    }
    return failures;
  }

  /**
   * Members that the bridge of a namespace learned; undefined where it does not snoop or is not
   * there. Throws `COMMAND_FAILED`.
   */
  async joins(netns: string): Promise<Joins | undefined> {
    const argv = ["bridge", "-n", netns, "-j", "-d", "mdb", "show"];
    const result = await this.#run(argv, { tolerant: true });
    if (result.exitCode === 0) return readJoins(result.stdout);
    if ((await netnsState(netns)) !== "present") return undefined;
    throw commandFailed(argv, result);
  }

  /** Calls back when the members of a namespace may have changed. */
  onJoin(notify: (netns: string) => void): Cancel {
    return this.#monitors.subscribeMembers(notify);
  }

  onDirty(notify: (hint?: MonitorHint) => void): Cancel {
    return this.#monitors.subscribe((hint) => {
      if (hint !== undefined && LOST_DEVICE.test(hint.line)) {
        void this.#tools.release(hint.scope.netns);
      }
      notify(hint);
    });
  }

  /** Ends the monitors. The kernel state stays. */
  async close(): Promise<void> {
    await this.#monitors.close();
  }
}

/** Consecutive batches of table entries may run at once: their tables do not refer to another. */
function parallelGroups(batches: readonly Batch[]): Batch[][] {
  const groups: Batch[][] = [];
  for (const batch of batches) {
    const last = groups.at(-1);
    const fits = batch.entriesOnly && last?.every((other) => mayRunBeside(other, batch)) === true;
    if (fits) last.push(batch);
    else groups.push([batch]);
  }
  return groups;
}

function mayRunBeside(a: Batch, b: Batch): boolean {
  return a.entriesOnly && b.entriesOnly && (a.tool !== b.tool || a.netns !== b.netns);
}

async function netnsState(netns: string): Promise<ObservedNetwork["state"]> {
  try {
    const { type } = await statfs(netnsPath(netns));
    return type === NSFS_MAGIC ? "present" : "broken";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "absent";
    throw error;
  }
}
