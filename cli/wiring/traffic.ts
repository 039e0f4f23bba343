/**
 * Traffic of the tunnels by peer: the kernel's counters, looked at now and then and kept.
 *
 * Law: reads answer from what was seen last; a look is one short process, rarer where that is slow,
 * and rare while nobody asks: an idle host starts no process for a number that nobody reads.
 */
import { isIP } from "node:net";
import { type Cancel, type Clock, hostsOf, type Member } from "../../mesh/index.ts";
import { COUNTED_MAX, type Counted, canonicalIp } from "../../overlay/index.ts";
import type { Traffic } from "../control/api.ts";

/** While somebody asks. */
const LOOK_MS = 5000;
const LOOK_MS_MAX = 15_000;
const DUTY = 20;
/** Who asked is taken to ask again within so long. */
const ASKED_MS = 30_000;
/** While nobody does: somebody may have removed the table. */
const IDLE_MS = 60_000;

export interface TrafficPorts {
  readonly clock: Clock;
  readonly members: () => readonly Member[];
  /** Counts for these addresses from now on, and tells of the past; see HostTraffic. */
  readonly look: (addresses: ReadonlySet<string>) => Promise<Counted | undefined>;
}

interface Look {
  readonly counted: Counted;
  readonly atMs: number;
}

export class TrafficWatch {
  readonly #ports: TrafficPorts;
  #last: Look | undefined;
  #before: Look | undefined;
  #cancel: Cancel = () => undefined;
  /** When the next look is due; infinite while one is under way. */
  #dueMs = Number.POSITIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Least time between the starts of two looks. */
  #spacingMs = LOOK_MS;
  #askedMs = Number.NEGATIVE_INFINITY;
  #isWanted = false;
  #isOver = false;

  constructor(ports: TrafficPorts) {
    this.#ports = ports;
  }

  /** Looks now, and again until stopped. */
  async start(): Promise<void> {
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#isWanted = false;
    const { clock, members, look } = this.#ports;
    const startMs = clock.nowMs();
    this.#lookedMs = startMs;
    const counted = await look(addressesOf(members()));
    const atMs = clock.nowMs();
    this.#before = counted === undefined ? undefined : this.#last;
    this.#last = counted === undefined ? undefined : { counted, atMs };
    this.#spacingMs = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS, DUTY * (atMs - startMs)));
    const isAsked = this.#isWanted || atMs - this.#askedMs < ASKED_MS;
    this.#arm(isAsked ? this.#spacingMs : IDLE_MS);
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  /** Peers came or went, or have other addresses: what is counted follows within seconds. */
  readonly hint = (): void => {
    this.#isWanted = true;
    // Before the first look, and during one, there is nothing to bring forward.
    if (this.#dueMs === Number.POSITIVE_INFINITY) return;
    const dueMs = this.#lookedMs + this.#spacingMs;
    if (dueMs < this.#dueMs) this.#arm(Math.max(0, dueMs - this.#ports.clock.nowMs()));
  };

  #arm(delayMs: number): void {
    this.#cancel();
    if (this.#isOver) return;
    const { clock } = this.#ports;
    this.#dueMs = clock.nowMs() + delayMs;
    this.#cancel = clock.timer("traffic", delayMs, () => void this.start());
  }

  /**
   * What went between this host and a peer; null where it was not counted yet. Asking makes looks
   * frequent for a while.
   */
  readonly of = (member: Member): Traffic | null => {
    this.#askedMs = this.#ports.clock.nowMs();
    this.hint();
    const hosts = literals(member);
    const now = sums(this.#last, hosts);
    if (now === undefined) return null;
    const before = sums(this.#before, hosts);
    const seconds = ((this.#last?.atMs ?? 0) - (this.#before?.atMs ?? 0)) / 1000;
    return {
      ...{ inBytes: now.in, outBytes: now.out },
      inBytesPerSecond: rate(now.in, before?.in, seconds),
      outBytesPerSecond: rate(now.out, before?.out, seconds),
    };
  };
}

/** Literal addresses of all other hosts as the kernel writes them. */
function addressesOf(members: readonly Member[]): Set<string> {
  const others = members.filter(({ self }) => !self);
  const hosts = others.flatMap(literals);
  return new Set(hosts.slice(0, COUNTED_MAX));
}

/** Peers name their addresses: what is none, or leads to a device, is left out. */
function literals(member: Member): string[] {
  const usable = hostsOf(member).filter((host) => isIP(host) !== 0 && !host.includes("%"));
  return usable.map(canonicalIp);
}

function sums(look: Look | undefined, hosts: readonly string[]) {
  if (look === undefined) return undefined;
  const { counted } = look;
  if (!hosts.some((host) => counted.in.has(host))) return undefined;
  const sum = (tally: Counted["in"]): number =>
    hosts.reduce((total, host) => total + (tally.get(host) ?? 0), 0);
  return { in: sum(counted.in), out: sum(counted.out) };
}

/** Null where a counter began anew. */
function rate(now: number, before: number | undefined, seconds: number): number | null {
  if (before === undefined || seconds <= 0 || now < before) return null;
  return Math.round((now - before) / seconds);
}
