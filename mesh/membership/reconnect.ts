/**
 * Addresses to say hello to until they answer: the operator's targets and the last addresses of
 * peers that are gone, each on its own backoff.
 *
 * Law: no address is ever given up, so a partition of any length heals by itself; the wait stays
 * bounded, all members together try a gone peer at a steady pace whatever their number, and one
 * tick tries only a few, so a hundred dead peers cost no more than few.
 */
import { LIMITS } from "../limits.ts";
import type { HostPort, PeerId } from "../ports.ts";
import { addressesOf, addressKey, canonicalHost } from "./address.ts";
import type { Target } from "./membership.ts";
import { isLive, type Roster } from "./roster.ts";
import { type HealTiming, retryDelayMs } from "./timing.ts";

/** Hellos of one tick, a quarter of `healMs`; one contact is enough to heal a whole partition. */
const TARGETS_PER_TICK_MAX = 4;
const GONE_PER_TICK_MAX = 1;

interface Attempt {
  readonly count: number;
  readonly dueMs: number;
}

export class Reconnect {
  /** BOUNDED: LIMITS.peersMax, given by the operator. */
  readonly #targets = new Map<string, HostPort>();
  /** BOUNDED: LIMITS.peersMax, addresses the operator no longer wants tried. */
  readonly #unwanted = new Set<string>();
  /** BOUNDED: targets and gone peers, pruned at each tick. */
  readonly #attempts = new Map<string, Attempt>();
  /** BOUNDED: one entry a target: who answered there. */
  readonly #answered = new Map<string, PeerId>();
  readonly #self: PeerId;
  readonly #roster: Roster;
  readonly #timing: HealTiming;

  constructor(self: PeerId, roster: Roster, timing: HealTiming) {
    this.#self = self;
    this.#roster = roster;
    this.#timing = timing;
  }

  add(targets: readonly HostPort[]): void {
    for (const target of targets) {
      if (this.#targets.size >= LIMITS.peersMax) return;
      const address = canonical(target);
      const key = addressKey(address);
      this.#unwanted.delete(key);
      this.#attempts.delete(key);
      this.#targets.set(key, address);
    }
  }

  drop(targets: readonly HostPort[]): void {
    for (const target of targets) {
      const key = addressKey(canonical(target));
      this.#targets.delete(key);
      this.#answered.delete(key);
      if (this.#unwanted.size < LIMITS.peersMax) this.#unwanted.add(key);
    }
  }

  /** Someone at `from` is the live peer `id` (possibly this one). */
  heard(from: HostPort, id: PeerId): void {
    const key = addressKey(from);
    if (this.#targets.has(key)) this.#answered.set(key, id);
  }

  /** Whether somebody is to be tried, now or later. */
  get isNeeded(): boolean {
    return this.#withoutTaken(this.#candidates()).size > 0;
  }

  /** The addresses to say hello to now, longest due first; counts the attempts. */
  due(nowMs: number): HostPort[] {
    const candidates = this.#candidates();
    for (const key of this.#attempts.keys()) {
      if (!candidates.has(key)) this.#attempts.delete(key);
    }
    const dueMs = (key: string): number => this.#attempts.get(key)?.dueMs ?? 0;
    const due = new Map([...candidates].filter(([key]) => dueMs(key) <= nowMs));
    const wanted = this.#withoutTaken(due);
    const keys = [...wanted.keys()].sort((a, b) => dueMs(a) - dueMs(b));
    const isTarget = (key: string): boolean => this.#targets.has(key);
    const now = new Set([
      ...keys.filter(isTarget).slice(0, TARGETS_PER_TICK_MAX),
      ...keys.filter((key) => !isTarget(key)).slice(0, GONE_PER_TICK_MAX),
    ]);
    return [...now].flatMap((key) => {
      const count = (this.#attempts.get(key)?.count ?? 0) + 1;
      const live = isTarget(key) ? 1 : this.#roster.liveCount;
      this.#attempts.set(key, { count, dueMs: nowMs + retryDelayMs(this.#timing, count, live) });
      return wanted.get(key) ?? [];
    });
  }

  /** The operator's targets, then the addresses of gone peers. */
  targets(): Target[] {
    const wanted = this.#withoutTaken(this.#candidates());
    const all = new Map([...this.#targets, ...wanted]);
    return [...all].map(([key, address]) => ({
      address,
      state: wanted.has(key) ? "trying" : "connected",
      attempts: this.#attempts.get(key)?.count ?? 0,
    }));
  }

  /** Targets without a live peer, addresses of gone peers. */
  #candidates(): Map<string, HostPort> {
    const candidates = new Map<string, HostPort>();
    for (const [key, address] of this.#targets) {
      if (!this.#isConnected(key)) candidates.set(key, address);
    }
    for (const { meta } of this.#roster.gone()) {
      for (const address of addressesOf(meta)) {
        const key = addressKey(address);
        if (!this.#unwanted.has(key)) candidates.set(key, address);
      }
    }
    return candidates;
  }

  /** Drops the addresses where a live member is; looks at the members only if there is need. */
  #withoutTaken(addresses: Map<string, HostPort>): Map<string, HostPort> {
    if (addresses.size === 0) return addresses;
    for (const { meta } of this.#roster.live()) {
      for (const address of addressesOf(meta)) addresses.delete(addressKey(address));
    }
    return addresses;
  }

  #isConnected(key: string): boolean {
    const id = this.#answered.get(key);
    if (id === undefined) return false;
    if (id === this.#self) return true;
    const record = this.#roster.record(id);
    return record !== undefined && isLive(record);
  }
}

/** People may spell an IPv6 address in many ways; members come in one. */
function canonical({ host, port }: HostPort): HostPort {
  return { host: canonicalHost(host) ?? host, port };
}
