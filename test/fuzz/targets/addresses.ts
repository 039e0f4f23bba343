/** Decoders of what peers say and keep about addresses and endpoints. */
import assert from "node:assert/strict";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { decodeAnswer, encodeAnswer } from "../../../ipalloc/consensus.ts";
import { decodeRecord, encodeRecord, type JournalRecord } from "../../../ipalloc/journal.ts";
import { type Ownership, STEP_MAX } from "../../../ipalloc/ownership.ts";
import { decodeOwnership, encodeOwnership } from "../../../ipalloc/ownership-codec.ts";
import { decodeRoster, decodeWishes, encodeRoster } from "../../../ipalloc/roster-codec.ts";
import { readRangesRow } from "../../../ipalloc/rows.ts";
import { decodeWire, encodeWire, type WireValue } from "../../../mesh/index.ts";
import { isSnooped } from "../../../overlay/groups/group.ts";
import { groupsFromWire, groupsToWire } from "../../../overlay/groups/wire.ts";
import {
  endpointFromRecord,
  networkFromRecord,
  readKind,
} from "../../../overlay/ledger-records.ts";
import { endpointFromWire, namesFromWire, networkFromWire } from "../../../overlay/rows.ts";
import { reading } from "../refusal.ts";
import { wireCases } from "../samples.ts";
import type { Target } from "../target.ts";

const [A, B, PEER] = ["a".repeat(16), "b".repeat(16), "c".repeat(32)];
const CIDR = parseCidr("10.32.0.0/16");
const founding = { meshId: A, founders: [{ store: A, peer: PEER }] };
const ballot = { round: 3, peer: PEER };
const view: Ownership = [
  { start: CIDR.start, end: CIDR.start + 512n, generation: 0, step: 2, owner: A, by: B },
  { start: CIDR.start + 600n, end: CIDR.end, generation: 1, step: 0, owner: B, by: B },
];
const roster = {
  number: 4,
  members: [{ store: A, peer: PEER }],
  former: [{ store: B, peer: PEER, how: "forgotten" as const, number: 3 }],
  heir: A,
  removedAt: 3,
  branches: [{ number: 2, id: B }],
};
const address = "10.0.0.1:6783";
const voter = { peer: PEER, store: A, address, declared: [address], count: 3 };
const ownership = encodeOwnership(view, CIDR.bits);
/** A journal of addresses, in order. */
export const RECORDS: readonly JournalRecord[] = [
  { kind: "store", store: A },
  { kind: "founding", founding },
  { kind: "vote", vote: { promised: ballot, accepted: { ballot, value: founding } } },
  { kind: "roster", roster, retired: false },
  { kind: "open", cidr: CIDR, gateway: CIDR.start + 1n, given: true },
  { kind: "own", cidr: CIDR, records: view },
  { kind: "close", cidr: CIDR },
];

/** Reading errs with the two codes of a row that names a subnet. */
function rowTarget(name: string, values: WireValue[], read: (value: WireValue) => void): Target {
  const run = (bytes: Uint8Array) =>
    reading(() => read(decodeWire(bytes)), ["BAD_MESSAGE", "CONFIG", "BAD_REQUEST"]);
  return { name, weight: 0.5, make: wireCases(values), open: () => ({ run }) };
}

export const addressTargets: readonly Target[] = [
  rowTarget("answers-of-voters", answers(), (value) => {
    const answer = decodeAnswer(value);
    assert.deepEqual(decodeAnswer(encodeAnswer(answer)), answer);
  }),
  rowTarget("ownership", [ownership], (value) => {
    const read = decodeOwnership(value, "row", CIDR);
    for (const { start, end, step } of read) {
      assert.ok(start >= CIDR.start && start < end && end <= CIDR.end && step <= STEP_MAX);
    }
    assert.deepEqual(decodeOwnership(encodeOwnership(read, CIDR.bits), "row", CIDR), read);
  }),
  rowTarget("roster", [encodeRoster(roster)], (value) => {
    const read = decodeRoster(value, "row");
    assert.ok(read.members.length > 0);
    assert.deepEqual(decodeRoster(encodeRoster(read), "row"), read);
  }),
  rowTarget("wishes", [[[A, false, 5]]], (value) => void decodeWishes(value, "row")),
  rowTarget("ranges-row", [[A, B, "10.32.0.0/16", ownership, 3]], readRangesRow),
  rowTarget("groups-row", [["192.168.48.11", [0xef01_0101, 0xe000_0100]]], (value) => {
    const row = groupsFromWire(value);
    assert.ok(row.groups.every(isSnooped));
    assert.deepEqual(groupsFromWire(groupsToWire(row)), row);
  }),
  rowTarget("overlay-rows", overlayRows(), (value) => {
    const readers = [endpointFromWire, namesFromWire, networkFromWire];
    const whys = readers.map((read) => reading(() => void read(value), ["BAD_MESSAGE"]));
    assert.ok(whys.filter((why) => why === undefined).length <= 1, "a row of two tables");
  }),
  rowTarget("ledger-record", ledgerRecords(), (value) => {
    const { kind, record } = readKind(value);
    if (kind === "network") networkFromRecord(record);
    else endpointFromRecord(record);
  }),
  {
    name: "address-journal",
    weight: 1,
    make: wireCases(RECORDS.map((record) => decodeWire(encodeRecord(record)))),
    open: () => ({
      run: (bytes) =>
        reading(() => {
          const record = decodeRecord(bytes);
          assert.deepEqual(decodeRecord(encodeRecord(record)), record);
        }, ["STATE_CORRUPT"]),
    }),
  },
];

function answers(): WireValue[] {
  return [
    encodeAnswer({ type: "founded", value: founding }),
    encodeAnswer({ type: "refused", promised: ballot }),
    encodeAnswer({ type: "granted", voter, accepted: { ballot, value: founding } }),
  ];
}

function overlayRows(): WireValue[] {
  return [
    ["tsweave", "10.32.0.5", "02:42:0a:20:00:05", "192.168.48.11"],
    ["tsweave", "10.32.0.5", ["web", "www"]],
    [256, "10.32.0.0/16", "10.32.0.1", 1400, false],
  ];
}

function ledgerRecords(): WireValue[] {
  const [id, mac] = ["d".repeat(64), "02:42:0a:20:00:05"];
  const network = ["tsweave", 256, "10.32.0.0/16", "10.32.0.1", 1400, false, "", 0, ["10.32.0.9"]];
  const sandbox = "/var/run/docker/netns/1";
  return [
    ["network", id, ...network],
    ["endpoint", id, id, "10.32.0.5", mac, true, sandbox, id, ["web"], ["link"]],
    encodeWire([1]),
  ];
}
