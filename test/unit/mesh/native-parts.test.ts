/** The native engine's parts by themselves: waits, news, probes on the wire, views, the ring. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  NATIVE_LAN,
  NATIVE_WAN,
  pingTimeoutMs,
  scaledNative,
  transmitLimit,
  windowMs,
} from "../../../mesh/membership/native/config.ts";
import { Doubts } from "../../../mesh/membership/native/doubts.ts";
import { Health } from "../../../mesh/membership/native/health.ts";
import { successor } from "../../../mesh/membership/native/ring.ts";
import { Rumours } from "../../../mesh/membership/native/rumours.ts";
import { decodeShort, encodeShort, lifeTag } from "../../../mesh/membership/native/short.ts";
import { encodeMessage } from "../../../mesh/membership/packet.ts";
import type { PeerRecord } from "../../../mesh/membership/record.ts";
import { Roster } from "../../../mesh/membership/roster.ts";
import { bucketOf, differingBuckets } from "../../../mesh/membership/view-hash.ts";
import { addressOf, idOf } from "../../contract/membership.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";

function record(index: number, changes: Partial<PeerRecord> = {}): PeerRecord {
  const meta = { id: idOf(index), name: `p${index}`, incarnation: 1, advertise: addressOf(index) };
  return { meta, era: 0, boot: index, state: "alive", refutation: 0, ...changes };
}

test("a ping waits four round trips within bounds", () => {
  assert.equal(pingTimeoutMs(NATIVE_LAN, null), 250);
  assert.equal(pingTimeoutMs(NATIVE_LAN, 0.3), 50);
  assert.equal(pingTimeoutMs(NATIVE_LAN, 20), 80);
  assert.equal(pingTimeoutMs(NATIVE_LAN, 900), 250);
});

test("confirmations shorten a suspicion as Lifeguard has it", () => {
  const wait = (confirmations: number) =>
    windowMs(NATIVE_LAN, { live: 20, able: 19 }, confirmations);
  assert.deepEqual([0, 1, 3, 9].map(wait), [15_000, 8750, 2500, 2500]);
  assert.ok(wait(2) < wait(1) && wait(2) > wait(3));
  assert.equal(windowMs(NATIVE_LAN, { live: 2, able: 1 }, 0), 3000);
  assert.equal(windowMs(NATIVE_LAN, { live: 6, able: 3 }, 2), 2500, "a small half asks for fewer");
  assert.equal(windowMs(NATIVE_LAN, { live: 6, able: 1 }, 0), 15_000, "but one alone waits");
});

test("the presets and their scaling keep the promised relations", () => {
  for (const timing of [NATIVE_LAN, NATIVE_WAN, scaledNative(0.1)]) {
    assert.ok(timing.suspicionMs < timing.suspicionSmallMs);
    assert.ok(timing.pingTimeoutMsMin < timing.pingTimeoutMsMax);
    assert.ok(timing.healMs < timing.healMaxMs);
  }
  assert.equal(scaledNative(0.1).watchMs, 85);
  assert.equal(scaledNative(0.1).pingTimeoutMsMax, 25);
  assert.equal(scaledNative(0.1).relays, 3);
  assert.deepEqual([transmitLimit(NATIVE_LAN, 200), transmitLimit(NATIVE_LAN, 1000)], [12, 16]);
});

test("a doubt expires once, later without confirmations, anew after a pause", () => {
  const clock = new VirtualClock();
  const expired: string[] = [];
  let stalled = false;
  const doubts = new Doubts(clock, {
    windowMs: (confirmations) => 1000 - 200 * confirmations,
    accusersMax: 4,
    wasStalled: () => stalled,
    expire: (id) => expired.push(`${id} ${clock.nowMs()}`),
  });
  doubts.raise("a", 0);
  assert.ok(doubts.confirm("a", 0, "x"), "the first accuser");
  assert.ok(!doubts.confirm("a", 0, "x"), "counts once");
  assert.ok(!doubts.confirm("a", 1, "y"), "another refutation is another matter");
  assert.ok(doubts.confirm("a", 0, "y"));
  doubts.raise("a", 0);
  clock.advance(799);
  assert.deepEqual(expired, []);
  clock.advance(1);
  assert.deepEqual(expired, ["a 800"]);
  stalled = true;
  doubts.raise("b", 0);
  clock.advance(1000);
  stalled = false;
  assert.equal(expired.length, 1);
  clock.advance(1000);
  assert.deepEqual(expired, ["a 800", "b 2800"]);
});

test("local health stays within its bounds", () => {
  const health = new Health(8);
  health.note(-1);
  assert.equal(health.stretch, 1);
  health.note(20);
  assert.equal(health.stretch, 9);
  health.note(-1);
  assert.equal(health.score, 7);
});

test("news: the least sent first, limited, the newest replaces the older", () => {
  const rumours = new Rumours();
  const word = (text: string) => Buffer.from(text);
  rumours.replace("a", word("a1"), 3);
  rumours.replace("b", word("b1"), 2);
  assert.deepEqual(rumours.take(4).map(String), ["a1"], "only one fits");
  rumours.replace("a", word("a2"), 2);
  assert.deepEqual(rumours.take(100).map(String).sort(), ["a2", "b1"]);
  rumours.add("a", "x", word("ax"), 1);
  rumours.heard("b", "");
  assert.deepEqual(rumours.take(100).map(String).sort(), ["a2", "ax"]);
  assert.ok(rumours.isEmpty);
});

test("short packets come back as they went, and damage is refused", () => {
  const tag = lifeTag(idOf(1), { era: 0, incarnation: 5, boot: 7 });
  assert.notEqual(tag, lifeTag(idOf(1), { era: 0, incarnation: 5, boot: 8 }));
  const short = {
    kind: "pingReq",
    seq: 4_000_000_000,
    sender: tag,
    target: tag,
    digest: Buffer.alloc(8, 3),
    destination: tag,
    patienceMs: 160,
  } as const;
  const news = { type: "update", record: record(3) } as const;
  const bytes = encodeShort(short, [encodeMessage(news)]);
  assert.deepEqual(decodeShort(bytes), { short, messages: [news] });
  assert.equal(encodeShort({ ...short, kind: "ping" }, []).length, 30);
  for (const length of [0, 1, 29, 39, bytes.length - 1]) {
    assert.throws(() => decodeShort(bytes.subarray(0, length)), { code: "BAD_MESSAGE" });
  }
  assert.throws(() => decodeShort(Uint8Array.of(2, 9, ...bytes.subarray(2))), {
    code: "BAD_MESSAGE",
  });
});

test("any bytes either decode or are a BAD_MESSAGE", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      try {
        decodeShort(Uint8Array.of(2, ...bytes));
      } catch (error) {
        assert.equal((error as { code?: string }).code, "BAD_MESSAGE");
      }
    }),
    { numRuns: 3000 },
  );
});

test("view hashes do not depend on the order, and name the differing parts", () => {
  const self = record(100);
  const [a, b] = [new Roster(self.meta, 0), new Roster(self.meta, 0)];
  for (const index of [1, 2, 3, 40]) a.observe(record(index), 0);
  for (const index of [40, 3, 2, 1]) b.observe(record(index, { state: "suspect" }), 0);
  assert.deepEqual(a.digest(self), b.digest(self));
  b.observe(record(3, { refutation: 1 }), 0);
  assert.notDeepEqual(a.digest(self), b.digest(self));
  const mask = differingBuckets(a.buckets(self), b.buckets(self));
  assert.equal(mask, 2 ** bucketOf(idOf(3)));
  b.observe(record(3, { state: "dead" }), 0);
  a.forget(idOf(3));
  assert.deepEqual(a.digest(self), b.digest(self), "the dead do not count");
  assert.deepEqual([a.liveCount, b.liveCount], [3, 3]);
});

test("the ring wraps round and passes over suspects", () => {
  const live = [record(1), record(5), record(9, { state: "suspect" })];
  assert.equal(successor(idOf(1), live)?.meta.id, idOf(5));
  assert.equal(successor(idOf(6), live)?.meta.id, idOf(1));
  assert.equal(successor(idOf(6), [record(9, { state: "suspect" })]), undefined);
});
