/**
 * Single-decree Paxos (Lamport, "Paxos Made Simple", 2001): the pure parts, an acceptor's answers
 * and a proposer's conclusions. It decides the founding record and each roster after it.
 *
 * Law: an acceptor's vote is durable before its answer leaves; a value that may have been chosen
 * is the only one that can be proposed afterwards. Ballots are (round, peer), so no two peers
 * share one.
 */
import {
  LIMITS,
  type PeerId,
  readArray,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import { decodeFounding, encodeFounding, type Founding, type Voter } from "./founding.ts";
import { readStore } from "./ownership-codec.ts";

export interface Ballot {
  readonly round: number;
  readonly peer: PeerId;
}

/** What an acceptor must never forget. */
export interface Vote<Value = Founding> {
  readonly promised: Ballot | undefined;
  readonly accepted: { readonly ballot: Ballot; readonly value: Value } | undefined;
}

export const NO_VOTE: Vote<never> = { promised: undefined, accepted: undefined };

/** An acceptor's answer to either question. */
export type Answer =
  | { readonly type: "founded"; readonly value: Founding }
  | { readonly type: "refused"; readonly promised: Ballot }
  | { readonly type: "granted"; readonly voter: Voter; readonly accepted: Vote["accepted"] };

export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.round !== b.round) return a.round - b.round;
  return a.peer === b.peer ? 0 : a.peer < b.peer ? -1 : 1;
}

/** The vote after a prepare, or undefined when an earlier promise forbids it. */
export function promise<Value>(vote: Vote<Value>, ballot: Ballot): Vote<Value> | undefined {
  if (vote.promised !== undefined && compareBallots(ballot, vote.promised) < 0) return undefined;
  return { promised: ballot, accepted: vote.accepted };
}

/** The vote after an accept request, or undefined when an earlier promise forbids it. */
export function accept<Value>(
  vote: Vote<Value>,
  ballot: Ballot,
  value: Value,
): Vote<Value> | undefined {
  if (vote.promised !== undefined && compareBallots(ballot, vote.promised) < 0) return undefined;
  return { promised: ballot, accepted: { ballot, value } };
}

/** The value already bound by what acceptors reported: that of the highest accepted ballot. */
export function boundValue<Value>(reports: readonly Vote<Value>["accepted"][]): Value | undefined {
  let best: Vote<Value>["accepted"];
  for (const report of reports) {
    if (report === undefined) continue;
    if (best === undefined || compareBallots(report.ballot, best.ballot) > 0) best = report;
  }
  return best?.value;
}

/** Wire value of a ballot: [round, peer]. */
export function encodeBallot({ round, peer }: Ballot): WireValue {
  return [round, peer];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeBallot(value: WireValue | undefined, path: string): Ballot {
  const [round, peer] = readArray(value, path, 2, 8);
  return {
    round: readInteger(round, `${path}.round`, 0, 2 ** 47),
    peer: readString(peer, `${path}.peer`, 32, /^[0-9a-f]{32}$/),
  };
}

/** Wire value of a vote's accepted part: null or [ballot, founding]. */
export function encodeAccepted(accepted: Vote["accepted"]): WireValue {
  return accepted === undefined
    ? null
    : [encodeBallot(accepted.ballot), encodeFounding(accepted.value)];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeAccepted(value: WireValue | undefined, path: string): Vote["accepted"] {
  if (value === null || value === undefined) return undefined;
  const [ballot, founding] = readArray(value, path, 2, 8);
  return { ballot: decodeBallot(ballot, path), value: decodeFounding(founding, path) };
}

/** Wire value of an answer. */
export function encodeAnswer(answer: Answer): WireValue {
  if (answer.type === "founded") return ["founded", encodeFounding(answer.value)];
  if (answer.type === "refused") return ["refused", encodeBallot(answer.promised)];
  const { peer, store, address, declared, count } = answer.voter;
  return ["granted", [peer, store, address, declared, count], encodeAccepted(answer.accepted)];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeAnswer(value: WireValue): Answer {
  const [type, body, accepted] = readArray(value, "answer", 2, 8);
  if (type === "founded") return { type, value: decodeFounding(body, "answer") };
  if (type === "refused") return { type, promised: decodeBallot(body, "answer") };
  if (type !== "granted") throw new TsweaveError("BAD_MESSAGE", "answer: of an unknown type");
  const [peer, store, address, declared, count] = readArray(body, "answer.voter", 5, 12);
  const voter: Voter = {
    peer: readString(peer, "answer.peer", 32, /^[0-9a-f]{32}$/),
    store: readStore(store, "answer.store"),
    address: readString(address, "answer.address", 64),
    declared: readArray(declared, "answer.declared", 1, LIMITS.declaredMax).map((item) =>
      readString(item, "answer.declared", 64),
    ),
    count: readInteger(count, "answer.count", 0, LIMITS.declaredMax),
  };
  return { type, voter, accepted: decodeAccepted(accepted, "answer.accepted") };
}
