/**
 * Traffic of the tunnels by peer: the kernel's counters, looked at now and then and kept.
 *
 * Law: reads answer from what was seen last; a look is one short process, rarer where that is slow.
 */
import { isIP } from "node:net";
import { type Cancel, type Clock, hostsOf, type Member } from "../../mesh/index.ts";
import { COUNTED_MAX, type Counted } from "../../overlay/index.ts";
import type { Traffic } from "../control/api.ts";

const LOOK_MS = 5000;
const LOOK_MS_MAX = 15_000;
const DUTY = 20;

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
  #isOver = false;

  constructor(ports: TrafficPorts) {
    this.#ports = ports;
  }

  /** Looks now, and again until stopped. */
  async start(): Promise<void> {
    const { clock, members, look } = this.#ports;
    const startMs = clock.nowMs();
    const counted = await look(addressesOf(members()));
    const atMs = clock.nowMs();
    this.#before = counted === undefined ? undefined : this.#last;
    this.#last = counted === undefined ? undefined : { counted, atMs };
    if (this.#isOver) return;
    const nextMs = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS, DUTY * (atMs - startMs)));
    this.#cancel = clock.timer("traffic", nextMs, () => void this.start());
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  /** What went between this host and a peer; null where it was not counted yet. */
  readonly of = (member: Member): Traffic | null => {
    const hosts = hostsOf(member).flatMap((host) => literal(host) ?? []);
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
  const hosts = others.flatMap((member) => hostsOf(member).flatMap((host) => literal(host) ?? []));
  return new Set(hosts.slice(0, COUNTED_MAX));
}

/** Peers name their addresses: what is none, or leads to a device, is left out. */
function literal(host: string): string | undefined {
  const version = isIP(host);
  if (version === 4) return host;
  return version === 0 || host.includes("%") ? undefined : shortest(host);
}

function shortest(host: string): string | undefined {
  const { hostname } = new URL(`http://[${host}]/`);
  // The kernel writes IPv4 in IPv6 otherwise; no host has such an address.
  return hostname.startsWith("[::ffff:") ? undefined : hostname.slice(1, -1);
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
