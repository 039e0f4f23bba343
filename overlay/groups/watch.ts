/**
 * From the members that the bridges learned to the rows that tell other hosts.
 *
 * Laws: an empty table of a bridge that does not snoop, or did not a moment ago, withdraws nothing;
 * looking costs at most one part in ten of the time, and a row is written at most once a second
 * after a short burst, however fast containers join and leave. Frames flow without this: it only
 * moves entries.
 */
import { type Cancel, type Clock, LIMITS, type Log, messageOf } from "../../mesh/index.ts";
import { type Network, netnsName } from "../model.ts";
import { CoalescingWorker } from "../serial.ts";
import { type Joins, toTell } from "./joins.ts";

export interface GroupWatchPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined where it cannot be told. */
  readonly look: (netns: string) => Promise<Joins | undefined>;
  /** Calls back when members of a namespace may have changed. */
  readonly onJoin: (notify: (netns: string) => void) => Cancel;
  /** Networks of this host. */
  readonly networks: () => readonly Network[];
  /** Tells the others; no groups: nothing to tell any more. */
  readonly publish: (network: string, groups: readonly string[]) => void;
}

/** What is known of one network's members on this host. */
export interface LocalGroups {
  /** Groups that others are told of. */
  readonly told: readonly string[];
  readonly joins: Joins;
  /** Joined groups that are not told, because of the bounds. */
  readonly leftOut: number;
  /** Clock.nowMs() since when the bridge tells nothing; undefined: it does. */
  readonly unknownSinceMs: number | undefined;
}

interface Watched extends LocalGroups {
  readonly netns: string;
  /** Until then nothing is withdrawn. */
  readonly heldUntilMs: number;
  /** Rows that may be written at once; one more each PUBLISH_MS. */
  readonly credit: number;
  readonly creditAtMs: number;
}

const SOON_MS = 30;
const SPACING_MS = 200;
const DUTY = 10;
/** Looks at everything, whatever the monitors said. */
const RECHECK_MS = 30_000;
/** A bridge that begins to snoop has heard all members in 1 s; one of an older build in 10 s. */
const HOLD_MS = 15_000;
const PUBLISH_MS = 1000;
const BURST = 10;

export class GroupWatch {
  readonly #ports: GroupWatchPorts;
  readonly #worker: CoalescingWorker;
  /** By network name. BOUNDED: LIMITS.networksMax networks of this host. */
  readonly #watched = new Map<string, Watched>();
  /** Namespaces to look at. BOUNDED: as #watched; the monitors name no others. */
  readonly #dirty = new Set<string>();
  #cancel: Cancel | undefined;
  #earliestMs = 0;
  #recheckMs = 0;

  constructor(ports: GroupWatchPorts) {
    this.#ports = ports;
    this.#worker = new CoalescingWorker(ports.clock, "groups", () => this.#work());
  }

  /** Resolves after the first look. */
  async start(): Promise<void> {
    this.#cancel = this.#ports.onJoin((netns) => {
      this.#dirty.add(netns);
      this.#soon(SOON_MS);
    });
    await this.#worker.flush();
  }

  /** Ends the looks; what was told stays told. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#worker.stop();
  }

  /** Looks at all networks now; resolves when it is done. */
  async flush(): Promise<void> {
    this.#recheckMs = 0;
    await this.#worker.flush();
  }

  /** What is known, by the names of this host's networks. */
  local(): ReadonlyMap<string, LocalGroups> {
    return this.#watched;
  }

  #soon(delayMs: number): void {
    const waitMs = this.#earliestMs - this.#ports.clock.nowMs();
    this.#worker.request(Math.max(delayMs, waitMs));
  }

  async #work(): Promise<void> {
    const { clock, networks } = this.#ports;
    const startMs = clock.nowMs();
    const isRecheck = startMs >= this.#recheckMs;
    if (isRecheck) this.#recheckMs = startMs + RECHECK_MS;
    const present = networks();
    const due = new Set(this.#dirty);
    this.#dirty.clear();
    for (const network of present) {
      const isDue = isRecheck || due.has(netnsName(network)) || !this.#watched.has(network.name);
      if (isDue) await this.#lookAt(network);
    }
    for (const [name, { told }] of this.#watched) {
      if (present.some((network) => network.name === name)) continue;
      this.#watched.delete(name);
      if (told.length > 0) this.#ports.publish(name, []);
    }
    const endMs = clock.nowMs();
    this.#earliestMs = endMs + Math.max(SPACING_MS, DUTY * (endMs - startMs));
    this.#soon(this.#dirty.size > 0 ? PUBLISH_MS : Math.max(0, this.#recheckMs - endMs));
  }

  async #lookAt({ name, id }: Network): Promise<void> {
    const { clock } = this.#ports;
    const netns = netnsName({ id });
    const joins = await this.#look(name, netns);
    const nowMs = clock.nowMs();
    const before = this.#watched.get(name) ?? fresh(netns, nowMs);
    if (joins === undefined) {
      const unknownSinceMs = before.unknownSinceMs ?? nowMs;
      this.#watched.set(name, { ...before, netns, unknownSinceMs, heldUntilMs: nowMs + HOLD_MS });
      return;
    }
    const { groups, leftOut } = toTell(joins, before.told);
    const isHeld = nowMs < before.heldUntilMs;
    const wanted = isHeld ? union(before.told, groups) : groups;
    // What is held back, or too soon, is looked at again.
    if (isHeld && wanted.length > groups.length) this.#dirty.add(netns);
    const earned = (nowMs - before.creditAtMs) / PUBLISH_MS;
    const credit = Math.min(BURST, before.credit + earned);
    const isNews = wanted.join() !== before.told.join();
    const mayTell = isNews && credit >= 1;
    if (isNews && !mayTell) this.#dirty.add(netns);
    const told = mayTell ? wanted : before.told;
    const left = { credit: mayTell ? credit - 1 : credit, creditAtMs: nowMs };
    const seen = { joins, leftOut, told, unknownSinceMs: undefined };
    this.#watched.set(name, { ...before, ...left, ...seen, netns });
    if (mayTell) this.#ports.publish(name, told);
  }

  async #look(network: string, netns: string): Promise<Joins | undefined> {
    try {
      return await this.#ports.look(netns);
    } catch (error) {
      this.#ports.log.warn({ network, error: messageOf(error) }, "cannot read multicast members");
      return undefined;
    }
  }
}

function fresh(netns: string, nowMs: number): Watched {
  const nobody = { told: [], joins: new Map(), leftOut: 0, unknownSinceMs: undefined };
  return { ...nobody, netns, heldUntilMs: 0, credit: BURST, creditAtMs: nowMs };
}

function union(before: readonly string[], now: readonly string[]): readonly string[] {
  return [...new Set([...before, ...now])].slice(0, LIMITS.groupsPerHostMax).sort();
}
