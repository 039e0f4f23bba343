/**
 * The records of the journal: everything about addresses that must survive a crash, one kind a
 * tuple, [kind, …].
 *
 * Law: a record that cannot be read stops the start with STATE_CORRUPT; guessing around a hole
 * could give an address twice.
 */
import {
  decodeWire,
  encodeWire,
  LIMITS,
  messageOf,
  readArray,
  readBoolean,
  readInteger,
  readString,
  TsweaveError,
  type WireValue,
} from "../mesh/index.ts";
import { formatAddress } from "./address.ts";
import { addressWithin, type Cidr, parseCidr } from "./cidr.ts";
import {
  decodeAccepted,
  decodeBallot,
  encodeAccepted,
  encodeBallot,
  type Vote,
} from "./consensus.ts";
import { decodeFounding, encodeFounding, type Founding } from "./founding.ts";
import { joinAll, type Ownership, type StoreId, slices } from "./ownership.ts";
import { decodeOwnership, encodeOwnership, readStore } from "./ownership-codec.ts";
import {
  isRosterRecord,
  type RosterRecord,
  readRosterRecord,
  rosterFields,
} from "./roster-records.ts";
import { type Binding, decodeBindings, encodeBindings } from "./seeds.ts";
import { decodeSurrender, encodeSurrender, type Surrender } from "./surrender.ts";

interface OfAddress {
  readonly cidr: Cidr;
  readonly address: bigint;
}

export type JournalRecord =
  | { readonly kind: "store"; readonly store: StoreId }
  | { readonly kind: "founding"; readonly founding: Founding }
  | { readonly kind: "vote"; readonly vote: Vote }
  /** Who runs the stores of seeds; of one store the superseding one counts. */
  | { readonly kind: "bind"; readonly bindings: readonly Binding[] }
  | RosterRecord
  /** Of one mesh the newest word counts. */
  | { readonly kind: "surrender"; readonly word: Surrender }
  /** The store that this host is to have in another mesh, once that has admitted it. */
  | { readonly kind: "candidate"; readonly meshId: string; readonly store: StoreId }
  | {
      readonly kind: "open";
      readonly cidr: Cidr;
      readonly gateway: bigint;
      readonly given: boolean;
    }
  | { readonly kind: "close"; readonly cidr: Cidr }
  | { readonly kind: "own"; readonly cidr: Cidr; readonly records: Ownership }
  | ({ readonly kind: "reserve"; readonly present: boolean } & OfAddress)
  | ({
      readonly kind: "lease";
      readonly key: string;
      readonly sinceMs: number;
      readonly picked: boolean;
    } & OfAddress)
  | ({ readonly kind: "free"; readonly atMs: number } & OfAddress);

/** Longest lease key: `kind:` and two 64-digit ids with a separator fit. */
const KEY_LENGTH_MAX = 160;

/** Journal bytes of a record. */
export function encodeRecord(record: JournalRecord): Uint8Array {
  return encodeWire([record.kind, ...fieldsOf(record)]);
}

function fieldsOf(record: JournalRecord): readonly WireValue[] {
  if (isRosterRecord(record)) return rosterFields(record);
  switch (record.kind) {
    case "store":
      return [record.store];
    case "founding":
      return [encodeFounding(record.founding)];
    case "vote": {
      const { promised, accepted } = record.vote;
      return [promised === undefined ? null : encodeBallot(promised), encodeAccepted(accepted)];
    }
    case "bind":
      return [encodeBindings(record.bindings)];
    case "surrender":
      return [encodeSurrender(record.word)];
    case "candidate":
      return [record.meshId, record.store];
    case "open":
      return [record.cidr.text, textOf(record.cidr, record.gateway), record.given];
    case "close":
      return [record.cidr.text];
    case "own":
      return [record.cidr.text, ...partsOf(record.records, record.cidr)];
    case "reserve":
      return [record.cidr.text, textOf(record.cidr, record.address), record.present];
    case "lease": {
      const { cidr, address, key, sinceMs, picked } = record;
      return [cidr.text, textOf(cidr, address), key, sinceMs, picked];
    }
    case "free":
      return [record.cidr.text, textOf(record.cidr, record.address), record.atMs];
  }
}

/** The record that journal bytes hold. @throws TsweaveError STATE_CORRUPT. */
export function decodeRecord(bytes: Uint8Array): JournalRecord {
  try {
    const [kind, ...fields] = readArray(decodeWire(bytes), "record", 1, 8);
    return readRecord(readString(kind, "record.kind", 16), fields);
  } catch (error) {
    const message = `the journal of addresses cannot be read: ${messageOf(error)}`;
    throw new TsweaveError("STATE_CORRUPT", message, {
      hint: "restore the state directory, or remove it to start as a new peer",
      cause: error,
    });
  }
}

function readRecord(kind: string, fields: readonly WireValue[]): JournalRecord {
  const [first, second, third, fourth, fifth] = fields;
  if (kind === "store") return { kind, store: readStore(first, kind) };
  if (kind === "founding") return { kind, founding: decodeFounding(first, kind) };
  if (kind === "vote") {
    const promised = first === null ? undefined : decodeBallot(first, kind);
    return { kind, vote: { promised, accepted: decodeAccepted(second, kind) } };
  }
  if (kind === "bind") return { kind, bindings: decodeBindings(first, kind) };
  if (kind === "surrender") return { kind, word: decodeSurrender(first, kind) };
  if (kind === "candidate") {
    return { kind, meshId: readStore(first, kind), store: readStore(second, kind) };
  }
  const ofRoster = readRosterRecord(kind, fields);
  if (ofRoster !== undefined) return ofRoster;
  const cidr = parseCidr(readString(first, kind, 64));
  if (kind === "close") return { kind, cidr };
  if (kind === "own") {
    const first = decodeOwnership(second, kind, cidr);
    const more = third === undefined ? [] : readArray(third, kind, 0, LIMITS.wireItemsMax);
    const rest = more.map((part) => decodeOwnership(part, kind, cidr));
    return { kind, cidr, records: joinAll([first, ...rest]) };
  }
  const address = addressWithin(cidr, readString(second, kind, 64));
  if (kind === "open") return { kind, cidr, gateway: address, given: readBoolean(third, kind) };
  if (kind === "reserve") return { kind, cidr, address, present: readBoolean(third, kind) };
  if (kind === "free") return { kind, cidr, address, atMs: readInteger(third, kind) };
  if (kind !== "lease") throw new TsweaveError("BAD_MESSAGE", `unknown record '${kind}'`);
  const key = readLeaseKey(third);
  const picked = readBoolean(fifth, kind);
  return { kind, cidr, address, key, sinceMs: readInteger(fourth, kind), picked };
}

/** A lease key. @throws TsweaveError BAD_MESSAGE. */
export function readLeaseKey(value: WireValue | undefined): string {
  return readString(value, "lease key", KEY_LENGTH_MAX, /./);
}

/** A view and, when it is longer than what one row may hold, a list of its further parts. */
function partsOf(records: Ownership, { bits }: Cidr): readonly WireValue[] {
  const [first = encodeOwnership([], bits), ...more] = slices(records).map((part) =>
    encodeOwnership(part, bits),
  );
  return more.length === 0 ? [first] : [first, more];
}

function textOf(cidr: Cidr, address: bigint): string {
  return formatAddress(address, cidr.bits);
}
