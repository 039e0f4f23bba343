/**
 * What the journal keeps of the roster: the newest one, this store's vote on the next one, and the
 * operator's words that are not carried out yet.
 */
import { readArray, readBoolean, readString, type WireValue } from "../mesh/index.ts";
import { decodeBallot, encodeBallot, type Vote } from "./consensus.ts";
import type { Roster } from "./roster.ts";
import {
  decodeRoster,
  decodeWishes,
  encodeRoster,
  encodeWishes,
  type Wish,
} from "./roster-codec.ts";

export type RosterVote = Vote<Roster>;

export type RosterRecord =
  /** `retired`: this store was a member once and is none any more. */
  | { readonly kind: "roster"; readonly roster: Roster; readonly retired: boolean }
  /** `base` is the key of the roster whose successor is voted on. */
  | { readonly kind: "ballot"; readonly base: string; readonly vote: RosterVote }
  /** This store proposes a successor of `base` without itself: frozen until there is one. */
  | { readonly kind: "leaving"; readonly base: string }
  /** All of them; replaces those before. */
  | { readonly kind: "wishes"; readonly wishes: readonly Wish[] };

const KINDS: readonly string[] = [
  "roster",
  "ballot",
  "leaving",
  "wishes",
] satisfies RosterRecord["kind"][];

/** Whether a journal record is of this file. */
export function isRosterRecord(record: { readonly kind: string }): record is RosterRecord {
  return KINDS.includes(record.kind);
}

/** The fields after the kind. */
export function rosterFields(record: RosterRecord): readonly WireValue[] {
  switch (record.kind) {
    case "roster":
      return [encodeRoster(record.roster), record.retired];
    case "ballot": {
      const { promised, accepted } = record.vote;
      const ballot = promised === undefined ? null : encodeBallot(promised);
      return [record.base, ballot, encodeAcceptedRoster(accepted)];
    }
    case "leaving":
      return [record.base];
    case "wishes":
      return [encodeWishes(record.wishes)];
  }
}

/** The record of these fields, or undefined when the kind is not of this file. */
export function readRosterRecord(
  kind: string,
  [first, second, third]: readonly WireValue[],
): RosterRecord | undefined {
  if (kind === "roster") {
    return { kind, roster: decodeRoster(first, kind), retired: readBoolean(second, kind) };
  }
  if (kind === "wishes") return { kind, wishes: decodeWishes(first, kind) };
  if (kind === "leaving") return { kind, base: readString(first, kind, 64) };
  if (kind !== "ballot") return undefined;
  const promised = second === null ? undefined : decodeBallot(second, kind);
  const accepted = decodeAcceptedRoster(third, kind);
  return { kind, base: readString(first, kind, 64), vote: { promised, accepted } };
}

/** Wire value: null or [ballot, roster]. */
export function encodeAcceptedRoster(accepted: RosterVote["accepted"]): WireValue {
  if (accepted === undefined) return null;
  return [encodeBallot(accepted.ballot), encodeRoster(accepted.value)];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeAcceptedRoster(
  value: WireValue | undefined,
  path: string,
): RosterVote["accepted"] {
  if (value === null || value === undefined) return undefined;
  const [ballot, roster] = readArray(value, path, 2, 8);
  return { ballot: decodeBallot(ballot, path), value: decodeRoster(roster, path) };
}
