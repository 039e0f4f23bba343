/**
 * Keeps this store's roster the newest one, and gets the next one decided when something is wanted:
 * an admission, an operator's word, this store's own leaving.
 *
 * Law: a roster is durable before anything follows from it.
 */
import {
  type Cancel,
  LIMITS,
  messageOf,
  type PeerId,
  readArray,
  type WireValue,
} from "../mesh/index.ts";
import { Admissions } from "./admissions.ts";
import { Council } from "./council.ts";
import type { FounderPorts } from "./founder.ts";
import type { Ledger } from "./ledger.ts";
import type { StoreId } from "./ownership.ts";
import { inReach } from "./reach.ts";
import { once } from "./read-once.ts";
import { Retry } from "./retry.ts";
import {
  type Consent,
  consentOf,
  electorsOf,
  isMember,
  nextRoster,
  type Roster,
  type RosterChange,
  rosterKey,
} from "./roster.ts";
import { decodeRoster, encodeRoster, type Wish } from "./roster-codec.ts";
import { tryRead } from "./rows.ts";

const readRoster = once((body: WireValue | undefined) => decodeRoster(body, "roster"));
/** The row of the roster of a mesh. */
const rowOf = once((roster: Roster) => encodeRoster(roster));

/** Why the last attempt changed nothing. */
export interface Obstacle {
  /** Peers whose consent was lacking. */
  readonly missing: readonly PeerId[];
  /** A majority of the electors is among those called gone. */
  readonly noMajority: boolean;
}

export class Registrar {
  obstacle: Obstacle | undefined;
  /** Whether this host is about to go to another mesh; set by who knows. */
  isGivenUp: () => boolean = () => false;
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #self: PeerId;
  readonly #adopted: () => void;
  readonly #council: Council;
  readonly #retry: Retry;
  readonly #admissions: Admissions;
  /** BOUNDED: one per question or command that waits here. */
  readonly #waiting = new Set<() => void>();
  readonly #cancels: Cancel[] = [];
  /** Number of the last roster that was decided here: who decides must show it. */
  #decided = -1;
  #leaving = false;
  #stopped = false;

  constructor(ports: FounderPorts, ledger: Ledger, self: PeerId, adopted: () => void) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#self = self;
    this.#adopted = adopted;
    this.#council = new Council(ports, ledger, self);
    this.#retry = new Retry(ports, "ipalloc-roster", () => this.#attempt());
    this.#admissions = new Admissions(ports, ledger, {
      self,
      leaving: () => this.#leaving,
      isGivenUp: () => this.isGivenUp(),
      decide: () => this.#retry.now(),
      until: (done, deadlineMs) => this.until(done, deadlineMs),
      missing: () => this.obstacle?.missing ?? [],
    });
  }

  start(): void {
    this.#ledger.onRoster = () => this.#followed();
    this.#cancels.push(
      ...this.#council.serve(),
      ...this.#admissions.serve(),
      this.#ports.tables.watch("roster", () => this.consider()),
    );
    this.consider();
  }

  stop(): void {
    this.#stopped = true;
    this.#retry.stop();
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#wake();
  }

  /** Who asked here to be admitted. */
  get applicants(): Admissions["applicants"] {
    return this.#admissions.applicants;
  }

  get leaving(): boolean {
    return this.#leaving;
  }

  /** This store takes and grants nothing: it is leaving, or may have left. */
  get paused(): boolean {
    return this.#leaving || this.#ledger.state.isFrozen;
  }

  /** Looks again at rows and wishes; to be called when members, rows or wishes changed. */
  consider(): void {
    if (this.#stopped || this.#ledger.state.founding === undefined) return;
    this.#publish();
    for (const roster of this.#heard()) this.learn(roster).catch(this.#report);
    if (this.#wants()) this.#retry.now();
  }

  /** Makes a newer roster durable and follows it. Resolves with whether it was newer. */
  async learn(roster: Roster): Promise<boolean> {
    const { state } = this.#ledger;
    return await this.#ledger.exclusive(async (commit) => {
      const record = state.adoption(roster);
      if (record === undefined) return false;
      await commit(record);
      return true;
    });
  }

  #followed(): void {
    if (this.#stopped) return;
    const { state } = this.#ledger;
    this.#admissions.drop();
    const number = state.roster?.number ?? 0;
    this.#ports.log.info({ number, member: state.isMember }, "roster");
    this.#publish();
    this.#wake();
    this.#adopted();
    if (this.#wants()) this.#retry.now();
  }

  /** Makes an operator's word durable and begins to carry it out. */
  async wish(wishes: readonly Wish[]): Promise<void> {
    const { state } = this.#ledger;
    await this.#ledger.exclusive(async (commit) => {
      const named = new Set(wishes.map(({ store }) => store));
      const kept = state.wishes.filter(({ store }) => !named.has(store));
      const all = [...kept, ...wishes].slice(-LIMITS.wishesMax);
      await commit({ kind: "wishes", wishes: all });
    });
    this.#retry.now();
  }

  /** Asks to be taken out of the roster, or no longer. */
  leave(leaving: boolean): void {
    this.#leaving = leaving;
    if (this.#wants()) this.#retry.now();
  }

  /**
   * Resolves with true when `done` holds, with false at the deadline or when this stops. Looks when
   * something happens to the roster, and after each `lookMs`.
   */
  async until(done: () => boolean, deadlineMs: number, lookMs = deadlineMs): Promise<boolean> {
    const { clock } = this.#ports;
    const endMs = clock.nowMs() + deadlineMs;
    while (!done() && !this.#stopped && clock.nowMs() < endMs) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          cancel();
          this.#waiting.delete(finish);
          resolve();
        };
        const leftMs = Math.min(lookMs, endMs - clock.nowMs());
        const cancel = clock.timer("ipalloc-roster-wait", leftMs, finish);
        this.#waiting.add(finish);
      });
    }
    return done();
  }

  #wake(): void {
    for (const finish of [...this.#waiting]) finish();
  }

  #report = (error: unknown): void => {
    this.#ports.log.error({ err: messageOf(error) }, "the roster could not be kept");
  };

  #wants(): boolean {
    const { isMember: member, isFrozen, wishes } = this.#ledger.state;
    if (!member) return false;
    return wishes.length > 0 || this.applicants.size > 0 || this.#leaving || isFrozen;
  }

  #publish(): void {
    const { founding, roster, store, isMember: member } = this.#ledger.state;
    if (founding === undefined || roster === undefined) return;
    const elector = member && electorsOf(roster).some((one) => one.store === store);
    const decided = member && roster.number === this.#decided;
    // Who was taken out by it shows it, too, if nobody else does: the members may not know it.
    const shown = elector || decided || !this.#isShown(roster);
    if (shown && roster.number > 0) {
      this.#ports.tables.put("roster", "mesh", [founding.meshId, rowOf(roster)]);
    } else this.#ports.tables.remove("roster", "mesh");
  }

  /**
   * Whether a live peer's row shows it: else it would be lost with those that do. Of those who
   * need not show it the one with the smallest id does, or two could give way to each other.
   */
  #isShown(roster: Roster): boolean {
    const live = inReach(this.#ports.members());
    const key = rosterKey(roster);
    const electors = new Set(electorsOf(roster).map(({ peer }) => peer));
    return this.#rows().some(
      ({ origin, roster: shown }) =>
        live.has(origin) &&
        (electors.has(origin) || origin < this.#self) &&
        rosterKey(shown) === key,
    );
  }

  /** Rosters of other peers' rows that are newer than the known one. */
  #heard(): Roster[] {
    const { state } = this.#ledger;
    const rosters = this.#rows().map(({ roster }) => roster);
    return rosters.filter((roster) => state.adoption(roster) !== undefined);
  }

  #rows(): { readonly origin: PeerId; readonly roster: Roster }[] {
    const { tables, log } = this.#ports;
    const { founding } = this.#ledger.state;
    return tables.rows("roster").flatMap((row) => {
      if (row.origin === this.#self) return [];
      const roster = tryRead(row, log, (value) => {
        const [mesh, body] = readArray(value, "roster", 2, 8);
        return mesh === founding?.meshId ? readRoster(body) : undefined;
      });
      return roster === undefined ? [] : [{ origin: row.origin, roster }];
    });
  }

  /** Resolves with whether nothing more is wanted. */
  async #attempt(): Promise<boolean> {
    const { state } = this.#ledger;
    if (!this.#wants()) return true;
    await this.#admissions.verify();
    await this.#dropDisproved();
    const base = state.roster;
    if (base === undefined || !this.#wants()) return true;
    const plan = this.#plan(base);
    if (plan === undefined) return false;
    if (!(await this.#mayPropose(base, plan.next))) return false;
    const outcome = await this.#council.attempt(base, plan.next, plan.consent);
    if (this.#stopped) return true;
    if (outcome.type === "undecided") {
      this.obstacle = { missing: outcome.missing, noMajority: false };
      this.#wake();
      return false;
    }
    this.obstacle = undefined;
    if (outcome.type === "decided") this.#decided = outcome.roster.number;
    await this.learn(outcome.roster);
    return !this.#wants();
  }

  /**
   * Who proposes a roster without itself grants nothing from then on, also after a restart, until
   * the next roster is decided: others may carry the proposal through at any time (R3).
   */
  async #mayPropose(base: Roster, next: Roster): Promise<boolean> {
    const { state } = this.#ledger;
    if (isMember(next, state.store)) return true;
    return await this.#ledger.exclusive(async (commit) => {
      if (!this.#leaving) return false;
      if (!state.isFrozen) await commit({ kind: "leaving", base: rosterKey(base) });
      return true;
    });
  }

  /** What to propose after `base` and whose consent it needs. */
  #plan(base: Roster): { readonly next: Roster; readonly consent: Consent } | undefined {
    const { isFrozen, wishes, store } = this.#ledger.state;
    const change: RosterChange = {
      admit: [...this.applicants].map(([peer, one]) => ({ peer, store: one.store })),
      forget: new Set(wishes.map((wish) => wish.store).filter((one) => one !== store)),
      leave: new Set(this.#leaving ? [store] : []),
      renew: isFrozen,
    };
    const vouched = wishes.some(({ assertion }) => assertion === "gone-for-good-with-majority");
    const full = this.#planOf(base, change, vouched);
    if (full !== undefined) return full;
    // What the words given cannot carry must not keep others out.
    const rest = this.#planOf(base, { ...change, forget: new Set() }, false);
    if (rest === undefined) this.obstacle = { missing: [], noMajority: true };
    return rest;
  }

  #planOf(base: Roster, change: RosterChange, vouched: boolean) {
    const peers = new Set(change.admit.map(({ peer }) => peer));
    const replaced = base.members.filter(({ peer }) => peers.has(peer)).map(({ store }) => store);
    const gone = new Set([...change.forget, ...replaced]);
    const consent = consentOf(base, gone, vouched);
    const next = nextRoster(base, change, this.present());
    if (consent === undefined || next === undefined) return undefined;
    if (consent.by === "majority") return { next, consent };
    if (base.branches.length >= LIMITS.branchesMax) return undefined;
    const id = Buffer.from(this.#ports.random.bytes(8)).toString("hex");
    return {
      next: { ...next, branches: [...base.branches, { number: next.number, id }] },
      consent,
    };
  }

  /**
   * Stores of members that answer: a peer that asks as a new store has lost its old one, and one
   * that shows another mesh has given it up.
   */
  present(): ReadonlySet<StoreId> {
    const live = inReach(this.#ports.members());
    const { roster } = this.#ledger.state;
    const absent = new Set([...this.applicants.keys(), ...this.#admissions.elsewhere()]);
    const here = (roster?.members ?? []).filter(({ peer }) => live.has(peer) && !absent.has(peer));
    return new Set(here.map(({ store }) => store));
  }

  /** Who is seen alive is not gone: the word about it is dropped. */
  async #dropDisproved(): Promise<void> {
    const { state } = this.#ledger;
    const present = this.present();
    const wrong = state.wishes.filter(({ store }) => present.has(store));
    if (wrong.length === 0) return;
    const wishes = state.wishes.filter(({ store }) => !present.has(store));
    await this.#ledger.exclusive((commit) => commit({ kind: "wishes", wishes }));
    this.#ports.log.warn({ stores: wrong.map(({ store }) => store) }, "alive, so not forgotten");
    this.#wake();
  }
}
