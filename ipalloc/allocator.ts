/**
 * Giving out, claiming and taking back addresses on this host.
 *
 * Law: a grant is on disk before its promise resolves, and only for an address that a durable
 * record says is this store's. A request that must wait (no founding, no space) waits a bounded
 * time and then says what it waited for and what helps; none waits for a quorum once this store
 * owns space. When nothing else is free the address that rests longest is given out early, once
 * every live peer has dropped its old row and no name that led to it is in any cache.
 */
import { TIMES, TsweaveError } from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import type { Changes } from "./changes.ts";
import { addressWithin, type Cidr, containsCidr, parseCidr } from "./cidr.ts";
import type { DroppedRows } from "./dropped-rows.ts";
import type { Founder, FounderPorts } from "./founder.ts";
import { readLeaseKey } from "./journal.ts";
import { type Commit, type Ledger, stampMs } from "./ledger.ts";
import type { Pool } from "./pool.ts";
import type { Range } from "./range-set.ts";
import type { Seeker } from "./seeker.ts";
import { askForAddress } from "./space.ts";

/** A waiting request looks again at least this often. */
const LOOK_AGAIN_MS = 250;
/** A resting address that nobody's row names is given early after this: the TTL of its names. */
const REST_LEAST_MS = TIMES.dnsTtlSeconds * 1000;
/** Owners asked in turn for one address that moves while it is claimed. */
const CLAIM_TRIES = 3;

export interface AllocateOptions {
  /** A subnet of the pool to allocate from. */
  readonly within?: string;
  readonly deadlineMs?: number;
}

export interface AllocatorParts {
  readonly founder: Founder;
  readonly seeker: Seeker;
  readonly changes: Changes;
  readonly dropped: DroppedRows;
  readonly closed: () => boolean;
  /** Why this store may grant nothing now; undefined when it may (R3). */
  readonly barred: () => string | undefined;
}

export class Allocator {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: AllocatorParts;

  constructor(ports: FounderPorts, ledger: Ledger, parts: AllocatorParts) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#parts = parts;
  }

  /** See IpAlloc.allocate. */
  async allocate(subnet: string, leaseKey: string, options: AllocateOptions): Promise<string> {
    const key = checkedKey(leaseKey);
    const part = options.within === undefined ? undefined : parseCidr(options.within);
    const pool = this.openPool(subnet);
    if (part !== undefined && !containsCidr(pool.cidr, part)) {
      throw new TsweaveError("CONFIG", `${part.text} is not inside ${pool.cidr.text}`);
    }
    const endMs = this.#ports.clock.nowMs() + (options.deadlineMs ?? TIMES.allocateDeadlineMs);
    for (;;) {
      const address = await this.#tryAllocate(subnet, key, part);
      if (address !== undefined) return address;
      this.#parts.seeker.urge(pool, part);
      if (await this.#canReuse(pool, part ?? pool.cidr)) continue;
      await this.#wait(endMs, () => this.#noSpace(pool, part));
    }
  }

  /**
   * Files an address that is in use here already, whoever owns it; claim with the same key then
   * asks its owner for it. @throws TsweaveError NOT_FOUND, BAD_REQUEST, ADDRESS_TAKEN.
   */
  async adopt(subnet: string, leaseKey: string, ip: string): Promise<void> {
    const key = checkedKey(leaseKey);
    await this.#ledger.exclusive(async (commit) => {
      const pool = this.openPool(subnet);
      const value = addressWithin(pool.cidr, ip);
      const wanted = { key, value, text: formatAddress(value, pool.cidr.bits) };
      await leaseHere(commit, pool, wanted, stampMs(this.#ports.clock));
    });
    this.#parts.changes.ring();
  }

  /** See IpAlloc.claim. */
  async claim(subnet: string, leaseKey: string, ip: string, deadlineMs: number): Promise<string> {
    const key = checkedKey(leaseKey);
    const endMs = this.#ports.clock.nowMs() + deadlineMs;
    const pool = this.openPool(subnet);
    const value = addressWithin(pool.cidr, ip);
    const text = formatAddress(value, pool.cidr.bits);
    while (this.#ledger.state.founding === undefined) await this.#wait(endMs, () => undefined);
    for (let tries = 0; ; tries++) {
      const claimed = await this.#ledger.exclusive((commit) => {
        const here = this.openPool(subnet);
        this.#refuseBarred(here, { key, value, text });
        return claimHere(commit, here, { key, value, text }, stampMs(this.#ports.clock));
      });
      if (claimed) return this.#granted(text);
      if (tries === CLAIM_TRIES) {
        throw new TsweaveError(
          "NO_ADDRESS",
          `${text} belongs to another peer that did not give it`,
        );
      }
      await askForAddress(this.#ports, this.#ledger, pool, { value, text });
    }
  }

  /** See IpAlloc.release. */
  async release(subnet: string, ip: string): Promise<void> {
    const cidr = parseCidr(subnet);
    const address = addressWithin(cidr, ip);
    await this.#ledger.exclusive(async (commit) => {
      const pool = this.#ledger.state.pool(cidr.text);
      if (pool?.leases.at(address) !== undefined) {
        await commit({ kind: "free", cidr, address, atMs: stampMs(this.#ports.clock) });
      } else if (pool?.auxiliary.has(address)) {
        await commit({ kind: "reserve", cidr, address, present: false });
      }
    });
    this.#parts.changes.ring();
  }

  /** See IpAlloc.rekey. */
  async rekey(subnet: string, ip: string, leaseKey: string): Promise<void> {
    const key = checkedKey(leaseKey);
    const pool = this.#ledger.state.pool(parseCidr(subnet).text);
    await this.#ledger.exclusive(async (commit) => {
      const address = pool === undefined ? 0n : addressWithin(pool.cidr, ip);
      const lease = pool?.leases.at(address);
      if (pool === undefined || lease === undefined) {
        throw new TsweaveError("NOT_FOUND", `${ip} is not given out here`);
      }
      if (lease.key === key) return;
      refuseSecond(pool, key);
      const { sinceMs } = lease;
      await commit({ kind: "lease", cidr: pool.cidr, address, key, sinceMs, picked: false });
    });
    this.#parts.changes.ring();
  }

  /** The open pool of a subnet. @throws TsweaveError CONFIG, NOT_FOUND. */
  openPool(subnet: string): Pool {
    const pool = this.#ledger.state.pool(parseCidr(subnet).text);
    if (pool?.open) return pool;
    throw new TsweaveError("NOT_FOUND", `the pool ${subnet} is not open on this host`, {
      hint: "create a network with this subnet first",
    });
  }

  async #tryAllocate(
    subnet: string,
    key: string,
    part: Cidr | undefined,
  ): Promise<string | undefined> {
    const { clock } = this.#ports;
    const address = await this.#ledger.exclusive(async (commit) => {
      const pool = this.openPool(subnet);
      const { cidr } = pool;
      const held = pool.leases.ofKey(key);
      if (held !== undefined) return formatAddress(held, cidr.bits);
      if (this.#parts.barred() !== undefined) return undefined;
      pool.wake(clock.nowMs());
      const range = part ?? cidr;
      const picked = pool.pick(range) ?? pool.pickResting(range, this.#restedSinceMs());
      if (picked === undefined) return undefined;
      const sinceMs = stampMs(clock);
      await commit({ kind: "lease", cidr, address: picked, key, sinceMs, picked: true });
      return formatAddress(picked, cidr.bits);
    });
    return address === undefined ? undefined : this.#granted(address);
  }

  /** What was released by then may be given out early. */
  #restedSinceMs(): number {
    return Math.min(this.#parts.dropped.byMs, this.#ports.clock.nowMs() - REST_LEAST_MS);
  }

  /** Whether a resting address may be given out, after asking the live peers if need be. */
  async #canReuse(pool: Pool, within: Range): Promise<boolean> {
    const ripeMs = this.#ports.clock.nowMs() - REST_LEAST_MS;
    if (this.#parts.barred() !== undefined) return false;
    if (pool.pickResting(within, ripeMs) === undefined) return false;
    if (pool.pickResting(within, this.#restedSinceMs()) !== undefined) return true;
    await this.#parts.dropped.confirm();
    return pool.pickResting(within, this.#restedSinceMs()) !== undefined;
  }

  /** @throws TsweaveError when this store may grant nothing, or another host runs the address. */
  #refuseBarred(pool: Pool, { key, value, text }: Wanted): void {
    const barred = this.#parts.barred();
    if (barred !== undefined) {
      throw new TsweaveError("NO_ADDRESS", `${text} cannot be given: ${barred}`, {
        hint: "see 'tsweave status ipam'",
      });
    }
    if (pool.leases.at(value)?.key === key || pool.obstacle(value) !== "running") return;
    const runner = this.#ports.members().find(({ id }) => id === pool.runner(value));
    if (runner?.self) return;
    const name = runner?.name ?? "a peer that is not here";
    throw new TsweaveError("ADDRESS_TAKEN", `${text} is in use by a container of ${name}`, {
      hint: "choose another address, or let tsweave choose",
    });
  }

  #granted(address: string): string {
    this.#parts.changes.ring();
    return address;
  }

  /** Waits for a change. @throws TsweaveError at the deadline: NOT_FOUNDED or what `why` gives. */
  async #wait(endMs: number, why: () => TsweaveError | undefined): Promise<void> {
    const { clock } = this.#ports;
    const leftMs = endMs - clock.nowMs();
    if (this.#parts.closed()) {
      throw new TsweaveError("NOT_RUNNING", "the daemon is stopping", {
        hint: "retry after 'tsweave launch'",
      });
    }
    if (leftMs <= 0) {
      const waiting = this.#parts.founder.waiting();
      const error = waiting === undefined ? why() : notFounded(waiting, this.#parts.founder);
      throw error ?? new TsweaveError("TIMED_OUT", "the founding came too late, try again");
    }
    await this.#parts.changes.next(clock, Math.min(LOOK_AGAIN_MS, leftMs));
  }

  #noSpace(pool: Pool, part: Cidr | undefined): TsweaveError {
    const barred = this.#parts.barred();
    if (barred !== undefined) {
      return new TsweaveError("NO_ADDRESS", `no address can be given: ${barred}`, {
        hint: "start the peers named there; see 'tsweave status ipam'",
      });
    }
    const asked = this.#parts.seeker.outcome(pool);
    const owned = `this peer owns ${pool.owned} addresses of ${pool.cidr.text}`;
    const own = `${owned} and has none free${part === undefined ? "" : ` in ${part.text}`}`;
    return new TsweaveError("NO_ADDRESS", asked === undefined ? own : `${own}; asked: ${asked}`, {
      hint: "see 'tsweave status ipam'; remove containers, or bring back peers that own free space",
    });
  }
}

function notFounded(waiting: string, founder: Founder): TsweaveError {
  return new TsweaveError("NOT_FOUNDED", `no address can be given yet: ${waiting}`, {
    hint: founder.advice(),
  });
}

interface Wanted {
  readonly key: string;
  readonly value: bigint;
  readonly text: string;
}

/** Leases an own address; false when another store owns it. Resting is no obstacle to a person. */
async function claimHere(
  commit: Commit,
  pool: Pool,
  wanted: Wanted,
  sinceMs: number,
): Promise<boolean> {
  const obstacle = pool.obstacle(wanted.value);
  if (obstacle === "foreign") return false;
  if (obstacle === "running") {
    throw new TsweaveError("ADDRESS_TAKEN", `${wanted.text} is in use on another host`, {
      hint: "see 'tsweave status endpoints'; choose another address, or let tsweave choose",
    });
  }
  await leaseHere(commit, pool, wanted, sinceMs);
  return pool.owns(wanted.value);
}

/** Leases an address for a key, whoever owns it. @throws TsweaveError ADDRESS_TAKEN. */
async function leaseHere(
  commit: Commit,
  pool: Pool,
  { key, value, text }: Wanted,
  sinceMs: number,
): Promise<void> {
  const obstacle = pool.obstacle(value);
  if (obstacle === "leased" && pool.leases.at(value)?.key === key) return;
  if (obstacle === "leased" || obstacle === "reserved") {
    const why = obstacle === "leased" ? "is in use on this host" : "is reserved in its pool";
    throw new TsweaveError("ADDRESS_TAKEN", `${text} ${why}`, {
      hint: "choose another address, or let tsweave choose",
    });
  }
  refuseSecond(pool, key);
  await commit({ kind: "lease", cidr: pool.cidr, address: value, key, sinceMs, picked: false });
}

function refuseSecond(pool: Pool, key: string): void {
  const held = pool.leases.ofKey(key);
  if (held === undefined) return;
  const text = formatAddress(held, pool.cidr.bits);
  throw new TsweaveError("ADDRESS_TAKEN", `${key} already holds ${text} of ${pool.cidr.text}`);
}

function checkedKey(key: string): string {
  try {
    return readLeaseKey(key);
  } catch (error) {
    throw new TsweaveError("BAD_REQUEST", "a lease key has 1 to 160 characters", { cause: error });
  }
}
