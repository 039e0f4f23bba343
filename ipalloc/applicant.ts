/**
 * How a store that is not in the roster gets into it: a joiner asks members; a store that was
 * removed gives itself up, begins anew and asks as the new store (R10).
 *
 * Law: who is no member owns nothing and gives out nothing. Running containers keep their
 * addresses: the leases go over to the new store, which asks for them one by one.
 */
import {
  messageOf,
  type PeerId,
  readArray,
  readString,
  TIMES,
  TsweaveError,
} from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import { ADMIT } from "./admissions.ts";
import type { Allocator } from "./allocator.ts";
import type { FounderPorts } from "./founder.ts";
import type { Ledger } from "./ledger.ts";
import type { Pool } from "./pool.ts";
import type { Problem } from "./problem.ts";
import { isLive } from "./reach.ts";
import type { Registrar } from "./registrar.ts";
import { Retry } from "./retry.ts";
import { electorsOf, type RosterEntry } from "./roster.ts";
import { decodeRoster, readPeer } from "./roster-codec.ts";

/** Members asked in one round: a round must end within seconds. */
const ASKED_PER_ROUND = 5;
/** Addresses of running containers asked for in one round; the next goes on behind them. */
const HELD_PER_ROUND = 64;

export interface ApplicantParts {
  readonly self: PeerId;
  readonly registrar: Registrar;
  readonly allocator: Allocator;
  readonly newStore: () => string;
  /** The store was exchanged: everything published has to be read again. */
  readonly reborn: () => void;
}

export class Applicant {
  /** Names what the last round failed for. */
  outcome: string | undefined;
  /** Peers whose consent the asked members lack. */
  missing: readonly PeerId[] = [];
  /** Clock of the start of the present wait. */
  sinceMs: number | undefined;
  /** This host's earlier store was removed while this daemon ran, or before. */
  returned = false;
  /**
   * `CIDR ADDRESS` of what runs here and was refused because another has it. BOUNDED: at most the
   * leases whose address another store owns.
   */
  taken: ReadonlySet<string> = new Set();
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #parts: ApplicantParts;
  readonly #admission: Retry;
  readonly #homing: Retry;
  /** The store that was found to be another peer's. */
  #refused: string | undefined;
  /** Where the next round of asking for held addresses begins. */
  #heldFrom = 0;

  constructor(ports: FounderPorts, ledger: Ledger, parts: ApplicantParts) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#parts = parts;
    this.#admission = new Retry(ports, "ipalloc-admission", () => this.#apply());
    this.#homing = new Retry(ports, "ipalloc-homing", () => this.#askForHeld());
  }

  stop(): void {
    this.#admission.stop();
    this.#homing.stop();
  }

  /** To be called when the roster, the members or the leases changed. */
  consider(): void {
    const { state } = this.#ledger;
    if (state.founding === undefined || this.#parts.registrar.leaving) return;
    this.#refuseCopy();
    if (!state.isMember) this.#admission.now();
    else {
      this.sinceMs = undefined;
      if (heldElsewhere([...state.pools.values()]).length > 0) this.#homing.now();
    }
  }

  /** A store that the roster calls another peer's is given up: see State.copiedFrom. */
  #refuseCopy(): void {
    const { state } = this.#ledger;
    const { store } = state;
    const owner = state.copiedFrom(state.roster);
    if (owner === undefined || this.#refused === store) return;
    this.#refused = store;
    this.#ledger
      .exclusive(async (commit) => {
        const { roster, retired } = state;
        if (roster === undefined || state.store !== store) return;
        if (!retired) await commit({ kind: "roster", roster, retired: true });
        this.#ledger.lost(copied(store, owner));
      })
      .catch((error: unknown) => {
        this.#refused = undefined;
        this.#ports.log.error({ err: messageOf(error), store }, "a copied journal is still in use");
      });
  }

  /** Resolves with whether this store is a member. */
  async #apply(): Promise<boolean> {
    const { state } = this.#ledger;
    if (state.isMember || this.#parts.registrar.leaving) return true;
    this.sinceMs ??= this.#ports.clock.nowMs();
    if (state.retired) {
      this.returned = true;
      const former = state.store;
      await this.#ledger.rebirth(this.#parts.newStore());
      this.#ports.log.warn({ former, store: state.store }, "removed from the roster: begins anew");
      this.#parts.reborn();
    }
    const outcomes: string[] = [];
    for (const { peer, name } of this.#sponsors()) {
      const answer = await this.#ask(peer);
      if (state.isMember) return true;
      outcomes.push(`${name} ${answer}`);
    }
    this.outcome = outcomes.length > 0 ? outcomes.join("; ") : "no member can be reached";
    return false;
  }

  async #ask(peer: PeerId): Promise<string> {
    const { founding, store } = this.#ledger.state;
    try {
      const body = [founding?.meshId ?? "", store];
      const reply = await this.#ports.rpc.call(peer, ADMIT, body, 2 * TIMES.rosterCallMs);
      const [kind, value] = readArray(reply, "admission", 2, 8);
      if (readString(kind, "admission.kind", 16) === "member") {
        await this.#parts.registrar.learn(decodeRoster(value, "admission"));
        return "knows a roster with another store";
      }
      this.missing = readArray(value, "admission.missing", 0, 64).map((one) =>
        readPeer(one, "admission.missing"),
      );
      return "cannot reach enough electors";
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Members in reach, electors first; some others too, because only they may be in reach. */
  #sponsors(): { readonly peer: PeerId; readonly name: string }[] {
    const { roster } = this.#ledger.state;
    if (roster === undefined) return [];
    const live = new Map(
      this.#ports
        .members()
        .filter(({ self, state }) => !self && isLive(state))
        .map(({ id, name }) => [id, name]),
    );
    const inReach = (entries: readonly RosterEntry[]) =>
      entries.flatMap(({ peer }) => {
        const name = live.get(peer);
        return name === undefined ? [] : [{ peer, name }];
      });
    const electors = inReach(electorsOf(roster));
    const others = inReach(roster.members.slice(electorsOf(roster).length));
    // The roster known here may be old: somebody in reach knows better.
    const anyone = [...live].map(([peer, name]) => ({ peer, name }));
    const order = new Map([...electors, ...others, ...anyone].map((one) => [one.peer, one]));
    return [...order.values()].slice(0, ASKED_PER_ROUND);
  }

  /** Asks the owners of addresses that run here for them. Resolves with whether all are own. */
  async #askForHeld(): Promise<boolean> {
    const { state } = this.#ledger;
    const held = heldElsewhere([...state.pools.values()]);
    const from = this.#heldFrom < held.length ? this.#heldFrom : 0;
    const place = (pool: Pool, ip: string) => `${pool.cidr.text} ${ip}`;
    const names = held.map(({ pool, address }) =>
      place(pool, formatAddress(address, pool.cidr.bits)),
    );
    const taken = new Set(names.filter((name) => this.taken.has(name)));
    let given = 0;
    for (const { pool, address, key } of held.slice(from, from + HELD_PER_ROUND)) {
      if (!state.isMember) return true;
      const ip = formatAddress(address, pool.cidr.bits);
      try {
        await this.#parts.allocator.claim(pool.cidr.text, key, ip, TIMES.spaceCallMs);
        given++;
        taken.delete(place(pool, ip));
      } catch (error) {
        const isTaken = error instanceof TsweaveError && error.code === "ADDRESS_TAKEN";
        if (isTaken) taken.add(place(pool, ip));
        else taken.delete(place(pool, ip));
        this.#ports.log.debug({ ip, err: messageOf(error) }, "a running address is not given");
      }
    }
    this.taken = taken;
    // Those that others have must not keep the rest waiting.
    this.#heldFrom = from + Math.min(HELD_PER_ROUND, held.length - from) - given;
    const isMore = held.length > given;
    if (isMore && given > 0) this.#homing.now();
    return !isMore;
  }
}

function copied(store: string, owner: PeerId): Problem {
  return {
    code: "STATE_COPIED",
    text: `the state directory is a copy: its store ${store} is peer ${owner.slice(0, 8)}'s`,
    next: "nothing: this peer began anew; if that peer is gone for good, 'tsweave rmpeer' it",
  };
}

/** Leases of open pools whose address another store owns. */
function heldElsewhere(pools: readonly Pool[]) {
  return pools.flatMap((pool) =>
    pool.open
      ? [...pool.leases.entries()]
          .filter(([address]) => !pool.owns(address))
          .map(([address, { key }]) => ({ pool, address, key }))
      : [],
  );
}
