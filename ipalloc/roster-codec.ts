/**
 * Rosters as wire values: rows, questions and the journal.
 *
 * Members are packed bytes (store 8, peer 16), so that a roster of 4096 fits one row.
 */
import {
  LIMITS,
  type PeerId,
  readArray,
  readBytes,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import type { ForgetAssertion } from "./departures.ts";
import type { StoreId } from "./ownership.ts";
import { STEP_MAX } from "./ownership.ts";
import { readStore } from "./ownership-codec.ts";
import { type Branch, type Former, LEAVINGS, type Roster, type RosterEntry } from "./roster.ts";

const STORE_BYTES = 8;
const ENTRY_BYTES = 24;

/** Wire value: [number, members, heir, removedAt, [[number, id]…], [[member, how, number]…]]. */
export function encodeRoster(roster: Roster): WireValue {
  return [
    roster.number,
    pack(roster.members),
    roster.heir,
    roster.removedAt,
    roster.branches.map(({ number, id }) => [number, id]),
    roster.former.map((one) => [pack([one]), LEAVINGS.indexOf(one.how), one.number]),
  ];
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeRoster(value: WireValue | undefined, path: string): Roster {
  const [number, packed, heir, removedAt, branches, former] = readArray(value, path, 6, 12);
  const members = unpack(packed, `${path}.members`, LIMITS.peersMax);
  const roster: Roster = {
    number: readInteger(number, `${path}.number`, 0, STEP_MAX),
    members,
    heir: readStore(heir, `${path}.heir`),
    removedAt: readInteger(removedAt, `${path}.removedAt`, 0, STEP_MAX),
    branches: readArray(branches, `${path}.branches`, 0, LIMITS.branchesMax).map((one) =>
      readBranch(one, path),
    ),
    former: readArray(former, `${path}.former`, 0, LIMITS.formerMax).map((one) =>
      readFormer(one, path),
    ),
  };
  const stores = new Set(members.map(({ store }) => store));
  if (stores.size !== members.length || !stores.has(roster.heir)) {
    throw new TsweaveError("BAD_MESSAGE", `${path}: a member twice, or an heir that is none`);
  }
  return roster;
}

function readBranch(value: WireValue, path: string): Branch {
  const [number, id] = readArray(value, `${path}.branch`, 2, 8);
  return {
    number: readInteger(number, `${path}.branch`, 1, STEP_MAX),
    id: readStore(id, `${path}.branch`),
  };
}

function readFormer(value: WireValue, path: string): Former {
  const [packed, index, number] = readArray(value, `${path}.former`, 3, 8);
  const [entry] = unpack(packed, `${path}.former`, 1);
  const how = LEAVINGS[readInteger(index, `${path}.how`, 0, LEAVINGS.length - 1)];
  return {
    ...(entry as RosterEntry),
    how: how ?? "forgotten",
    number: readInteger(number, `${path}.former`, 1, STEP_MAX),
  };
}

function pack(entries: readonly RosterEntry[]): Uint8Array {
  return Buffer.from(entries.map(({ store, peer }) => store + peer).join(""), "hex");
}

function unpack(value: WireValue | undefined, path: string, most: number): RosterEntry[] {
  const bytes = readBytes(value, path, ENTRY_BYTES, ENTRY_BYTES * most);
  if (bytes.length % ENTRY_BYTES !== 0) {
    throw new TsweaveError("BAD_MESSAGE", `${path}: not whole entries`);
  }
  return Array.from({ length: bytes.length / ENTRY_BYTES }, (_, index) => {
    const from = index * ENTRY_BYTES;
    const hex = Buffer.from(bytes.subarray(from, from + ENTRY_BYTES)).toString("hex");
    return { store: hex.slice(0, STORE_BYTES * 2), peer: hex.slice(STORE_BYTES * 2) };
  });
}

/** A peer's id. @throws TsweaveError BAD_MESSAGE. */
export function readPeer(value: WireValue | undefined, path: string): PeerId {
  return readString(value, path, 32, /^[0-9a-f]{32}$/);
}

/** An operator's word that is not carried out yet. */
export interface Wish {
  readonly store: StoreId;
  readonly assertion: ForgetAssertion;
  /** Wall clock of the word, for people. */
  readonly sinceMs: number;
}

/** Wire value: [[store, vouched, sinceMs]…]. */
export function encodeWishes(wishes: readonly Wish[]): WireValue {
  return wishes.map(({ store, assertion, sinceMs }) => [
    store,
    assertion === "gone-for-good-with-majority",
    sinceMs,
  ]);
}

/** @throws TsweaveError BAD_MESSAGE. */
export function decodeWishes(value: WireValue | undefined, path: string): Wish[] {
  return readArray(value, path, 0, LIMITS.wishesMax).map((item) => {
    const [store, vouched, sinceMs] = readArray(item, path, 3, 8);
    return {
      store: readStore(store, `${path}.store`),
      assertion: vouched === true ? "gone-for-good-with-majority" : "gone-for-good",
      sinceMs: readInteger(sinceMs, `${path}.sinceMs`),
    };
  });
}
