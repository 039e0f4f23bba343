/**
 * One store's part in deciding the next roster: it answers as an acceptor and proposes.
 *
 * Law: a vote is durable before its answer leaves. A vote counts for one base roster only, and only
 * from the store that the base names; whoever knows a newer roster answers with it instead.
 */
import {
  type Cancel,
  LIMITS,
  messageOf,
  type PeerId,
  readArray,
  readString,
  TIMES,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import {
  accept,
  type Ballot,
  boundValue,
  decodeBallot,
  encodeBallot,
  NO_VOTE,
  promise,
} from "./consensus.ts";
import type { FounderPorts } from "./founder.ts";
import type { Ledger } from "./ledger.ts";
import { readStore } from "./ownership-codec.ts";
import {
  type Consent,
  compareRosters,
  type Roster,
  type RosterEntry,
  rosterKey,
} from "./roster.ts";
import { decodeRoster, encodeRoster } from "./roster-codec.ts";
import { decodeAcceptedRoster, encodeAcceptedRoster, type RosterVote } from "./roster-records.ts";

const PREPARE = "ipalloc.roster-prepare";
const ACCEPT = "ipalloc.roster-accept";

type Answer =
  | { readonly type: "granted"; readonly accepted: RosterVote["accepted"] }
  | { readonly type: "refused"; readonly promised: Ballot }
  | { readonly type: "newer"; readonly roster: Roster };

/** What a ballot led to; `missing` are the peers whose consent was lacking. */
export type Outcome =
  | { readonly type: "decided"; readonly roster: Roster }
  | { readonly type: "newer"; readonly roster: Roster }
  | { readonly type: "undecided"; readonly missing: readonly PeerId[] };

export class Council {
  readonly #ports: FounderPorts;
  readonly #ledger: Ledger;
  readonly #self: PeerId;
  #highestRound = 0;

  constructor(ports: FounderPorts, ledger: Ledger, self: PeerId) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#self = self;
  }

  /** Answers the questions of other members until cancelled. */
  serve(): Cancel[] {
    const { rpc } = this.#ports;
    return [
      rpc.serve(PREPARE, async (_, body) => {
        const [mesh, base, ballot] = readArray(body, "prepare", 3, 8);
        const roster = this.#readBase(mesh, base);
        return this.#encode(await this.#vote(roster, decodeBallot(ballot, "prepare"), undefined));
      }),
      rpc.serve(ACCEPT, async (_, body) => {
        const [mesh, base, ballot, value] = readArray(body, "accept", 4, 8);
        const next = decodeRoster(value, "accept");
        const roster = this.#readBase(mesh, base);
        return this.#encode(await this.#vote(roster, decodeBallot(ballot, "accept"), next));
      }),
    ];
  }

  /** One ballot on the successor of `base`; `wanted` is proposed unless another is bound. */
  async attempt(base: Roster, wanted: Roster, consent: Consent): Promise<Outcome> {
    const { ballot: held } = this.#ledger.state;
    const promised = held?.base === rosterKey(base) ? (held.vote.promised?.round ?? 0) : 0;
    const ballot = { round: Math.max(promised, this.#highestRound) + 1, peer: this.#self };
    const promises = await this.#ask(base, ballot, undefined, consent);
    if (promises.type !== "granted") return promises;
    const bound = boundValue(promises.accepted);
    const value = bound === undefined ? wanted : bindingOf(base, bound, wanted, consent);
    const accepts = await this.#ask(base, ballot, value, consent);
    return accepts.type === "granted" ? { type: "decided", roster: value } : accepts;
  }

  async #ask(
    base: Roster,
    ballot: Ballot,
    value: Roster | undefined,
    { asked, needed }: Consent,
  ): Promise<
    | { readonly type: "granted"; readonly accepted: RosterVote["accepted"][] }
    | Exclude<Outcome, { type: "decided" }>
  > {
    const { founding, store } = this.#ledger.state;
    const head = [founding?.meshId ?? "", encodeRoster(base), encodeBallot(ballot)];
    const body = value === undefined ? head : [...head, encodeRoster(value)];
    const service = value === undefined ? PREPARE : ACCEPT;
    const answers = await enough(needed, asked, async (voter) => {
      if (voter.store === store) return await this.#vote(base, ballot, value);
      return await this.#askOne(voter, service, body);
    });
    const accepted: RosterVote["accepted"][] = [];
    let newer: Roster | undefined;
    for (const answer of answers) {
      if (answer?.type === "granted") accepted.push(answer.accepted);
      if (answer?.type === "refused") {
        this.#highestRound = Math.max(this.#highestRound, answer.promised.round);
      }
      if (answer?.type !== "newer") continue;
      if (newer === undefined || compareRosters(answer.roster, newer) > 0) newer = answer.roster;
    }
    if (newer !== undefined) return { type: "newer", roster: newer };
    if (accepted.length >= needed) return { type: "granted", accepted };
    const missing = asked.filter((_, index) => answers[index]?.type !== "granted");
    return { type: "undecided", missing: missing.map(({ peer }) => peer) };
  }

  async #askOne(
    voter: { readonly peer: PeerId; readonly store: string },
    service: string,
    body: WireValue,
  ): Promise<Answer | undefined> {
    const { rpc, log } = this.#ports;
    try {
      const reply = await rpc.call(voter.peer, service, body, TIMES.rosterCallMs);
      const { store, answer } = decodeAnswer(reply);
      // A peer that lost its disk is another store: its word is not the elector's.
      return answer.type !== "newer" && store !== voter.store ? undefined : answer;
    } catch (error) {
      log.debug({ peer: voter.peer, service, err: messageOf(error) }, "no vote on the roster");
      return undefined;
    }
  }

  #readBase(mesh: WireValue | undefined, base: WireValue | undefined): Roster {
    this.#ledger.state.requireMesh(mesh);
    return decodeRoster(base, "roster");
  }

  /** A promise, or with a value an acceptance. */
  #vote(base: Roster, ballot: Ballot, value: Roster | undefined): Promise<Answer> {
    const { state } = this.#ledger;
    return this.#ledger.exclusive<Answer>(async (commit) => {
      const adoption = state.adoption(base);
      if (adoption !== undefined) await commit(adoption);
      const { roster } = state;
      if (roster === undefined) throw new TsweaveError("NOT_FOUNDED", "has not founded");
      if (rosterKey(roster) !== rosterKey(base)) return { type: "newer", roster };
      if (!state.isMember) throw new TsweaveError("BAD_REQUEST", "is no member");
      const key = rosterKey(base);
      const vote: RosterVote = state.ballot?.base === key ? state.ballot.vote : NO_VOTE;
      const next = value === undefined ? promise(vote, ballot) : accept(vote, ballot, value);
      if (next === undefined) return { type: "refused", promised: vote.promised ?? ballot };
      await commit({ kind: "ballot", base: key, vote: next });
      return { type: "granted", accepted: vote.accepted };
    });
  }

  #encode(answer: Answer): WireValue {
    const { store } = this.#ledger.state;
    if (answer.type === "granted") return ["granted", store, encodeAcceptedRoster(answer.accepted)];
    if (answer.type === "refused") return ["refused", store, encodeBallot(answer.promised)];
    return ["newer", store, encodeRoster(answer.roster)];
  }
}

/** All answers, or those that came until `needed` of them granted: nobody waits for the silent. */
function enough(
  needed: number,
  voters: readonly RosterEntry[],
  ask: (voter: RosterEntry) => Promise<Answer | undefined>,
): Promise<readonly (Answer | undefined)[]> {
  const answers: (Answer | undefined)[] = voters.map(() => undefined);
  let granted = 0;
  let left = voters.length;
  return new Promise((resolve, reject) => {
    if (left === 0) resolve(answers);
    voters.forEach((voter, index) => {
      ask(voter).then((answer) => {
        answers[index] = answer;
        if (answer?.type === "granted") granted++;
        if (--left === 0 || granted >= needed) resolve([...answers]);
      }, reject);
    });
  });
}

/**
 * What has to be proposed after `bound` may have been chosen. Survivors leave out whom they call
 * gone, and begin a branch: whoever else learned of `bound` must not take theirs for the same.
 * If only lost ones were to remain, nobody alive can have followed it, and `wanted` is free.
 */
function bindingOf(base: Roster, bound: Roster, wanted: Roster, { by, gone }: Consent): Roster {
  if (by === "majority") return bound;
  const members = bound.members.filter(({ store }) => !gone.has(store));
  if (members.length === 0) return wanted;
  const whole = members.length === bound.members.length;
  if (whole && bound.branches.length > base.branches.length) return bound;
  const { branches, number } = wanted;
  if (whole) return { ...bound, branches };
  const lost = bound.members.filter(({ store }) => gone.has(store));
  const former = lost.map((one) => ({ ...one, how: "forgotten" as const, number }));
  const heir = members.some(({ store }) => store === bound.heir)
    ? bound.heir
    : (members[0] as RosterEntry).store;
  return {
    number,
    members,
    branches,
    heir,
    removedAt: number,
    former: [...bound.former, ...former].slice(-LIMITS.formerMax),
  };
}

function decodeAnswer(value: WireValue): { readonly store: string; readonly answer: Answer } {
  const [kind, voter, body] = readArray(value, "vote", 3, 8);
  const type = readString(kind, "vote.type", 16);
  const store = readStore(voter, "vote.store");
  if (type === "granted") {
    return { store, answer: { type, accepted: decodeAcceptedRoster(body, "vote.accepted") } };
  }
  if (type === "refused") return { store, answer: { type, promised: decodeBallot(body, "vote") } };
  if (type !== "newer") throw new TsweaveError("BAD_MESSAGE", "vote: of an unknown type");
  return { store, answer: { type, roster: decodeRoster(body, "vote.roster") } };
}
