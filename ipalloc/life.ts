/**
 * One store's life in one mesh: everything that acts for it, built over its ledger, started and
 * stopped as a whole. A host that goes to another mesh ends one life and begins another.
 *
 * Law: what belongs to a life ends with it: its timers, its answers to others, its watchers.
 */
import { type Cancel, type PeerId, type Store, TIMES } from "../mesh/index.ts";
import { Adoption } from "./adoption.ts";
import { Allocator } from "./allocator.ts";
import { Applicant } from "./applicant.ts";
import type { Changes } from "./changes.ts";
import type { AddressesInUse } from "./departures.ts";
import { DroppedRows } from "./dropped-rows.ts";
import { Founder, type FounderOptions, type FounderPorts } from "./founder.ts";
import { Heir } from "./heir.ts";
import { Housekeeper } from "./housekeeper.ts";
import { Intake } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { Parting } from "./parting.ts";
import type { Pool } from "./pool.ts";
import { Pools } from "./pools.ts";
import { Registrar } from "./registrar.ts";
import { nameIn, type RosterParts } from "./roster-status.ts";
import { publish } from "./rows.ts";
import { Seeker } from "./seeker.ts";
import { SpaceGiver } from "./space.ts";
import type { Place } from "./state.ts";

export interface IpAllocPorts extends FounderPorts {
  readonly store: Store;
  /** Keeps addresses of running containers from being given out, whoever owns them (R8). */
  readonly addressesInUse?: AddressesInUse;
}

export interface LifeOptions extends FounderOptions {
  readonly changes: Changes;
  readonly newStore: () => string;
  /** Ends this life and begins the next at the place. */
  readonly move: (place: Place) => Promise<void>;
}

export class Life {
  readonly ledger: Ledger;
  readonly founder: Founder;
  readonly allocator: Allocator;
  readonly pools: Pools;
  readonly parting: Parting;
  readonly adoption: Adoption;
  readonly applicant: Applicant;
  readonly registrar: Registrar;
  readonly #ports: IpAllocPorts;
  readonly #options: LifeOptions;
  readonly #seeker: Seeker;
  readonly #giver: SpaceGiver;
  readonly #heir: Heir;
  readonly #intake: Intake;
  readonly #housekeeper: Housekeeper;
  readonly #cancels: Cancel[] = [];
  #cancelUse: Cancel | undefined;
  #started = false;
  #stopped = false;

  constructor(ports: IpAllocPorts, options: LifeOptions, ledger: Ledger) {
    const { self, changes, newStore, move } = options;
    const changed = () => this.changed();
    this.#ports = ports;
    this.#options = options;
    this.ledger = ledger;
    this.founder = new Founder(ports, options, ledger, () => this.#founded());
    const registrar = new Registrar(ports, ledger, self, () => this.#rosterChanged());
    this.registrar = registrar;
    const isPaused = () => registrar.paused;
    this.#seeker = new Seeker(ports, ledger, changed, isPaused);
    const dropped = new DroppedRows(ports);
    this.#giver = new SpaceGiver(ports, ledger, { dropped, changed });
    this.allocator = new Allocator(ports, ledger, {
      founder: this.founder,
      seeker: this.#seeker,
      changes,
      dropped,
      closed: () => this.#stopped,
      barred: () => this.#barred(),
    });
    this.pools = new Pools(ledger, { allocator: this.allocator, seeker: this.#seeker, changed });
    this.#heir = new Heir(ports, ledger, self, changed);
    this.applicant = new Applicant(ports, ledger, {
      self,
      registrar,
      allocator: this.allocator,
      newStore,
      reborn: () => this.#rosterChanged(),
    });
    const nameOf = (peer: PeerId) => nameIn(ports.members(), peer, ledger.state.founding);
    this.parting = new Parting(ports, ledger, { registrar, heir: this.#heir, nameOf, changed });
    this.adoption = new Adoption(ports, ledger, { self, registrar, newStore, move });
    registrar.isGivenUp = () => this.adoption.destination !== undefined;
    this.#intake = new Intake(ports, ledger, self, changed);
    this.#housekeeper = new Housekeeper(ports, ledger, changed, isPaused);
  }

  /** What people are shown of the roster comes from these. */
  get rosterParts(): RosterParts {
    const { founder, ledger, registrar, applicant, adoption } = this;
    const { clock, members } = this.#ports;
    return { founder, ledger, registrar, applicant, adoption, heir: this.#heir, clock, members };
  }

  /** Publishes what is owned and begins to answer; founding goes on behind. */
  start(): void {
    const { tables } = this.#ports;
    this.#started = true;
    this.#cancels.push(
      ...this.#giver.serve(),
      ...this.#heir.serve(),
      ...this.parting.serve(),
      tables.watch("ranges", (changes) => this.#intake.receive(changes)),
      this.#options.changes.listen(() => this.#useChanged()),
    );
    this.registrar.start();
    this.founder.start();
    this.#cancels.push(...this.adoption.start());
    this.#intake.receive(tables.rows("ranges"));
    this.changed();
    this.applicant.consider();
  }

  /** Stops timers and answers; waiting requests end with NOT_RUNNING. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#cancelUse?.();
    this.founder.stop();
    this.#seeker.stop();
    this.#housekeeper.stop();
    this.registrar.stop();
    this.applicant.stop();
    this.adoption.stop();
    this.#heir.stop();
    this.#options.changes.ring();
  }

  /** To be called after every change of membership. */
  membershipChanged(): void {
    if (!this.#acts) return;
    this.founder.consider();
    this.registrar.consider();
    this.applicant.consider();
    this.adoption.consider();
    this.#heir.consider();
    this.#seeker.consider();
  }

  /** Ownership or pools changed: publish, ask if low, tell. */
  changed(): void {
    if (!this.#acts) return;
    const { state } = this.ledger;
    for (const pool of state.pools.values()) this.#publish(pool);
    this.#heir.consider();
    this.#seeker.consider();
    this.#housekeeper.consider();
    this.#options.changes.ring();
  }

  get #acts(): boolean {
    return this.#started && !this.#stopped;
  }

  /** Why this store may grant nothing now (R3). */
  #barred(): string | undefined {
    const { registrar, applicant, ledger } = this;
    if (registrar.paused) return "this peer is leaving";
    if (ledger.state.founding === undefined || ledger.state.isMember) return undefined;
    const was = ledger.state.retired || applicant.returned ? "was removed from the roster and" : "";
    const why = applicant.outcome === undefined ? "" : ` (${applicant.outcome})`;
    return `this peer ${was} waits to be admitted${why}`.replace("  ", " ");
  }

  #founded(): void {
    if (this.#acts) this.registrar.consider();
    this.#rosterChanged();
  }

  /** Who belongs to the mesh changed: every row is judged anew. */
  #rosterChanged(): void {
    if (!this.#acts) return;
    this.#intake.receive(this.#ports.tables.rows("ranges"));
    this.applicant.consider();
    this.changed();
  }

  #publish(pool: Pool): void {
    publish(this.#ports.tables, this.ledger.state, pool, this.#intake.witness);
  }

  /** Use counts follow within useCountMs. */
  #useChanged(): void {
    if (this.#stopped || this.#cancelUse !== undefined) return;
    this.#cancelUse = this.#ports.clock.timer("ipalloc-use", TIMES.useCountMs, () => {
      this.#cancelUse = undefined;
      if (this.#stopped) return;
      const { state } = this.ledger;
      for (const pool of state.pools.values()) this.#publish(pool);
      this.#seeker.consider();
    });
  }
}
