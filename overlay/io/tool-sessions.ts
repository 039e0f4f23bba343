/**
 * The tools that stay open, by what they are and where they work.
 *
 * Law: a tool is asked only while the name of its namespace leads to the namespace that it entered,
 * and it is ended before that namespace is removed, which it would keep. It remembers the numbers
 * of devices: one that complains is ended, so is every one of a namespace that lost a device, and
 * none is asked what there is. It also keeps every namespace open that a line named: none but the
 * host's may be, and it is ended after some.
 */
import type { Cancel, Clock } from "../../mesh/index.ts";
import { entering, inodeOf, netnsPath } from "./netns.ts";
import { type Complaints, ToolSession } from "./tool-session.ts";

const IDLE_MS = 30_000;
/** The least recently used one goes for another. */
const OPEN_MAX = 16;
/** Lines with a namespace; each costs a descriptor, of usually 1024. */
const NAMESPACES_MAX = 200;
/** A namespace by name or path, or what is done with one. */
const NAMESPACE = /(?:^| (?:link-)?)netns (\S+)/;

/** What runs, and where: in the namespace with this name, or in the host's. */
export interface Place {
  readonly tool: "ip" | "bridge";
  readonly netns: string | undefined;
}

interface Open {
  readonly session: ToolSession;
  readonly netns: string | undefined;
  readonly inode: number | undefined;
  namespaces: number;
  cancelIdle: Cancel;
}

export interface ToolSessionsOptions {
  readonly clock: Clock;
  /** What lines call the host's namespace. Default: as this process has it. */
  readonly hostNetns?: string;
  /** Words before commands that work in the host's namespace. Default: none. */
  readonly prefix?: readonly string[];
}

/** What lines call the namespace of this process. */
export const OWN_NETNS = `/proc/${process.pid}/ns/net`;

export class ToolSessions {
  readonly #clock: Clock;
  readonly #prefix: readonly string[];
  readonly #hostNetns: string;
  /** By place, least recently used first. BOUNDED: OPEN_MAX. */
  readonly #open = new Map<string, Open>();
  #closed = false;

  constructor({ clock, hostNetns = OWN_NETNS, prefix = [] }: ToolSessionsOptions) {
    this.#clock = clock;
    this.#hostNetns = hostNetns;
    this.#prefix = prefix;
  }

  /**
   * Runs lines that print nothing. Undefined when they are not for a tool that stays open, when
   * there is no such namespace, and after close(). Throws as ToolSession.run.
   */
  async run(
    place: Place,
    lines: readonly string[],
    timeoutMs: number,
  ): Promise<Complaints | undefined> {
    const { tool, netns } = place;
    const named = lines.flatMap((line) => NAMESPACE.exec(line)?.[1] ?? []);
    if (named.some((name) => name !== this.#hostNetns)) return undefined;
    const inode = netns === undefined ? undefined : await inodeOf(netnsPath(netns));
    if (netns !== undefined && inode === undefined) return undefined;
    if (this.#closed) return undefined;
    const key = `${tool} ${netns ?? ""}`;
    const open = this.#at(key, place, inode);
    open.namespaces += named.length;
    const complaints = await open.session.run(lines, timeoutMs);
    const isOver = complaints.hasFailed || open.namespaces > NAMESPACES_MAX;
    if (isOver && this.#open.get(key) === open) await this.#end(key);
    return complaints;
  }

  /** Ends the sessions of a namespace; resolves when they are gone. */
  async release(netns: string): Promise<void> {
    const keys = [...this.#open].filter(([, open]) => open.netns === netns);
    await Promise.all(keys.map(([key]) => this.#end(key)));
  }

  /** Ends all; none is opened again. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open.keys()].map((key) => this.#end(key)));
  }

  #at(key: string, { tool, netns }: Place, inode: number | undefined): Open {
    const known = this.#open.get(key);
    if (known?.session.isOpen === true && known.inode === inode) {
      known.cancelIdle();
      known.cancelIdle = this.#whenIdle(key);
      this.#open.delete(key);
      this.#open.set(key, known);
      return known;
    }
    void this.#end(key);
    const oldest = this.#open.keys().next();
    if (this.#open.size >= OPEN_MAX && !oldest.done) void this.#end(oldest.value);
    const enter = netns === undefined ? this.#prefix : entering(netns);
    const session = new ToolSession(tool, [...enter, tool, "-force", "-batch", "-"]);
    const open = { session, netns, inode, namespaces: 0, cancelIdle: this.#whenIdle(key) };
    this.#open.set(key, open);
    return open;
  }

  #whenIdle(key: string): Cancel {
    return this.#clock.timer("overlay-tool-idle", IDLE_MS, () => void this.#end(key));
  }

  async #end(key: string): Promise<void> {
    const open = this.#open.get(key);
    this.#open.delete(key);
    open?.cancelIdle();
    await open?.session.close();
  }
}
