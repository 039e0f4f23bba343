/** What people see of the roster: a pure read. */

import type { Clock, Member, PeerId } from "../mesh/index.ts";
import type { Adoption } from "./adoption.ts";
import type { Applicant } from "./applicant.ts";
import type { RosterStatus, Wait } from "./departures.ts";
import type { Founder } from "./founder.ts";
import type { Founding } from "./founding.ts";
import type { Heir } from "./heir.ts";
import type { Ledger } from "./ledger.ts";
import { stampMs } from "./ledger.ts";
import type { Problem } from "./problem.ts";
import { inReach } from "./reach.ts";
import type { Registrar } from "./registrar.ts";
import { electorsOf } from "./roster.ts";
import { unboundSeed } from "./seeds.ts";

export interface RosterParts {
  readonly founder: Founder;
  readonly ledger: Ledger;
  readonly registrar: Registrar;
  readonly applicant: Applicant;
  readonly adoption: Adoption;
  readonly heir: Heir;
  readonly clock: Clock;
  readonly members: () => readonly Member[];
}

/** A peer's name, that of a seed which never came, or the beginning of its id. */
export function nameIn(members: readonly Member[], peer: PeerId, founding?: Founding): string {
  const seen = members.find(({ id }) => id === peer)?.name;
  const seed = founding === undefined ? undefined : unboundSeed(founding, peer);
  return seen ?? seed ?? `peer ${peer.slice(0, 8)}`;
}

/** See Departures.roster. */
export function rosterStatus(parts: RosterParts): RosterStatus {
  const { roster, store, founding } = parts.ledger.state;
  const seen = parts.members();
  const live = inReach(seen);
  const electors = new Set(roster === undefined ? [] : electorsOf(roster).map((one) => one.store));
  const name = (peer: PeerId) => nameIn(seen, peer, founding);
  const heir = roster?.members.find((member) => member.store === roster.heir);
  return {
    number: roster?.number ?? null,
    self: standingOf(parts),
    members: (roster?.members ?? []).map((member) => ({
      ...member,
      name: name(member.peer),
      elector: electors.has(member.store),
      reachable: live.has(member.peer),
      self: member.store === store,
    })),
    former: (roster?.former ?? []).map((one) => ({ ...one, name: name(one.peer) })),
    heir: heir === undefined ? null : name(heir.peer),
    waits: waitsOf(parts),
  };
}

const CODES: Partial<Record<Wait["what"], string>> = {
  admit: "NOT_ADMITTED",
  adopt: "ADOPTION_PENDING",
};

/** What is wrong with this store's place in the roster, and what to do. */
export function rosterProblems(parts: RosterParts): Problem[] {
  // What the founding waits for is a problem by itself.
  const waits = waitsOf(parts).filter(({ what }) => what !== "found");
  return waits.map(({ what, text }) => ({
    code: CODES[what] ?? "ROSTER_PENDING",
    text,
    next: "start the named peers; if one is gone for good, 'tsweave rmpeer' it",
  }));
}

function standingOf({ ledger, registrar, applicant }: RosterParts): RosterStatus["self"] {
  const { roster, isMember } = ledger.state;
  if (registrar.paused) return "leaving";
  if (roster === undefined) return "unfounded";
  if (isMember) return "member";
  return applicant.returned || ledger.state.retired ? "returned" : "joining";
}

function waitsOf(parts: RosterParts): Wait[] {
  const { ledger, registrar, clock } = parts;
  const seen = parts.members();
  const name = (peer: PeerId) => nameIn(seen, peer, ledger.state.founding);
  const nowMs = clock.nowMs();
  const lacking = (registrar.obstacle?.missing ?? []).map(name);
  const waits: Wait[] = [
    ...foundingWait(parts, nowMs),
    ...ownWait(parts, name, nowMs),
    ...adoptionWait(parts, name, nowMs),
    ...heirWait(parts, name, nowMs),
  ];
  const peerOf = new Map(ledger.state.roster?.members.map((one) => [one.store, one.peer]));
  for (const { store, sinceMs } of ledger.state.wishes) {
    const about = [name(peerOf.get(store) ?? store)];
    const why = registrar.obstacle?.noMajority
      ? "a majority of the electors is called gone; repeat it with --majority-lost"
      : `waits for ${lacking.length > 0 ? lacking.join(", ") : "the decision"}`;
    const text = `${about.join(", ")} is to be forgotten: ${why}`;
    const ageMs = Math.max(0, stampMs(clock) - sinceMs);
    waits.push({ what: "forget", about, waitingFor: lacking, ageMs, text });
  }
  for (const [peer, { sinceMs }] of registrar.applicants) {
    const about = [name(peer)];
    const why = registrar.obstacle?.noMajority
      ? lostMajority(parts, name)
      : `waits for ${lacking.join(", ") || "a vote"}`;
    const text = `${about.join()} asks to be admitted: ${why}`;
    waits.push({ what: "admit", about, waitingFor: lacking, ageMs: nowMs - sinceMs, text });
  }
  return waits.sort((a, b) => b.ageMs - a.ageMs);
}

/** Most of those who decide have begun anew: who is left cannot know what they decided last. */
function lostMajority({ ledger, registrar }: RosterParts, name: (peer: PeerId) => string): string {
  const { roster } = ledger.state;
  const lost = (roster === undefined ? [] : electorsOf(roster))
    .filter(({ peer }) => registrar.applicants.has(peer))
    .map(({ peer }) => name(peer));
  const word = `tsweave rmpeer --majority-lost ${lost.join(" ")}`;
  const what = `most electors have lost their state (${lost.join(", ")})`;
  return `${what}; if nobody joined unseen: ${word}`;
}

/** For whom the founding waits. */
function foundingWait({ founder }: RosterParts, nowMs: number): Wait[] {
  const text = founder.waiting();
  if (text === undefined) return [];
  const { missing, sinceMs } = founder;
  const ageMs = nowMs - sinceMs;
  return [{ what: "found", about: ["this mesh"], waitingFor: missing, ageMs, text }];
}

/** What this store itself waits for. */
function ownWait(parts: RosterParts, name: (peer: PeerId) => string, nowMs: number): Wait[] {
  const { ledger, applicant, registrar } = parts;
  if (ledger.state.roster === undefined || ledger.state.isMember || registrar.leaving) return [];
  const waitingFor = applicant.missing.map(name);
  const was =
    standingOf(parts) === "returned" ? "was removed from the roster and begins anew: " : "";
  const text = `this peer ${was}waits to be admitted${
    applicant.outcome === undefined ? "" : ` (${applicant.outcome})`
  }`;
  const ageMs = applicant.sinceMs === undefined ? 0 : nowMs - applicant.sinceMs;
  return [{ what: "admit", about: ["this peer"], waitingFor, ageMs, text }];
}

/** What this host waits for before it goes to the mesh that adopts its own. */
function adoptionWait(
  { adoption }: RosterParts,
  name: (peer: PeerId) => string,
  nowMs: number,
): Wait[] {
  const { destination, outcome, missing, sinceMs = nowMs } = adoption;
  if (destination === undefined) return [];
  const why = outcome === undefined ? "" : ` (${outcome})`;
  const adopter = `mesh ${destination.meshId}, which adopts its own`;
  const text = `this host waits to be admitted by ${adopter}${why}`;
  const waitingFor = missing.map(name);
  return [{ what: "adopt", about: ["this peer"], waitingFor, ageMs: nowMs - sinceMs, text }];
}

/** What the heir waits for, if that is this store. */
function heirWait({ heir, ledger }: RosterParts, name: (peer: PeerId) => string, nowMs: number) {
  if (heir.sinceMs === undefined) return [];
  const { roster } = ledger.state;
  const about = (roster?.former ?? []).map(({ peer }) => name(peer));
  const waitingFor = heir.missing.map(name);
  const who = waitingFor.join(", ") || "all";
  const text = `space of removed peers is taken over when ${who} answered`;
  const wait: Wait = { what: "reclaim", about, waitingFor, ageMs: nowMs - heir.sinceMs, text };
  return [wait];
}
