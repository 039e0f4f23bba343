/**
 * Addresses of this host: the shell that ties founding, pools, space and leases to the ports.
 *
 * Law: everything is read back from the journal before anything is served, and what peers publish
 * is merged through the journal too, so memory never knows more than the disk.
 */
import {
  type Cancel,
  messageOf,
  type RowChange,
  type Store,
  TIMES,
  TsweaveError,
} from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import { type AllocateOptions, Allocator } from "./allocator.ts";
import { Changes } from "./changes.ts";
import { addressWithin, type Cidr, parseCidr } from "./cidr.ts";
import { Founder, type FounderOptions, type FounderPorts } from "./founder.ts";
import { type Commit, Ledger, learn } from "./ledger.ts";
import type { Pool } from "./pool.ts";
import { publish, readRangesRow, tryRead } from "./rows.ts";
import { Seeker } from "./seeker.ts";
import { SpaceGiver } from "./space.ts";
import { type IpAllocStatus, type Problem, problemsOf, statusOf } from "./status.ts";

export interface IpAllocPorts extends FounderPorts {
  readonly store: Store;
}

/** One address given out on this host. */
export interface LeaseInfo {
  readonly cidr: string;
  readonly ip: string;
  readonly key: string;
  /** Wall clock of the grant. */
  readonly sinceMs: number;
}

/** What exists once the journal has been read. */
interface Parts {
  readonly ledger: Ledger;
  readonly founder: Founder;
  readonly seeker: Seeker;
  readonly giver: SpaceGiver;
  readonly allocator: Allocator;
}

export class IpAlloc {
  readonly #ports: IpAllocPorts;
  readonly #options: FounderOptions;
  readonly #changes: Changes;
  readonly #cancels: Cancel[] = [];
  /** Rows to merge, newest by origin and key. BOUNDED: by the tables' own rows. */
  readonly #pending = new Map<string, RowChange>();
  #parts: Parts | undefined;
  #cancelUse: Cancel | undefined;
  #stopped = false;

  /** `options.declared`: the peers named at launch, without this one. */
  constructor(ports: IpAllocPorts, options: FounderOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#changes = new Changes(ports.log);
  }

  /**
   * Reads the journal, publishes what is owned and begins to answer; founding goes on behind.
   * @throws TsweaveError STATE_CORRUPT, STATE_UNWRITABLE.
   */
  async start(): Promise<void> {
    const { random, tables, log } = this.#ports;
    const ledger = await Ledger.open(this.#ports, () =>
      Buffer.from(random.bytes(8)).toString("hex"),
    );
    const changed = () => this.#changed();
    const founder = new Founder(this.#ports, this.#options, ledger, () => this.#founded());
    const seeker = new Seeker(this.#ports, ledger, changed);
    const giver = new SpaceGiver(this.#ports, ledger, changed);
    const allocator = new Allocator(this.#ports, ledger, {
      founder,
      seeker,
      changes: this.#changes,
      closed: () => this.#stopped,
    });
    this.#parts = { ledger, founder, seeker, giver, allocator };
    log.info({ store: ledger.state.store, pools: ledger.state.pools.size }, "addresses read back");
    this.#cancels.push(
      ...giver.serve(),
      tables.watch("ranges", (changes) => this.#receive(changes)),
      this.#changes.listen(() => this.#useChanged()),
    );
    founder.start();
    this.#receive(tables.rows("ranges"));
    this.#changed();
  }

  /** Stops timers and answers; waiting requests end with NOT_RUNNING. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#cancelUse?.();
    this.#parts?.founder.stop();
    this.#parts?.seeker.stop();
    this.#changes.ring();
  }

  /** To be called after every change of membership. */
  membershipChanged(): void {
    if (this.#parts === undefined || this.#stopped) return;
    this.#parts.founder.consider();
    this.#parts.seeker.consider();
  }

  /**
   * Opens a pool; opening it again is harmless. Without `gateway` the first usable address is it.
   * @throws TsweaveError CONFIG (not a subnet, too small), POOL_CONFLICT, ADDRESS_TAKEN.
   */
  async openPool(cidr: string, gateway?: string): Promise<{ cidr: string; gateway: string }> {
    const subnet = poolCidr(cidr);
    const chosen = gateway === undefined ? undefined : addressWithin(subnet, gateway);
    const { ledger } = this.#started();
    const pool = await ledger.exclusive(async (commit) => {
      const other = ledger.state.overlapping(subnet);
      if (other !== undefined) throw poolConflict(subnet, other);
      const known = ledger.state.ensurePool(subnet);
      const address = gatewayOf(known, chosen);
      if (
        !known.open ||
        address !== known.gateway ||
        (chosen !== undefined && !known.gatewayGiven)
      ) {
        const given = chosen !== undefined;
        await commit({ kind: "open", cidr: subnet, gateway: address, given });
      }
      return known;
    });
    this.#changed();
    return { cidr: subnet.text, gateway: formatAddress(pool.gateway, subnet.bits) };
  }

  /** Closes a pool: nothing more is given out of it. Leases stay until released. Unknown: ok. */
  async closePool(cidr: string): Promise<void> {
    const { ledger, seeker } = this.#started();
    const subnet = parseCidr(cidr);
    await ledger.exclusive(async (commit) => {
      const pool = ledger.state.pool(subnet.text);
      if (!pool?.open) return;
      await commit({ kind: "close", cidr: subnet });
      seeker.forget(pool);
    });
    this.#changed();
  }

  /** Keeps an address of the user's own from being given out on this host. */
  async reserve(cidr: string, ip: string): Promise<void> {
    const { ledger, allocator } = this.#started();
    await ledger.exclusive(async (commit) => {
      const pool = allocator.openPool(cidr);
      const address = addressWithin(pool.cidr, ip);
      if (pool.leases.at(address) !== undefined) {
        throw new TsweaveError("ADDRESS_TAKEN", `${ip} is in use on this host`);
      }
      if (pool.isReserved(address)) return;
      await commit({ kind: "reserve", cidr: pool.cidr, address, present: true });
    });
    this.#changed();
  }

  /**
   * An address of the pool for `leaseKey`; the same key gets the same address again.
   * @throws TsweaveError NOT_FOUND (pool not open), CONFIG, NOT_FOUNDED or NO_ADDRESS after
   * `deadlineMs` (5 s), STATE_UNWRITABLE.
   */
  allocate(cidr: string, leaseKey: string, options: AllocateOptions = {}): Promise<string> {
    return this.#started().allocator.allocate(cidr, leaseKey, options);
  }

  /**
   * Exactly this address: of the own range at once, of another's by asking its owner.
   * @throws TsweaveError NOT_FOUND, BAD_REQUEST (not of the pool), ADDRESS_TAKEN, NO_ADDRESS
   * (its owner cannot be reached), NOT_FOUNDED, STATE_UNWRITABLE.
   */
  claim(
    cidr: string,
    leaseKey: string,
    ip: string,
    options: Pick<AllocateOptions, "deadlineMs"> = {},
  ): Promise<string> {
    const deadlineMs = options.deadlineMs ?? TIMES.allocateDeadlineMs;
    return this.#started().allocator.claim(cidr, leaseKey, ip, deadlineMs);
  }

  /** Takes an address back, a lease or a reservation; it rests 30 s. Unknown: ok. */
  release(cidr: string, ip: string): Promise<void> {
    return this.#started().allocator.release(cidr, ip);
  }

  /** Files a lease under another key. @throws TsweaveError NOT_FOUND, ADDRESS_TAKEN. */
  rekey(cidr: string, ip: string, leaseKey: string): Promise<void> {
    return this.#started().allocator.rekey(cidr, ip, leaseKey);
  }

  /** Every address given out on this host. */
  leases(): LeaseInfo[] {
    return [...this.#started().ledger.state.pools.values()].flatMap(({ cidr, leases }) =>
      [...leases.entries()].map(([address, { key, sinceMs }]) => ({
        cidr: cidr.text,
        ip: formatAddress(address, cidr.bits),
        key,
        sinceMs,
      })),
    );
  }

  status(): IpAllocStatus {
    const { ledger, founder } = this.#started();
    return statusOf(this.#ports, ledger, founder);
  }

  problems(): Problem[] {
    const { ledger, founder } = this.#started();
    return problemsOf(ledger, founder);
  }

  /** Called after any change of pools, leases, ownership or founding. */
  onChange(notify: () => void): Cancel {
    return this.#changes.listen(notify);
  }

  #started(): Parts {
    if (this.#parts !== undefined) return this.#parts;
    throw new TsweaveError("NOT_RUNNING", "addresses are not read back yet", {
      hint: "retry in a moment",
    });
  }

  #founded(): void {
    this.#receive(this.#ports.tables.rows("ranges"));
    this.#changed();
  }

  /** Ownership or pools changed: publish, ask if low, tell. */
  #changed(): void {
    if (this.#parts === undefined || this.#stopped) return;
    const { ledger, seeker } = this.#parts;
    for (const pool of ledger.state.pools.values()) {
      publish(this.#ports.tables, ledger.state, pool);
    }
    seeker.consider();
    this.#changes.ring();
  }

  #receive(changes: readonly RowChange[]): void {
    for (const change of changes) {
      if (change.origin === this.#options.self || change.value === undefined) continue;
      this.#pending.set(`${change.origin} ${change.key}`, change);
    }
    const { ledger } = this.#started();
    // Unfounded, no row can be judged; all are read again once founded.
    if (ledger.state.founding === undefined) this.#pending.clear();
    if (this.#pending.size === 0) return;
    this.#mergePending(ledger).catch((error: unknown) => {
      this.#ports.log.error({ err: messageOf(error) }, "published ranges were not merged");
    });
  }

  async #mergePending(ledger: Ledger): Promise<void> {
    const learned = await ledger.exclusive(async (commit) => {
      let any = false;
      for (const key of [...this.#pending.keys()]) {
        const row = this.#pending.get(key);
        if (row === undefined) continue;
        this.#pending.delete(key);
        try {
          any = (await this.#mergeRow(ledger, commit, row)) || any;
        } catch (error) {
          // Not on disk, so not known: it is merged again with the next row that comes.
          if (!this.#pending.has(key)) this.#pending.set(key, row);
          throw error;
        }
      }
      return any;
    });
    if (learned) this.#changed();
  }

  async #mergeRow(ledger: Ledger, commit: Commit, row: RowChange): Promise<boolean> {
    const { log } = this.#ports;
    const { value, ...place } = row;
    if (value === undefined) return false;
    const found = tryRead({ ...place, value }, log, (present) => {
      const read = readRangesRow(present);
      if (read.meshId !== ledger.state.founding?.meshId) return undefined;
      return { pool: ledger.state.ensurePool(read.cidr), records: read.records };
    });
    return found === undefined ? false : await learn(commit, found.pool, found.records);
  }

  /** Use counts follow within useCountMs. */
  #useChanged(): void {
    if (this.#stopped || this.#cancelUse !== undefined) return;
    this.#cancelUse = this.#ports.clock.timer("ipalloc-use", TIMES.useCountMs, () => {
      this.#cancelUse = undefined;
      const state = this.#parts?.ledger.state;
      if (state === undefined || this.#stopped) return;
      for (const pool of state.pools.values()) publish(this.#ports.tables, state, pool);
      this.#parts?.seeker.consider();
    });
  }
}

/** @throws TsweaveError CONFIG when there is no room for a gateway and two hosts. */
function poolCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr.bits - cidr.prefix >= 3) return cidr;
  throw new TsweaveError("CONFIG", `${text} is too small for a pool`, {
    hint: `use a prefix of at most /${cidr.bits - 3}`,
  });
}

function gatewayOf(pool: Pool, chosen: bigint | undefined): bigint {
  if (chosen === undefined || chosen === pool.gateway) return pool.gateway;
  const text = formatAddress(chosen, pool.cidr.bits);
  if (pool.open && pool.gatewayGiven) {
    const present = formatAddress(pool.gateway, pool.cidr.bits);
    throw new TsweaveError(
      "POOL_CONFLICT",
      `${pool.cidr.text} has gateway ${present}, not ${text}`,
    );
  }
  if (chosen === pool.cidr.start || chosen === pool.cidr.end - 1n) {
    throw new TsweaveError("CONFIG", `${text} cannot be a gateway: it is the network or broadcast`);
  }
  if (pool.leases.at(chosen) !== undefined) {
    throw new TsweaveError("ADDRESS_TAKEN", `the gateway ${text} is in use by a container`);
  }
  return chosen;
}

function poolConflict(subnet: Cidr, other: Pool): TsweaveError {
  return new TsweaveError("POOL_CONFLICT", `${subnet.text} overlaps the pool ${other.cidr.text}`, {
    hint: "choose a subnet beside it",
  });
}
