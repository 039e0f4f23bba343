/**
 * One `ip monitor` per overlay namespace, as a source of "look again" hints, and as what keeps the
 * namespace when somebody deletes its name: the containers stay plugged into it, its VNI and port
 * stay taken, and it can be named again. Beside it one `bridge monitor mdb`, for members of groups.
 *
 * Law: its text is never parsed for truth (it is not JSON, and events can be lost); the process
 * dies with the daemon, also on kill -9 (setpriv --pdeathsig), and is restarted when it dies
 * alone. It pins its namespace, so it is stopped before the namespace is removed.
 */
import type { Cancel, Log } from "../../mesh/index.ts";
import type { Scope } from "../state.ts";
import { DIES_WITH_US, runBeside } from "./exec.ts";
import { inodeOf } from "./netns.ts";

/** A line that may mean drift, and where. */
export interface MonitorHint {
  readonly scope: Scope;
  readonly line: string;
}

type Notify = (hint?: MonitorHint) => void;

/** A program that follows something, and which of its lines are hints. */
interface Source {
  /** In front of `-n NAMESPACE`. */
  readonly command: readonly string[];
  readonly words: readonly string[];
  readonly isHint: (line: string) => boolean;
}

const DEVICES: Source = {
  command: ["ip"],
  words: ["monitor", "link", "address", "neigh"],
  isHint,
};
/** Unlike the other, this tool keeps its lines to itself until it has many. */
const MEMBERS: Source = {
  command: ["stdbuf", "-oL", "bridge"],
  words: ["monitor", "mdb"],
  isHint: isMemberHint,
};

const RESTART_MS = 1000;
const RESTART_MS_MAX = 30_000;
/** A line of the monitor is short; more without a line end is noise. */
const LINE_CHARS_MAX = 4096;

export class NetnsMonitor {
  /** Inode of the namespace that it was started for. */
  readonly inode: number;
  readonly #netns: string;
  readonly #source: Source;
  readonly #notify: Notify;
  readonly #log: Log;
  #stopChild: (() => void) | undefined;
  #pid: number | undefined;
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #failures = 0;
  #stopped = false;

  constructor(netns: string, inode: number, source: Source, notify: Notify, log: Log) {
    this.#netns = netns;
    this.inode = inode;
    this.#source = source;
    this.#notify = notify;
    this.#log = log;
    this.#start();
  }

  /** The process, if it is in the namespace now: a moment after its start it is not there yet. */
  async holder(): Promise<number | undefined> {
    const pid = this.#pid;
    if (pid === undefined) return undefined;
    return (await inodeOf(`/proc/${pid}/ns/net`)) === this.inode ? pid : undefined;
  }

  /** Ends the process and waits until it is gone. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restart);
    this.#stopChild?.();
    await this.#ended;
  }

  #start(): void {
    const { command, words } = this.#source;
    const enter = [...DIES_WITH_US, ...command, "-n", this.#netns];
    let rest = "";
    const { pid, kill, ended } = runBeside([...enter, ...words], (chunk) => {
      const lines = (rest + chunk.toString("latin1")).split("\n");
      rest = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
      this.#take(lines);
    });
    this.#pid = pid;
    this.#stopChild = kill;
    this.#ended = ended.then((how) => this.#exited(how));
  }

  #take(lines: readonly string[]): void {
    this.#failures = 0;
    if (this.#stopped) return;
    const scope = { netns: this.#netns };
    for (const line of lines) if (this.#source.isHint(line)) this.#notify({ scope, line });
  }

  #exited(reason: string): void {
    this.#pid = undefined;
    if (this.#stopped) return;
    const delayMs = Math.min(RESTART_MS * 2 ** this.#failures++, RESTART_MS_MAX);
    this.#log.debug({ netns: this.#netns, reason, delayMs }, "monitor ended; restarting");
    this.#notify();
    this.#restart = setTimeout(() => this.#start(), delayMs).unref();
  }
}

/**
 * True for lines that can mean drift: links, addresses, entries of vxlan0 and gw0. Misses (an
 * unknown address was asked for), learned MACs of local ports, link-local addresses and br0's own
 * ARP cache come all the time.
 */
export function isHint(line: string): boolean {
  if (/^(Deleted )?\d+: /.test(line)) return !line.includes(" inet6 fe80:");
  if (!/ (vxlan0|gw0) /.test(line) || line.startsWith("miss ")) return false;
  // What the device itself says to groups; a copy is permanent.
  return !/lladdr (33:33|01:00:5e):/.test(line) || / NOARP PERMANENT *$/.test(line);
}

/** True for a group that a local port joined or left; those of vxlan0 and br0 are no members. */
export function isMemberHint(line: string): boolean {
  return / port veth[0-9a-f]{7} grp \d/.test(line);
}

/** The monitors of a set of namespaces. BOUNDED: LIMITS.networksMax, two a network. */
export class Monitors {
  readonly #byNetns = new Map<string, NetnsMonitor>();
  readonly #ofMembers = new Map<string, NetnsMonitor>();
  readonly #receivers = new Set<Notify>();
  readonly #memberReceivers = new Set<(netns: string) => void>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Calls `notify` on every hint of any namespace; without one when a monitor ended. */
  subscribe(notify: Notify): Cancel {
    this.#receivers.add(notify);
    return () => this.#receivers.delete(notify);
  }

  /** Calls `notify` with a namespace whose local members may have changed. */
  subscribeMembers(notify: (netns: string) => void): Cancel {
    this.#memberReceivers.add(notify);
    return () => this.#memberReceivers.delete(notify);
  }

  /**
   * Starts a monitor where none runs, for the namespace with this inode; without a subscriber
   * none is needed.
   */
  watch(netns: string, inode: number): void {
    this.#watchMembers(netns, inode);
    if (this.#receivers.size === 0 || this.#byNetns.has(netns)) return;
    const notify: Notify = (hint) => {
      for (const receive of this.#receivers) receive(hint);
    };
    this.#byNetns.set(netns, new NetnsMonitor(netns, inode, DEVICES, notify, this.#log));
  }

  #watchMembers(netns: string, inode: number): void {
    if (this.#memberReceivers.size === 0 || this.#ofMembers.has(netns)) return;
    const notify = () => {
      for (const receive of this.#memberReceivers) receive(netns);
    };
    this.#ofMembers.set(netns, new NetnsMonitor(netns, inode, MEMBERS, notify, this.#log));
    notify();
  }

  /** Whether the monitored namespace is not the one with this inode, which is what has its name. */
  strayed(netns: string, inode: number | undefined): boolean {
    const monitor = this.#byNetns.get(netns);
    return monitor !== undefined && monitor.inode !== inode;
  }

  /** A process that keeps the monitored namespace. */
  async holder(netns: string): Promise<number | undefined> {
    return await this.#byNetns.get(netns)?.holder();
  }

  async unwatch(netns: string): Promise<void> {
    const monitor = this.#byNetns.get(netns);
    const ofMembers = this.#ofMembers.get(netns);
    this.#byNetns.delete(netns);
    this.#ofMembers.delete(netns);
    await Promise.all([monitor?.stop(), ofMembers?.stop()]);
  }

  async close(): Promise<void> {
    this.#receivers.clear();
    this.#memberReceivers.clear();
    const watched = new Set([...this.#byNetns.keys(), ...this.#ofMembers.keys()]);
    await Promise.all([...watched].map((netns) => this.unwatch(netns)));
  }
}
