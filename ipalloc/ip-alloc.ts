/**
 * Addresses of this host: what the rest of the product calls. It keeps the present life, which is
 * another one once this host has gone to another mesh.
 *
 * Law: everything is read back from the journal before anything is served. A request that was
 * under way when the host went to another mesh is made again there.
 */
import { type Cancel, type PeerId, TIMES, TsweaveError } from "../mesh/index.ts";
import { formatAddress, parseAddress } from "./address.ts";
import type { AllocateOptions } from "./allocator.ts";
import { Changes } from "./changes.ts";
import type {
  AdoptionPlan,
  AdoptionResult,
  Departures,
  ForgetAssertion,
  ForgetResult,
  LeaveResult,
  RosterStatus,
} from "./departures.ts";
import type { FounderOptions } from "./founder.ts";
import { CONSENSUS, checkInitCount, refuseConflict } from "./init-mode.ts";
import { Ledger } from "./ledger.ts";
import { type IpAllocPorts, Life } from "./life.ts";
import { ADOPTION_DEADLINE_MS, giveUp, type MergingPorts, planAdoption } from "./merging.ts";
import { recordAt } from "./ownership.ts";
import type { Problem } from "./problem.ts";
import { rosterProblems, rosterStatus } from "./roster-status.ts";
import type { Place } from "./state.ts";
import { type IpAllocStatus, problemsOf, statusOf } from "./status.ts";

/** One address given out on this host. */
export interface LeaseInfo {
  readonly cidr: string;
  readonly ip: string;
  readonly key: string;
  /** Wall clock of the grant. */
  readonly sinceMs: number;
  /** The records say that the address is this store's; an adopted one's may be another's. */
  readonly owned: boolean;
}

export class IpAlloc implements Departures {
  readonly #ports: IpAllocPorts;
  readonly #options: FounderOptions;
  readonly #changes: Changes;
  #life: Life | undefined;
  /** Ends when the next life has begun. */
  #moving: Promise<void> = Promise.resolve();
  #stopped = false;

  /** `options.declared`: the peers named at launch, without this one. */
  constructor(ports: IpAllocPorts, options: FounderOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#changes = new Changes(ports.log);
  }

  /**
   * Reads the journal, publishes what is owned and begins to answer; founding goes on behind.
   * @throws TsweaveError STATE_CORRUPT, STATE_UNWRITABLE, CONFIG (how to found contradicts it).
   */
  async start(): Promise<void> {
    const { addressesInUse, log } = this.#ports;
    const { init = CONSENSUS, name = "", declared } = this.#options;
    checkInitCount(init, declared.length + 1);
    const ledger = await Ledger.open(this.#ports, () => this.#newStore());
    refuseConflict(init, ledger.state, name);
    if (addressesInUse !== undefined) ledger.state.running = addressesInUse;
    ledger.state.self = this.#options.self;
    log.info({ store: ledger.state.store, pools: ledger.state.pools.size }, "addresses read back");
    this.#begin(ledger);
  }

  #begin(ledger: Ledger): void {
    const life = new Life(
      this.#ports,
      {
        ...this.#options,
        changes: this.#changes,
        newStore: () => this.#newStore(),
        move: (place) => this.#move(place),
      },
      ledger,
    );
    this.#life = life;
    life.start();
  }

  /** Goes to another mesh: durable first, then the one life ends and the next begins. */
  #move(place: Place): Promise<void> {
    const before = this.#begun();
    const moving = before.ledger.moveTo(place).then((ledger) => {
      const { meshId } = place.founding;
      this.#ports.log.warn({ meshId, store: place.store }, "this host was adopted by another mesh");
      before.stop();
      if (this.#stopped) return;
      if (place.founding.seeds === undefined) this.#ports.tables.remove("founding", "seeds");
      this.#begin(ledger);
      this.#changes.ring();
    });
    this.#moving = moving.catch(() => undefined);
    return moving;
  }

  #newStore(): string {
    return Buffer.from(this.#ports.random.bytes(8)).toString("hex");
  }

  /** Stops timers and answers; waiting requests end with NOT_RUNNING. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#life?.stop();
    this.#changes.ring();
  }

  /** To be called after every change of membership. */
  membershipChanged(): void {
    if (!this.#stopped) this.#life?.membershipChanged();
  }

  /** See Departures. */
  forget(
    peers: readonly string[],
    assertion: ForgetAssertion,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<ForgetResult> {
    return this.#begun().parting.forget(peers, assertion, options.deadlineMs);
  }

  /** See Departures. */
  leave(options: { force?: boolean; deadlineMs?: number } = {}): Promise<LeaveResult> {
    const { force = false, deadlineMs = TIMES.departureDeadlineMs } = options;
    return this.#begun().parting.leave(force, deadlineMs);
  }

  /** See Departures. */
  roster(): RosterStatus {
    return rosterStatus(this.#begun().rosterParts);
  }

  /** See Departures. */
  planAdoption(peer: PeerId): AdoptionPlan {
    return planAdoption(this.#merging(), peer);
  }

  /** See Departures. */
  giveUp(peer: PeerId, options: { readonly deadlineMs?: number } = {}): Promise<AdoptionResult> {
    return giveUp(this.#merging(), peer, options.deadlineMs ?? ADOPTION_DEADLINE_MS);
  }

  #merging(): MergingPorts {
    return { ...this.#ports, self: this.#options.self, life: () => this.#begun() };
  }

  /**
   * Opens a pool; opening it again is harmless. Without `gateway` the first usable address is it.
   * @throws TsweaveError CONFIG (not a subnet, too small), POOL_CONFLICT, ADDRESS_TAKEN.
   */
  openPool(cidr: string, gateway?: string): Promise<{ cidr: string; gateway: string }> {
    return this.#do(({ pools }) => pools.open(cidr, gateway));
  }

  /** Closes a pool: nothing more is given out of it. Leases stay until released. Unknown: ok. */
  closePool(cidr: string): Promise<void> {
    return this.#do(({ pools }) => pools.close(cidr));
  }

  /** Keeps an address of the user's own from being given out on this host. */
  reserve(cidr: string, ip: string): Promise<void> {
    return this.#do(({ pools }) => pools.reserve(cidr, ip));
  }

  /**
   * An address of the pool for `leaseKey`; the same key gets the same address again.
   * @throws TsweaveError NOT_FOUND (pool not open), CONFIG, NOT_FOUNDED or NO_ADDRESS after
   * `deadlineMs` (5 s), STATE_UNWRITABLE.
   */
  allocate(cidr: string, leaseKey: string, options: AllocateOptions = {}): Promise<string> {
    return this.#do(({ allocator }) => allocator.allocate(cidr, leaseKey, options));
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
    return this.#do(({ allocator }) => allocator.claim(cidr, leaseKey, ip, deadlineMs));
  }

  /**
   * Files an address that runs on this host already, whoever owns it: it is given to nobody else
   * here. `claim` with the same key asks its owner for it.
   * @throws TsweaveError NOT_FOUND, BAD_REQUEST, ADDRESS_TAKEN (another key, reserved).
   */
  adopt(cidr: string, leaseKey: string, ip: string): Promise<void> {
    return this.#do(async ({ allocator, applicant }) => {
      await allocator.adopt(cidr, leaseKey, ip);
      applicant.consider();
    });
  }

  /** Takes an address back, a lease or a reservation; it rests 30 s. Unknown: ok. */
  release(cidr: string, ip: string): Promise<void> {
    return this.#do(({ allocator }) => allocator.release(cidr, ip));
  }

  /** Files a lease under another key. @throws TsweaveError NOT_FOUND, ADDRESS_TAKEN. */
  rekey(cidr: string, ip: string, leaseKey: string): Promise<void> {
    return this.#do(({ allocator }) => allocator.rekey(cidr, ip, leaseKey));
  }

  /** Every address given out on this host. */
  leases(): LeaseInfo[] {
    return [...this.#begun().ledger.state.pools.values()].flatMap((pool) =>
      [...pool.leases.entries()].map(([address, { key, sinceMs }]) => ({
        cidr: pool.cidr.text,
        ip: formatAddress(address, pool.cidr.bits),
        key,
        sinceMs,
        owned: pool.owns(address),
      })),
    );
  }

  /** The peer that owns an address of an open pool; undefined when the roster names none. */
  ownerOf(ip: string): PeerId | undefined {
    const { state } = this.#begun().ledger;
    const { value, bits } = parseAddress(ip);
    const pool = [...state.pools.values()].find(
      ({ open, cidr }) => open && cidr.bits === bits && value >= cidr.start && value < cidr.end,
    );
    const owner = pool === undefined ? undefined : recordAt(pool.ownership, value)?.owner;
    if (owner === state.store) return this.#options.self;
    const { members = [], former = [] } = state.roster ?? {};
    return [...members, ...former].find(({ store }) => store === owner)?.peer;
  }

  status(): IpAllocStatus {
    const { ledger, founder } = this.#begun();
    return statusOf(this.#ports, ledger, founder);
  }

  problems(): Problem[] {
    const { ledger, founder, applicant, rosterParts } = this.#begun();
    return [...problemsOf(ledger, founder, applicant), ...rosterProblems(rosterParts)];
  }

  /** Called after any change of pools, leases, ownership or founding. */
  onChange(notify: () => void): Cancel {
    return this.#changes.listen(notify);
  }

  #begun(): Life {
    if (this.#life !== undefined) return this.#life;
    throw new TsweaveError("NOT_RUNNING", "addresses are not read back yet", {
      hint: "retry in a moment",
    });
  }

  /** Runs `work`, and once more if this host went to another mesh meanwhile. */
  async #do<T>(work: (life: Life) => Promise<T>): Promise<T> {
    for (;;) {
      const life = this.#begun();
      try {
        return await work(life);
      } catch (error) {
        if (!life.ledger.closed || this.#stopped) throw error;
        await this.#moving;
        if (this.#life === life) throw error;
      }
    }
  }
}
