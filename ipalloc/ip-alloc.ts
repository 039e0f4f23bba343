/**
 * Addresses of this host: the shell that ties founding, pools, space and leases to the ports.
 *
 * Law: everything is read back from the journal before anything is served, and what peers publish
 * is merged through the journal too, so memory never knows more than the disk.
 */
import { type Cancel, type Store, TIMES, TsweaveError } from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import { type AllocateOptions, Allocator } from "./allocator.ts";
import { Applicant } from "./applicant.ts";
import { Changes } from "./changes.ts";
import { addressWithin, type Cidr, parseCidr } from "./cidr.ts";
import type {
  AddressesInUse,
  Departures,
  ForgetAssertion,
  ForgetResult,
  LeaveResult,
  RosterStatus,
} from "./departures.ts";
import { Founder, type FounderOptions, type FounderPorts } from "./founder.ts";
import { Heir } from "./heir.ts";
import { Housekeeper } from "./housekeeper.ts";
import { CONSENSUS, checkInitCount, refuseConflict } from "./init-mode.ts";
import { Intake } from "./intake.ts";
import { Ledger } from "./ledger.ts";
import { Parting } from "./parting.ts";
import type { Pool } from "./pool.ts";
import type { Problem } from "./problem.ts";
import { Registrar } from "./registrar.ts";
import { nameIn, type RosterParts, rosterProblems, rosterStatus } from "./roster-status.ts";
import { publish } from "./rows.ts";
import { Seeker } from "./seeker.ts";
import { SpaceGiver } from "./space.ts";
import { type IpAllocStatus, problemsOf, statusOf } from "./status.ts";

export interface IpAllocPorts extends FounderPorts {
  readonly store: Store;
  /** Keeps addresses of running containers from being given out, whoever owns them (R8). */
  readonly addressesInUse?: AddressesInUse;
}

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

/** What exists once the journal has been read. */
interface Parts {
  readonly ledger: Ledger;
  readonly founder: Founder;
  readonly seeker: Seeker;
  readonly giver: SpaceGiver;
  readonly allocator: Allocator;
  readonly registrar: Registrar;
  readonly applicant: Applicant;
  readonly heir: Heir;
  readonly parting: Parting;
  readonly intake: Intake;
  readonly housekeeper: Housekeeper;
}

export class IpAlloc implements Departures {
  readonly #ports: IpAllocPorts;
  readonly #options: FounderOptions;
  readonly #changes: Changes;
  readonly #cancels: Cancel[] = [];
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
   * @throws TsweaveError STATE_CORRUPT, STATE_UNWRITABLE, CONFIG (how to found contradicts it).
   */
  async start(): Promise<void> {
    const { tables, log } = this.#ports;
    const { init = CONSENSUS, name = "", declared } = this.#options;
    checkInitCount(init, declared.length + 1);
    const ledger = await Ledger.open(this.#ports, () => this.#newStore());
    refuseConflict(init, ledger.state, name);
    const { addressesInUse } = this.#ports;
    if (addressesInUse !== undefined) ledger.state.running = addressesInUse;
    const parts = this.#build(ledger);
    this.#parts = parts;
    log.info({ store: ledger.state.store, pools: ledger.state.pools.size }, "addresses read back");
    this.#cancels.push(
      ...parts.giver.serve(),
      ...parts.heir.serve(),
      ...parts.parting.serve(),
      tables.watch("ranges", (changes) => parts.intake.receive(changes)),
      this.#changes.listen(() => this.#useChanged()),
    );
    parts.registrar.start();
    parts.founder.start();
    parts.intake.receive(tables.rows("ranges"));
    this.#changed();
    parts.applicant.consider();
  }

  #build(ledger: Ledger): Parts {
    const ports = this.#ports;
    const changed = () => this.#changed();
    const { self } = this.#options;
    const founder = new Founder(ports, this.#options, ledger, () => this.#founded());
    const registrar = new Registrar(ports, ledger, self, () => this.#rosterChanged());
    const seeker = new Seeker(ports, ledger, changed, () => registrar.paused);
    const giver = new SpaceGiver(ports, ledger, changed);
    const allocator = new Allocator(ports, ledger, {
      founder,
      seeker,
      changes: this.#changes,
      closed: () => this.#stopped,
      barred: () => this.#barred(),
    });
    const heir = new Heir(ports, ledger, self, changed);
    const applicant = new Applicant(ports, ledger, {
      registrar,
      allocator,
      newStore: () => this.#newStore(),
      reborn: () => this.#rosterChanged(),
    });
    const nameOf = (peer: string) => nameIn(ports.members(), peer, ledger.state.founding);
    const parting = new Parting(ports, ledger, { registrar, heir, nameOf, changed });
    const intake = new Intake(ports, ledger, self, changed);
    const housekeeper = new Housekeeper(ports, ledger, changed, () => registrar.paused);
    return {
      ledger,
      founder,
      seeker,
      giver,
      allocator,
      registrar,
      applicant,
      heir,
      parting,
      intake,
      housekeeper,
    };
  }

  #newStore(): string {
    return Buffer.from(this.#ports.random.bytes(8)).toString("hex");
  }

  /** Stops timers and answers; waiting requests end with NOT_RUNNING. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#cancelUse?.();
    this.#parts?.founder.stop();
    this.#parts?.seeker.stop();
    this.#parts?.housekeeper.stop();
    this.#parts?.registrar.stop();
    this.#parts?.applicant.stop();
    this.#parts?.heir.stop();
    this.#changes.ring();
  }

  /** To be called after every change of membership. */
  membershipChanged(): void {
    if (this.#parts === undefined || this.#stopped) return;
    this.#parts.founder.consider();
    this.#parts.registrar.consider();
    this.#parts.applicant.consider();
    this.#parts.heir.consider();
    this.#parts.seeker.consider();
  }

  /** See Departures. */
  forget(
    peers: readonly string[],
    assertion: ForgetAssertion,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<ForgetResult> {
    return this.#started().parting.forget(peers, assertion, options.deadlineMs);
  }

  /** See Departures. */
  leave(options: { force?: boolean; deadlineMs?: number } = {}): Promise<LeaveResult> {
    const { force = false, deadlineMs = TIMES.departureDeadlineMs } = options;
    return this.#started().parting.leave(force, deadlineMs);
  }

  /** See Departures. */
  roster(): RosterStatus {
    return rosterStatus(this.#rosterParts());
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

  /**
   * Files an address that runs on this host already, whoever owns it: it is given to nobody else
   * here. `claim` with the same key asks its owner for it.
   * @throws TsweaveError NOT_FOUND, BAD_REQUEST, ADDRESS_TAKEN (another key, reserved).
   */
  async adopt(cidr: string, leaseKey: string, ip: string): Promise<void> {
    const { allocator, applicant } = this.#started();
    await allocator.adopt(cidr, leaseKey, ip);
    applicant.consider();
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
    return [...this.#started().ledger.state.pools.values()].flatMap((pool) =>
      [...pool.leases.entries()].map(([address, { key, sinceMs }]) => ({
        cidr: pool.cidr.text,
        ip: formatAddress(address, pool.cidr.bits),
        key,
        sinceMs,
        owned: pool.owns(address),
      })),
    );
  }

  status(): IpAllocStatus {
    const { ledger, founder } = this.#started();
    return statusOf(this.#ports, ledger, founder);
  }

  problems(): Problem[] {
    const { ledger, founder } = this.#started();
    return [...problemsOf(ledger, founder), ...rosterProblems(this.#rosterParts())];
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

  #rosterParts(): RosterParts {
    const { clock, members } = this.#ports;
    return { ...this.#started(), clock, members };
  }

  /** Why this store may grant nothing now (R3). */
  #barred(): string | undefined {
    const { registrar, applicant, ledger } = this.#started();
    if (registrar.paused) return "this peer is leaving";
    if (ledger.state.founding === undefined || ledger.state.isMember) return undefined;
    const was = ledger.state.retired || applicant.returned ? "was removed from the roster and" : "";
    const why = applicant.outcome === undefined ? "" : ` (${applicant.outcome})`;
    return `this peer ${was} waits to be admitted${why}`.replace("  ", " ");
  }

  #founded(): void {
    this.#parts?.registrar.consider();
    this.#rosterChanged();
  }

  /** Who belongs to the mesh changed: every row is judged anew. */
  #rosterChanged(): void {
    if (this.#parts === undefined || this.#stopped) return;
    this.#parts.intake.receive(this.#ports.tables.rows("ranges"));
    this.#parts.applicant.consider();
    this.#changed();
  }

  /** Ownership or pools changed: publish, ask if low, tell. */
  #changed(): void {
    if (this.#parts === undefined || this.#stopped) return;
    const { ledger, seeker, heir, housekeeper } = this.#parts;
    for (const pool of ledger.state.pools.values()) {
      publish(this.#ports.tables, ledger.state, pool);
    }
    heir.consider();
    seeker.consider();
    housekeeper.consider();
    this.#changes.ring();
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
