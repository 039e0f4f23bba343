/**
 * What people and commands see of the roster: who belongs, what is under way and what it waits for,
 * and the words by which an operator removes a peer.
 *
 * Law: nothing here decides. A removal is decided by the roster's electors (`council.ts`), space
 * moves only when every remaining member has answered (`heir.ts`).
 */
import type { PeerId } from "../mesh/index.ts";
import type { StoreId } from "./ownership.ts";

/**
 * What the operator asserts by forgetting peers.
 *
 * - `gone-for-good`: the named peers run no daemon and no container of the mesh any more and will
 *   not come back with their present state. A majority of the electors decides.
 * - `gone-for-good-with-majority`: the same, and that so many electors are among them that the rest
 *   is no majority. The operator also asserts that nobody joined or was removed through them that
 *   the remaining members have not heard of, and that nobody says the same of this side elsewhere.
 *   It needs the consent of every remaining member instead of a majority.
 */
export type ForgetAssertion = "gone-for-good" | "gone-for-good-with-majority";

/** Whom something waits for and why, in words. */
export interface Wait {
  readonly what: "found" | "admit" | "forget" | "reclaim" | "leave" | "adopt";
  /** Names of the peers it is about; of `reclaim` those whose space is to be taken over. */
  readonly about: readonly string[];
  /** Names of the peers that must answer first; empty when only time is needed. */
  readonly waitingFor: readonly string[];
  /** How long it has waited. */
  readonly ageMs: number;
  readonly text: string;
}

export interface RosterMember {
  readonly peer: PeerId;
  /** The peer's name, or the first digits of its id when it is not known here. */
  readonly name: string;
  readonly store: StoreId;
  /** One of the at most five longest admitted, who decide on changes of the roster. */
  readonly elector: boolean;
  readonly reachable: boolean;
  readonly self: boolean;
}

/** A store that may no longer own anything. */
export interface FormerMember {
  readonly peer: PeerId;
  readonly name: string;
  readonly store: StoreId;
  readonly how: "forgotten" | "left" | "replaced";
  /** The roster that removed it. */
  readonly number: number;
}

export interface RosterStatus {
  /** 0 is the founders' roster; null before the founding is known. */
  readonly number: number | null;
  /**
   * `member`; `joining` (waits for admission); `returned` (a former store of this host was removed:
   * its running containers keep their addresses, a new store waits for admission); `leaving`.
   */
  readonly self: "unfounded" | "joining" | "member" | "returned" | "leaving";
  readonly members: readonly RosterMember[];
  readonly former: readonly FormerMember[];
  /** The member that takes over what former members owned. */
  readonly heir: string | null;
  /** Everything that is not finished, the oldest first. */
  readonly waits: readonly Wait[];
}

export interface ForgetResult {
  /**
   * `done`: removed, their space is the heir's. `reclaiming`: removed, the space follows when the
   * peers in `waitingFor` have answered. `pending`: not decided yet, it is tried on, also after a
   * restart of this daemon.
   */
  readonly state: "done" | "reclaiming" | "pending";
  /** Names of the peers it is about. */
  readonly peers: readonly string[];
  readonly heir: string | null;
  readonly waitingFor: readonly string[];
  readonly text: string;
}

export interface LeaveResult {
  /** `left`: out of the roster; `alone`: the only member; `forced`: without the others' word. */
  readonly state: "left" | "alone" | "forced";
  /** Name of the peer that was given the space; null when there was none. */
  readonly heir: string | null;
  /** Addresses handed on. */
  readonly addresses: number;
  readonly text: string;
}

/** What giving this host's mesh up to another one means. */
export interface AdoptionPlan {
  /** The mesh that is given up, and the one that adopts it. */
  readonly mesh: string;
  readonly into: string;
  /** Names of the peers in reach of the mesh that adopts. */
  readonly adopters: readonly string[];
  /** Names of the peers that go there, this one included. */
  readonly peers: readonly string[];
  /** Names of those that cannot be reached and follow when they are back. */
  readonly absent: readonly string[];
  /** Addresses in use on all of them. */
  readonly addresses: number;
}

export interface AdoptionResult extends AdoptionPlan {
  /** `done`: all in reach belong to the other mesh. `pending`: it goes on by itself. */
  readonly state: "done" | "pending";
  /** Names of the peers in reach that have not gone yet. */
  readonly waitingFor: readonly string[];
  readonly text: string;
}

/** What `IpAlloc` offers to the commands `rmpeer`, `leave`, `reset` and `status`. */
export interface Departures {
  /**
   * Removes peers for good by the operator's word; they may be given by id only (names are in
   * `roster()`). Repeating it is harmless, from any member and from several at once.
   * @throws TsweaveError NOT_FOUND (not in the roster), BAD_REQUEST (this peer, or alive: it should
   * leave itself), NO_MAJORITY (the hint says what the stronger word asserts), NOT_FOUNDED.
   */
  forget(
    peers: readonly PeerId[],
    assertion: ForgetAssertion,
    options?: { readonly deadlineMs?: number },
  ): Promise<ForgetResult>;

  /**
   * Hands all space on and leaves the roster; afterwards the state may be deleted. `force` goes on
   * when containers still hold addresses or nobody can be reached; the space then waits for
   * somebody's `forget`.
   * @throws TsweaveError BAD_REQUEST (addresses in use), PEER_UNREACHABLE, TIMED_OUT.
   */
  leave(options?: { readonly force?: boolean; readonly deadlineMs?: number }): Promise<LeaveResult>;

  roster(): RosterStatus;

  /**
   * What `giveUp` would do. @throws TsweaveError PEER_UNREACHABLE, NOT_FOUNDED, BAD_REQUEST (the
   * same mesh, or one that is given up itself), POOL_CONFLICT.
   */
  planAdoption(peer: PeerId): AdoptionPlan;

  /**
   * Gives this host's mesh up: this host and every other peer of it become members of the mesh of
   * `peer`, with the addresses that run there. @throws as planAdoption, STATE_UNWRITABLE.
   */
  giveUp(peer: PeerId, options?: { readonly deadlineMs?: number }): Promise<AdoptionResult>;
}

/**
 * Addresses that endpoint rows of any peer name in a pool, dead peers' rows and this peer's own
 * included, and which peer runs them. Asked on every allocation: an index kept up to date, not a
 * scan. This peer's own entries must be complete before `start()`.
 */
export type AddressesInUse = (cidr: string) => ReadonlyMap<bigint, PeerId>;
