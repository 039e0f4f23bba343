/**
 * Giving out, claiming and taking back addresses on this host.
 *
 * Law: a grant is on disk before its promise resolves, and only for an address that a durable
 * record says is this store's. A request that must wait (no founding, no space) waits a bounded
 * time and then says what it waited for and what helps; none waits for a quorum once this store
 * owns space.
 */
import { TIMES, TsweaveError } from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import type { Changes } from "./changes.ts";
import { addressWithin, type Cidr, containsCidr, parseCidr } from "./cidr.ts";
import type { Founder, FounderPorts } from "./founder.ts";
import { readLeaseKey } from "./journal.ts";
import { type Commit, type Ledger, stampMs } from "./ledger.ts";
import type { Pool } from "./pool.ts";
import type { Seeker } from "./seeker.ts";
import { askForAddress } from "./space.ts";

/** A waiting request looks again at least this often. */
const LOOK_AGAIN_MS = 250;
/** Owners asked in turn for one address that moves while it is claimed. */
const CLAIM_TRIES = 3;

export interface AllocateOptions {
  /** A subnet of the pool to allocate from. */
  readonly within?: string;
  readonly deadlineMs?: number;
}

export class Allocator {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: { founder: Founder; seeker: Seeker; changes: Changes; closed: () => boolean };

  constructor(
    ports: FounderPorts,
    ledger: Ledger,
    parts: { founder: Founder; seeker: Seeker; changes: Changes; closed: () => boolean },
  ) {
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
      await this.#wait(endMs, () => this.#noSpace(pool));
    }
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
      const claimed = await this.#ledger.exclusive((commit) =>
        claimHere(commit, this.openPool(subnet), { key, value, text }, stampMs(this.#ports.clock)),
      );
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
      pool.wake(clock.nowMs());
      const picked = pool.pick(part ?? cidr);
      if (picked === undefined) return undefined;
      const sinceMs = stampMs(clock);
      await commit({ kind: "lease", cidr, address: picked, key, sinceMs, picked: true });
      return formatAddress(picked, cidr.bits);
    });
    return address === undefined ? undefined : this.#granted(address);
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
      const error = waiting === undefined ? why() : notFounded(waiting);
      throw error ?? new TsweaveError("TIMED_OUT", "the founding came too late, try again");
    }
    await this.#parts.changes.next(clock, Math.min(LOOK_AGAIN_MS, leftMs));
  }

  #noSpace(pool: Pool): TsweaveError {
    const asked = this.#parts.seeker.outcome(pool);
    const own = `this peer owns ${pool.owned} addresses of ${pool.cidr.text} and has none free`;
    return new TsweaveError("NO_ADDRESS", asked === undefined ? own : `${own}; asked: ${asked}`, {
      hint: "see 'tsweave status ipam'; remove containers, or bring back peers that own free space",
    });
  }
}

function notFounded(waiting: string): TsweaveError {
  return new TsweaveError("NOT_FOUNDED", `no address can be given yet: ${waiting}`, {
    hint: "start tsweave on those peers, or launch without naming peers to found a mesh alone",
  });
}

/** Leases an own address; false when another store owns it. Resting is no obstacle to a person. */
async function claimHere(
  commit: Commit,
  pool: Pool,
  wanted: { readonly key: string; readonly value: bigint; readonly text: string },
  sinceMs: number,
): Promise<boolean> {
  const { key, value, text } = wanted;
  const obstacle = pool.obstacle(value);
  if (obstacle === "foreign") return false;
  if (obstacle === "leased" && pool.leases.at(value)?.key === key) return true;
  if (obstacle === "leased" || obstacle === "reserved") {
    const why = obstacle === "leased" ? "is in use on this host" : "is reserved in its pool";
    throw new TsweaveError("ADDRESS_TAKEN", `${text} ${why}`, {
      hint: "choose another address, or let tsweave choose",
    });
  }
  refuseSecond(pool, key);
  await commit({ kind: "lease", cidr: pool.cidr, address: value, key, sinceMs, picked: false });
  return true;
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
