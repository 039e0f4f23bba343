/**
 * One `ip monitor` per overlay namespace, as a source of "look again" hints.
 *
 * Law: its text is never parsed for truth (it is not JSON, and events can be lost); the process
 * dies with the daemon, also on kill -9 (setpriv --pdeathsig), and is restarted when it dies
 * alone. It pins its namespace, so it is stopped before the namespace is removed.
 */

import { execa } from "execa";
import type { Cancel, Log } from "../../mesh/index.ts";
import { toolEnv } from "./exec.ts";

const RESTART_MS = 1000;
const RESTART_MS_MAX = 30_000;
/** A line of the monitor is short; more without a line end is noise. */
const LINE_CHARS_MAX = 4096;

export class NetnsMonitor {
  readonly #netns: string;
  readonly #notify: () => void;
  readonly #log: Log;
  #stopChild: (() => void) | undefined;
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #failures = 0;
  #stopped = false;

  constructor(netns: string, notify: () => void, log: Log) {
    this.#netns = netns;
    this.#notify = notify;
    this.#log = log;
    this.#start();
  }

  /** Ends the process and waits until it is gone. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restart);
    this.#stopChild?.();
    await this.#ended;
  }

  #start(): void {
    const args = ["--pdeathsig", "KILL", "--", "ip", "-n", this.#netns];
    const child = execa("setpriv", [...args, "monitor", "link", "address", "neigh"], {
      stdin: "ignore",
      stderr: "ignore",
      buffer: false,
      reject: false,
      extendEnv: false,
      env: toolEnv(),
    });
    this.#stopChild = () => child.kill("SIGKILL");
    this.#read(child.stdout);
    this.#ended = child.then((result) => this.#exited(result.shortMessage ?? "ended"));
  }

  #read(stdout: NodeJS.ReadableStream): void {
    let rest = "";
    stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString("latin1")).split("\n");
      rest = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
      this.#failures = 0;
      if (!this.#stopped && lines.some(isHint)) this.#notify();
    });
  }

  #exited(reason: string): void {
    if (this.#stopped) return;
    const delayMs = Math.min(RESTART_MS * 2 ** this.#failures++, RESTART_MS_MAX);
    this.#log.debug({ netns: this.#netns, reason, delayMs }, "monitor ended; restarting");
    this.#notify();
    this.#restart = setTimeout(() => this.#start(), delayMs).unref();
  }
}

/**
 * True for lines that can mean drift: links, addresses, entries of vxlan0. Misses (an unknown
 * address was asked for), learned MACs of local ports, link-local addresses and br0's own ARP
 * cache come all the time.
 */
export function isHint(line: string): boolean {
  if (/^(Deleted )?\d+: /.test(line)) return !line.includes(" inet6 fe80:");
  if (!line.includes(" vxlan0 ") || line.startsWith("miss ")) return false;
  return !/lladdr (33:33|01:00:5e):/.test(line);
}

/** The monitors of a set of namespaces. BOUNDED: LIMITS.networksMax, one a network. */
export class Monitors {
  readonly #byNetns = new Map<string, NetnsMonitor>();
  readonly #receivers = new Set<() => void>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Calls `notify` on every hint of any namespace. */
  subscribe(notify: () => void): Cancel {
    this.#receivers.add(notify);
    return () => this.#receivers.delete(notify);
  }

  /** Starts a monitor where none runs; without a subscriber none is needed. */
  watch(netns: string): void {
    if (this.#receivers.size === 0 || this.#byNetns.has(netns)) return;
    const notify = () => {
      for (const receive of this.#receivers) receive();
    };
    this.#byNetns.set(netns, new NetnsMonitor(netns, notify, this.#log));
  }

  async unwatch(netns: string): Promise<void> {
    const monitor = this.#byNetns.get(netns);
    this.#byNetns.delete(netns);
    await monitor?.stop();
  }

  async close(): Promise<void> {
    this.#receivers.clear();
    await Promise.all([...this.#byNetns.keys()].map((netns) => this.unwatch(netns)));
  }
}
