/** The pure decisions of membership: order of records, timing, retries, probes, round trips. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LIMITS, type MemberState } from "../../../mesh/index.ts";
import { AckLedger } from "../../../mesh/membership/ack-ledger.ts";
import { addressKey, canonicalHost } from "../../../mesh/membership/address.ts";
import { judge } from "../../../mesh/membership/judgement.ts";
import { decodePacket, encodeMessage, encodePackets } from "../../../mesh/membership/packet.ts";
import { Reconnect } from "../../../mesh/membership/reconnect.ts";
import type { PeerRecord } from "../../../mesh/membership/record.ts";
import { Roster } from "../../../mesh/membership/roster.ts";
import { ProbeOrder, sample } from "../../../mesh/membership/shuffle.ts";
import { Suspicions } from "../../../mesh/membership/suspicions.ts";
import {
  nudges,
  PACKET_BYTES_MAX,
  retryDelayMs,
  SWIM_TIMING,
  suspicionMs,
} from "../../../mesh/membership/timing.ts";
import { Twins } from "../../../mesh/membership/twins.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

const id = (index: number): string => index.toString(16).padStart(32, "0");

function record(index: number, state: MemberState = "alive", refutation = 0, life = 1): PeerRecord {
  return {
    meta: {
      id: id(index),
      name: `peer-${index}`,
      incarnation: life,
      advertise: { host: `10.0.${index >> 8}.${index & 255}`, port: 6783 },
    },
    era: 0,
    boot: 7,
    state,
    refutation,
  };
}

test("records are judged as the table says", () => {
  const cases: [MemberState | undefined, number, MemberState, number, string][] = [
    [undefined, 0, "alive", 3, "alive"],
    [undefined, 0, "suspect", 3, "suspect"],
    [undefined, 0, "dead", 3, "dead"],
    [undefined, 0, "left", 3, "stale"],
    [undefined, 0, "alive", 2 ** 20 + 1, "implausible"],
    ["alive", 1, "alive", 0, "stale"],
    ["alive", 1, "alive", 1, "stale"],
    ["alive", 1, "alive", 2, "alive"],
    ["alive", 1, "suspect", 0, "stale"],
    ["alive", 1, "suspect", 1, "suspect"],
    ["alive", 1, "dead", 1, "suspect"],
    ["alive", 1, "dead", 9, "suspect"],
    ["alive", 1, "left", 0, "stale"],
    ["alive", 1, "left", 2, "left"],
    ["suspect", 1, "alive", 1, "stale"],
    ["suspect", 1, "alive", 2, "alive"],
    ["suspect", 1, "dead", 1, "stale"],
    ["dead", 1, "alive", 1, "contradiction"],
    ["dead", 1, "alive", 0, "stale"],
    ["dead", 1, "alive", 2, "alive"],
    ["dead", 1, "suspect", 1, "stale"],
    ["dead", 1, "left", 1, "left"],
    ["left", 1, "alive", 1, "stale"],
    ["left", 1, "dead", 5, "stale"],
    ["left", 1, "left", 5, "stale"],
  ];
  for (const [held, heldNumber, state, number, expected] of cases) {
    const known = held === undefined ? undefined : record(1, held, heldNumber);
    const text = `${held} ${heldNumber} <- ${state} ${number}`;
    assert.equal(judge(known, record(1, state, number)), expected, text);
  }
});

test("a later life replaces whatever was known, an earlier one changes nothing", () => {
  for (const held of ["alive", "suspect", "dead", "left"] as const) {
    const known = record(1, held, 9, 5);
    assert.equal(judge(known, record(1, "alive", 0, 6)), "alive");
    assert.equal(judge(known, record(1, "dead", 0, 6)), "suspect");
    assert.equal(judge(known, record(1, "left", 0, 6)), "left");
    assert.equal(judge(known, record(1, "left", 99, 4)), "stale");
    assert.equal(judge(known, { ...record(1, "alive", 0, 1), era: 1 }), "alive");
    assert.equal(judge(known, { ...record(1, "alive", 0, 5), boot: 8 }), "alive");
    assert.equal(judge(known, { ...record(1, "alive", 0, 9), era: 17 }), "implausible");
  }
});

test("timing: kill to verdict within 4.5 s typically, retries bounded", () => {
  const { intervalMs, pingTimeoutMs, pingReqTimeoutMs } = SWIM_TIMING;
  assert.equal(pingTimeoutMs + pingReqTimeoutMs, intervalMs);
  for (const size of [2, 3, 5, 20, 1000]) {
    const roundsToFirstProbe = size === 3 ? 2 : 1;
    const probeMs = roundsToFirstProbe * intervalMs + pingTimeoutMs + pingReqTimeoutMs;
    assert.ok(probeMs + suspicionMs(SWIM_TIMING, size) <= 4500);
  }
  const delays = [1, 2, 3, 4, 5, 6, 99, 1e9].map((count) => retryDelayMs(SWIM_TIMING, count));
  assert.deepEqual(delays, [250, 500, 1000, 2000, 3000, 3000, 3000, 3000]);
  const crowd = [1, 9, 99].map((count) => retryDelayMs(SWIM_TIMING, count, 1000));
  assert.deepEqual(crowd, [250, 50_000, 50_000], "a thousand share the tries");
  const random = new SeededRandom(5);
  const nudgers = Array.from({ length: 100 }, () => nudges(100, random.u32())).filter(Boolean);
  assert.ok(nudgers.length > 0 && nudgers.length < 20);
  assert.ok(nudges(2, 0xffff_ffff));
});

test("every member is probed once before any is probed twice", () => {
  const order = new ProbeOrder(new SeededRandom(3));
  const live = Array.from({ length: 10 }, (_, index) => id(index));
  for (let round = 0; round < 5; round += 1) {
    const probed = live.map(() => order.next(live));
    assert.deepEqual([...new Set(probed)].sort(), live);
  }
  order.next(live);
  const rest = live.slice(0, 3);
  for (let tick = 0; tick < 20; tick += 1) assert.ok(rest.includes(order.next(rest) ?? ""));
  assert.equal(order.next([]), undefined);
  assert.deepEqual(sample(new SeededRandom(1), rest, 9).sort(), rest);
});

test("acks count only from the peer asked, and only once", () => {
  const ledger = new AckLedger();
  ledger.sent(1, { peer: "a", sentMs: 100, relayed: false });
  assert.equal(ledger.acked(1, "b", 110), false);
  assert.equal(ledger.acked(2, "a", 110), false);
  assert.equal(ledger.acked(1, "a", 110), true);
  assert.equal(ledger.acked(1, "a", 110), false);
  assert.equal(ledger.rttMs("a"), 10);
  ledger.sent(2, { peer: "a", sentMs: 200, relayed: false });
  ledger.acked(2, "a", 290);
  assert.equal(ledger.rttMs("a"), 20);
  ledger.sent(3, { peer: "a", sentMs: 300, relayed: true });
  assert.equal(ledger.acked(3, "a", 500), true);
  assert.equal(ledger.rttMs("a"), 20);
  assert.ok(ledger.ackedSince("a", 290) && !ledger.ackedSince("a", 291));
  for (let seq = 10; seq < 3000; seq += 1)
    ledger.sent(seq, { peer: "c", sentMs: 0, relayed: false });
  assert.equal(ledger.acked(10, "c", 1), false, "the oldest probes in flight are dropped");
  assert.equal(ledger.acked(2999, "c", 1), true);
});

test("a suspicion is not re-armed by further accusations, and a pause does not convict", () => {
  const clock = new VirtualClock();
  const expired: [string, number][] = [];
  let lateMs = 0;
  const suspicions = new Suspicions(
    { nowMs: () => clock.nowMs() + lateMs, wallMs: () => 0, timer: clock.timer.bind(clock) },
    {
      windowMs: () => 1000,
      wasPaused: (latenessMs) => latenessMs > 100,
      expire: (peer) => expired.push([peer, clock.nowMs()]),
    },
  );
  suspicions.raise("a", 0);
  for (let at = 0; at < 9; at += 1) {
    clock.advance(100);
    suspicions.raise("a", 0);
  }
  clock.advance(100);
  assert.deepEqual(expired, [["a", 1000]]);
  suspicions.raise("b", 0);
  clock.advance(500);
  suspicions.raise("b", 1);
  clock.advance(900);
  assert.equal(expired.length, 1, "a newer number starts anew");
  lateMs = 500;
  clock.advance(100);
  assert.equal(expired.length, 1, "fired late: runs once more");
  lateMs = 0;
  clock.advance(2000);
  assert.equal(expired.length, 2);
  suspicions.raise("c", 0);
  suspicions.clear();
  clock.advance(5000);
  assert.equal(expired.length, 2);
});

test("unreached addresses are retried for ever, few at a time", () => {
  const roster = new Roster(record(0).meta, 0);
  const reconnect = new Reconnect(id(0), roster, SWIM_TIMING);
  reconnect.add([{ host: "10.1.1.1", port: 1 }]);
  for (let index = 1; index <= 50; index += 1) roster.observe(record(index, "dead"), 0);
  const tried = new Map<string, number>();
  let most = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs += SWIM_TIMING.healMs / 4) {
    const due = reconnect.due(nowMs);
    most = Math.max(most, due.length);
    for (const address of due)
      tried.set(addressKey(address), (tried.get(addressKey(address)) ?? 0) + 1);
  }
  assert.equal(tried.size, 51);
  assert.ok(most <= 2);
  assert.ok((tried.get("10.1.1.1:1") ?? 0) >= 20, "a target is tried at least each 3 s");
  assert.ok([...tried.values()].every((count) => count >= 3));
  reconnect.heard({ host: "10.1.1.1", port: 1 }, id(60));
  assert.equal(reconnect.targets()[0]?.state, "trying");
  roster.observe(record(60), 0);
  assert.equal(reconnect.targets()[0]?.state, "connected");
  roster.observe(record(60, "dead"), 0);
  assert.equal(reconnect.targets()[0]?.state, "trying");
  reconnect.drop([record(1).meta.advertise]);
  assert.ok(!reconnect.targets().some((target) => target.address.host === "10.0.0.1"));
});

test("nobody is sought in a whole mesh; whoever is gone or never answered is", () => {
  const roster = new Roster(record(0).meta, 0);
  const reconnect = new Reconnect(id(0), roster, SWIM_TIMING);
  roster.observe(record(1), 0);
  assert.equal(reconnect.isNeeded, false);
  reconnect.add([record(1).meta.advertise]);
  assert.equal(reconnect.isNeeded, false, "a live member is there");
  roster.observe(record(1, "dead"), 0);
  assert.equal(reconnect.isNeeded, true);
  reconnect.due(0);
  assert.equal(reconnect.isNeeded, true, "tried, and still gone");
  reconnect.drop([record(1).meta.advertise]);
  assert.equal(reconnect.isNeeded, false, "the operator gave it up");
});

test("the roster makes room by forgetting the longest gone, never a live peer", () => {
  const roster = new Roster(record(0).meta, 0);
  assert.equal(roster.makeRoom(), undefined);
  for (let index = 1; index < LIMITS.peersMax; index += 1) roster.observe(record(index), index);
  assert.equal(roster.makeRoom(), null);
  roster.observe(record(9, "dead"), 10_000);
  roster.observe(record(8, "dead"), 20_000);
  assert.equal(roster.makeRoom(), id(9));
  roster.observe(record(7, "left"), 30_000);
  assert.equal(roster.makeRoom(), id(7));
  assert.deepEqual(roster.leftBefore(30_000), []);
  assert.deepEqual(roster.leftBefore(30_001), [id(7)]);
});

test("digests are equal exactly when the live records are", () => {
  const [a, b] = [new Roster(record(1).meta, 0), new Roster(record(2).meta, 0)];
  a.observe(record(2), 0);
  b.observe(record(1), 5);
  assert.deepEqual(a.digest(record(1)), b.digest(record(2)));
  b.observe(record(1, "alive", 1), 6);
  assert.notDeepEqual(a.digest(record(1)), b.digest(record(2)));
  assert.deepEqual(a.digest(record(1, "alive", 1)), b.digest(record(2)));
  a.observe(record(3), 7);
  assert.notDeepEqual(a.digest(record(1, "alive", 1)), b.digest(record(2)));
  a.observe(record(3, "dead"), 8);
  assert.deepEqual(a.digest(record(1, "alive", 1)), b.digest(record(2)));
});

test("a twin is an earlier life that speaks again after the later one, and fades", () => {
  const twins = new Twins();
  const places = [record(1).meta.advertise, record(2).meta.advertise] as const;
  const life = (incarnation: number) => ({ era: 0, incarnation, boot: 1 });
  const seen = (incarnation: number, nowMs: number) =>
    twins.seen(id(1), life(incarnation), places, nowMs);
  assert.equal(seen(1, 0), false);
  twins.heard(id(1));
  assert.equal(seen(1, 900), false);
  assert.deepEqual(twins.problems(900), []);
  assert.equal(seen(1, 1000), true);
  assert.equal(seen(1, 1100), false, "said once");
  assert.equal(twins.problems(1100)[0]?.code, "PEER_ID_SHARED");
  assert.deepEqual(twins.problems(31_200), []);
  assert.equal(seen(1, 31_200), false, "it must be proved anew");
});

test("restarts are no twins, whatever their last packets do", () => {
  const twins = new Twins();
  const { advertise } = record(1).meta;
  for (let incarnation = 1; incarnation < 60; incarnation += 1) {
    const life = { era: 0, incarnation, boot: incarnation };
    const atMs = 2000 * incarnation;
    assert.equal(twins.seen(id(1), life, [advertise, advertise], atMs), false);
    twins.heard(id(1));
    assert.equal(twins.seen(id(1), life, [advertise, advertise], atMs + 150), false);
    assert.deepEqual(twins.problems(atMs + 150), []);
  }
  const gone = { era: 0, incarnation: 200, boot: 1 };
  assert.equal(twins.seen(id(2), gone, [advertise, advertise], 0), false);
  assert.equal(
    twins.seen(id(2), gone, [advertise, advertise], 5000),
    false,
    "the later one is gone",
  );
});

test("that the mesh knows a later start of this peer is said once, and fades", () => {
  const twins = new Twins();
  const [here, there] = [record(1).meta.advertise, record(2).meta.advertise];
  assert.equal(twins.superseded(id(1), here, there, 0), true);
  assert.equal(twins.superseded(id(1), here, there, 1), false);
  assert.equal(twins.problems(1)[0]?.code, "PEER_SUPERSEDED");
  assert.deepEqual(twins.problems(31_200), []);
});

test("packets never exceed their bound and come back as they went", () => {
  const header = { sender: id(1), era: 3, incarnation: 2 ** 40, boot: 0xffff_ffff, target: id(2) };
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4000 }), { maxLength: 120 }),
      fc.string({ unit: fc.constantFrom("a", "é", "漢"), minLength: 1, maxLength: 63 }),
      (indices, name) => {
        const records = indices.map((index) => {
          const one = record(index, "suspect", index);
          return { ...one, meta: { ...one.meta, name } };
        });
        const updates = records.map((one) => encodeMessage({ type: "update", record: one }));
        const packets = encodePackets(header, updates, [
          encodeMessage({ type: "list", want: true }),
        ]);
        assert.ok(packets.every((packet) => packet.length <= PACKET_BYTES_MAX));
        const decoded = packets.map(decodePacket);
        assert.ok(decoded.every((packet) => packet.messages[0]?.type === "list"));
        assert.ok(decoded.every((packet) => packet.header.target === id(2)));
        assert.deepEqual(
          decoded.flatMap((packet) => packet.messages.slice(1)),
          records.map((one) => ({ type: "update", record: one })),
        );
      },
    ),
    { seed: 11, numRuns: 60 },
  );
});

test("addresses are unicast literals in one spelling", () => {
  const cases: [string, string | undefined][] = [
    ["10.0.0.1", "10.0.0.1"],
    ["FD00:0:0::1", "fd00::1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["fe80::1%eth0", undefined],
    ["010.0.0.1", undefined],
    ["10.1", undefined],
    ["peer.example", undefined],
    ["224.0.0.1", undefined],
    ["ff02::1", undefined],
    ["0.0.0.0", undefined],
    ["::", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of cases) assert.equal(canonicalHost(text), expected, text);
  assert.equal(addressKey({ host: "fd00::1", port: 5 }), "[fd00::1]:5");
});
