/**
 * The roster: which stores belong to the mesh, as a numbered chain. Roster 0 is the founders';
 * each next one is decided once, by a majority of the electors of the one before.
 *
 * Law: a store that is not in the newest roster I know is nobody: I give it nothing, take nothing
 * from it and merge nothing it says. Adopting a roster is therefore the freeze of everybody it
 * removed, of all of them together.
 */
import { LIMITS, type PeerId } from "../mesh/index.ts";
import type { Founder, Founding } from "./founding.ts";
import type { StoreId } from "./ownership.ts";

/** A store and the peer that runs it. */
export type RosterEntry = Founder;

export const LEAVINGS = ["forgotten", "left", "replaced"] as const;
export type Leaving = (typeof LEAVINGS)[number];

/** A store that was removed, and by which roster. */
export interface Former extends RosterEntry {
  readonly how: Leaving;
  readonly number: number;
}

/** A roster decided by all who remain, because a majority of the electors was lost. */
export interface Branch {
  readonly number: number;
  /** 64 random bits: two sides that each called the other dead differ here. */
  readonly id: string;
}

export interface Roster {
  readonly number: number;
  /** In order of admission; never empty. */
  readonly members: readonly RosterEntry[];
  /** The most recently removed, the newest last; for people only. */
  readonly former: readonly Former[];
  /** The member that takes over what nobody in the roster owns. */
  readonly heir: StoreId;
  /** The last roster that removed somebody; 0 when none did. */
  readonly removedAt: number;
  readonly branches: readonly Branch[];
}

/** Members to add and stores to take out, in one step. */
export interface RosterChange {
  readonly admit: readonly RosterEntry[];
  readonly forget: ReadonlySet<StoreId>;
  readonly leave: ReadonlySet<StoreId>;
  /** A next roster is wanted also when nobody comes or goes. */
  readonly renew?: boolean;
}

/** Roster 0. */
export function firstRoster({ founders }: Founding): Roster {
  const heir = (founders[0] as RosterEntry).store;
  return { number: 0, members: founders, former: [], heir, removedAt: 0, branches: [] };
}

export function isMember(roster: Roster, store: StoreId): boolean {
  return roster.members.some((member) => member.store === store);
}

/** Who decides on the next roster: the longest admitted. */
export function electorsOf(roster: Roster): readonly RosterEntry[] {
  return roster.members.slice(0, LIMITS.electorsMax);
}

/**
 * The roster after `change`, or undefined when nothing changes or nobody would remain. A new store
 * of a peer replaces all earlier ones of that peer. With a removal the heir is chosen anew among
 * `candidates` (members that answer), so that it can act.
 */
export function nextRoster(
  roster: Roster,
  change: RosterChange,
  candidates: ReadonlySet<StoreId>,
): Roster | undefined {
  const number = roster.number + 1;
  const gone = new Set(roster.former.map(({ store }) => store));
  // Of peers that ask with one store only one has it: the other's disk is a copy.
  const admit = change.admit.filter(
    ({ store }, index) =>
      !isMember(roster, store) &&
      !gone.has(store) &&
      change.admit.findIndex((one) => one.store === store) === index,
  );
  const admitted = new Set(admit.map(({ peer }) => peer));
  const removed: Former[] = [];
  const kept: RosterEntry[] = [];
  for (const member of roster.members) {
    const how = leavingOf(member, change, admitted);
    if (how === undefined) kept.push(member);
    else removed.push({ ...member, how, number });
  }
  const members = [...kept, ...admit].slice(0, LIMITS.peersMax);
  const same = removed.length === 0 && members.length === kept.length;
  if (members.length === 0 || (same && change.renew !== true)) return undefined;
  const former = [...roster.former, ...removed].slice(-LIMITS.formerMax);
  const { heir, removedAt, branches } = roster;
  const next = { number, members, former, branches };
  if (removed.length === 0) return { ...next, heir, removedAt };
  return { ...next, heir: heirAmong(next, candidates), removedAt: number };
}

function leavingOf(
  { store, peer }: RosterEntry,
  change: RosterChange,
  admitted: ReadonlySet<PeerId>,
): Leaving | undefined {
  if (admitted.has(peer)) return "replaced";
  if (change.leave.has(store)) return "left";
  return change.forget.has(store) ? "forgotten" : undefined;
}

/** Rendezvous: the member whose store hashes highest with the number, of those that answer. */
function heirAmong(
  roster: Pick<Roster, "number" | "members">,
  candidates: ReadonlySet<StoreId>,
): StoreId {
  const present = roster.members.filter(({ store }) => candidates.has(store));
  const choice = present.length > 0 ? present : roster.members;
  return choice
    .map(({ store }) => ({ store, rank: hash(`${roster.number} ${store}`) }))
    .reduce((best, one) => (one.rank > best.rank ? one : best)).store;
}

/** FNV-1a, 32 bits: spreads heirs, protects nothing. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return value;
}

/** Whose consent makes the next roster. */
export interface Consent {
  /**
   * `majority` of the electors; or every survivor, when half or more of the electors are gone for
   * good. A survivors' decision starts a branch.
   */
  readonly by: "majority" | "survivors";
  readonly asked: readonly RosterEntry[];
  readonly needed: number;
  /** Stores that will never answer again. */
  readonly gone: ReadonlySet<StoreId>;
}

/**
 * Whose consent is needed when `gone` will never answer again. Undefined when a majority of the
 * electors is gone and nobody vouched for what they decided last (`vouched`).
 *
 * Why it is enough: two majorities share an elector. All survivors share an elector with every
 * majority that is not entirely among the gone, and a member with every other set of survivors
 * unless each side called the other dead.
 */
export function consentOf(
  roster: Roster,
  gone: ReadonlySet<StoreId>,
  vouched: boolean,
): Consent | undefined {
  const electors = electorsOf(roster);
  const asked = electors.filter(({ store }) => !gone.has(store));
  const needed = Math.floor(electors.length / 2) + 1;
  if (asked.length >= needed) return { by: "majority", asked, needed, gone };
  if (electors.length - asked.length >= needed && !vouched) return undefined;
  const survivors = roster.members.filter(({ store }) => !gone.has(store));
  return { by: "survivors", asked: survivors, needed: Math.max(1, survivors.length), gone };
}

/**
 * Which of two rosters stands: more decisions by an operator's word, then the longer chain, then
 * names. A total order in which every roster is above those it descends from.
 */
export function compareRosters(a: Roster, b: Roster): number {
  const byBranches = a.branches.length - b.branches.length;
  if (byBranches !== 0) return byBranches;
  if (a.number !== b.number) return a.number - b.number;
  const [x = "", y = ""] = [a.branches.at(-1)?.id, b.branches.at(-1)?.id];
  return x === y ? 0 : x < y ? -1 : 1;
}

/** Whether `newer` was decided by following `older`; false when an operator's word forked them. */
export function descends(newer: Roster, older: Roster): boolean {
  if (newer.number < older.number) return false;
  const shared = older.branches.every(({ id }, index) => newer.branches[index]?.id === id);
  const next = newer.branches[older.branches.length];
  return shared && (next === undefined || next.number > older.number);
}

/** Names a roster among all that can exist. */
export function rosterKey({ number, branches }: Roster): string {
  return `${number}/${branches.at(-1)?.id ?? ""}`;
}
