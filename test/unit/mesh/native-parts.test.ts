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
import { Rumours } from "../../../mesh/membership/native/rumours.ts";
import {
  decodeShort,
  encodeShort,
  lifeTag,
  pairTag,
  SHORT_DIGEST_BYTES,
} from "../../../mesh/membership/native/short.ts";
import { Tags } from "../../../mesh/membership/native/tags.ts";
import { neighbours, Turns } from "../../../mesh/membership/native/turns.ts";
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
  assert.equal(windowMs(NATIVE_LAN, { live: 2, able: 1 }, 0), 2800);
  assert.equal(windowMs(NATIVE_LAN, { live: 6, able: 3 }, 1), 2500, "a small half asks for fewer");
  assert.equal(windowMs(NATIVE_LAN, { live: 5, able: 4 }, 2), 2500, "one of three may be slow");
  assert.equal(windowMs(NATIVE_LAN, { live: 6, able: 1 }, 0), 15_000, "but one alone waits");
});

test("the presets and their scaling keep the promised relations", () => {
  for (const timing of [NATIVE_LAN, NATIVE_WAN, scaledNative(0.1)]) {
    assert.ok(timing.suspicionMs < timing.suspicionSmallMs);
    assert.ok(timing.pingTimeoutMsMin < timing.pingTimeoutMsMax);
    assert.ok(timing.healMs < timing.healMaxMs);
    assert.ok(timing.graceMs < timing.innerMs && timing.innerMs < timing.outerMs);
  }
  assert.equal(scaledNative(0.1).innerMs, 75);
  assert.equal(scaledNative(0.1).pingTimeoutMsMax, 25);
  assert.equal(scaledNative(0.1).relays, 3);
  assert.deepEqual([transmitLimit(NATIVE_LAN, 200), transmitLimit(NATIVE_LAN, 1000)], [12, 16]);
});

test("a doubt expires once, later without confirmations, later after a pause", () => {
  const clock = new VirtualClock();
  const expired: string[] = [];
  let stalled = false;
  const doubts = new Doubts(clock, {
    windowMs: (confirmations) => 1000 - 200 * confirmations,
    accusersMax: 4,
    wasStalled: () => stalled,
    secondLookMs: 600,
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
  clock.advance(600);
  assert.deepEqual(expired, ["a 800", "b 2400"]);
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
  const restarted = lifeTag(idOf(1), { era: 0, incarnation: 5, boot: 8 });
  const pair = pairTag(tag, restarted);
  assert.notEqual(pair, pairTag(tag, tag));
  assert.notEqual(pair, pairTag(restarted, tag), "each direction has its own");
  const digest = Buffer.alloc(SHORT_DIGEST_BYTES, 3);
  const short = {
    kind: "pingReq",
    seq: 65_535,
    pair,
    digest,
    destination: 2 ** 48 - 1,
    patienceMs: 160,
  } as const;
  const news = { type: "update", record: record(3) } as const;
  const bytes = encodeShort(short, [encodeMessage(news)]);
  assert.deepEqual(decodeShort(bytes), { short, messages: [news] });
  const whole = { ...short, digest: Buffer.concat([digest, Buffer.alloc(4, 9)]) };
  assert.deepEqual(encodeShort(whole, [encodeMessage(news)]), bytes, "half of a digest travels");
  for (const length of [0, 1, 12, 20, bytes.length - 1]) {
    assert.throws(() => decodeShort(bytes.subarray(0, length)), { code: "BAD_MESSAGE" });
  }
  assert.throws(() => decodeShort(Uint8Array.of(0x29, ...bytes.subarray(1))), {
    code: "BAD_MESSAGE",
  });
});

test("a tag is understood by whom it is meant for, in their present lives only", () => {
  const [here, there] = [record(1), record(2)];
  const lifeOf = ({ era, meta, boot }: PeerRecord) => ({ ...meta, era, boot });
  const mine = new Tags(here.meta.id, lifeOf(here));
  const theirs = new Tags(there.meta.id, lifeOf(there));
  mine.observe(there);
  mine.observe(record(3));
  theirs.observe(here);
  const said = (tags: Tags, to: PeerRecord) => tags.to(to.meta.id) ?? assert.fail();
  assert.equal(theirs.speaker(said(mine, there)), here.meta.id);
  assert.equal(mine.speaker(said(theirs, here)), there.meta.id);
  assert.equal(mine.speaker(said(mine, there)), undefined, "its own packet, returned");
  assert.equal(theirs.speaker(said(mine, record(3))), undefined, "meant for somebody else");
  theirs.observe(record(3));
  const errand = mine.between(idOf(3), there.meta.id) ?? assert.fail();
  assert.equal(theirs.speaker(errand), idOf(3), "whom a relay is to ping");
  const before = said(theirs, here);
  mine.become(here.meta.id, { ...lifeOf(here), era: 1 });
  assert.equal(mine.speaker(before), undefined, "meant for the life before");
  theirs.observe({ ...here, era: 1 });
  assert.equal(mine.speaker(said(theirs, here)), there.meta.id);
  theirs.forget(here.meta.id);
  assert.equal(theirs.to(here.meta.id), undefined);
});

test("any bytes either decode or are a BAD_MESSAGE", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      try {
        decodeShort(Uint8Array.of(0x20 + (bytes.length % 6), ...bytes));
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

test("partners on the ring agree on it, and all pairs hang together", () => {
  for (let count = 2; count <= 9; count += 1) {
    const all = Array.from({ length: count }, (_, at) => record(at + 1));
    const of = (self: PeerRecord) =>
      neighbours(
        self.meta.id,
        all.filter((other) => other !== self),
      );
    for (const self of all) {
      const { inner, outer } = of(self);
      assert.ok(inner.length >= 1 && inner.length + outer.length <= 2);
      assert.equal(inner.length + outer.length, Math.min(2, count - 1));
      for (const peer of all) {
        const { id } = peer.meta;
        assert.equal(inner.includes(id), of(peer).inner.includes(self.meta.id), `${count}: ${id}`);
        assert.equal(outer.includes(id), of(peer).outer.includes(self.meta.id), `${count}: ${id}`);
      }
    }
    const triples = all.filter((self) => of(self).inner.length === 2);
    assert.equal(triples.length, count > 1 ? count % 2 : 0);
  }
});

test("the ring passes over suspects, and is empty for who is alone", () => {
  const live = [record(1), record(5), record(9, { state: "suspect" })];
  assert.deepEqual(neighbours(idOf(6), live), { inner: [idOf(5)], outer: [idOf(1)] });
  assert.deepEqual(neighbours(idOf(6), [record(5, { state: "suspect" })]), {
    inner: [],
    outer: [],
  });
});

test("who was pinged last pings next, and the other one if that does not come", () => {
  const turns = new Turns();
  assert.equal(turns.dueMs("a", 750, 100), Number.NEGATIVE_INFINITY, "a stranger at once");
  turns.answered("a", 1000);
  assert.equal(turns.dueMs("a", 750, 100), 1850);
  turns.pinged("a", 1740);
  assert.equal(turns.dueMs("a", 750, 100), 2490);
  assert.ok(turns.heardSince("a", 1740) && !turns.heardSince("a", 1741));
  turns.forget("a");
  assert.ok(!turns.heardSince("a", 0));
});
