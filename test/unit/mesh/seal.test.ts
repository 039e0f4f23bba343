/** Sealed datagrams: what arrives, what never does, and what strangers can and cannot cause. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../../../mesh/index.ts";
import { KINDS } from "../../../mesh/wire/envelope.ts";
import { ReplayWindow, WINDOW_COUNTERS } from "../../../mesh/wire/replay-window.ts";
import { openFrame, readHeader, sealFrame, sessionKey } from "../../../mesh/wire/seal-frame.ts";
import { key, SealedWorld } from "./seal-fixture.ts";

const ELSEWHERE = { host: "10.9.9.9", port: 6783 };

test("the replay window accepts each counter once, also out of order, and none too old", () => {
  const window = new ReplayWindow(5);
  for (const counter of [4, 0]) assert.equal(window.accept(counter), false, `before: ${counter}`);
  for (const counter of [7, 5, 6, 2000, 1999, 2000 - WINDOW_COUNTERS + 1]) {
    assert.equal(window.accept(counter), true, `first ${counter}`);
    assert.equal(window.accept(counter), false, `again ${counter}`);
  }
  assert.equal(window.accept(2000 - WINDOW_COUNTERS), false, "behind the window");
  assert.equal(window.accept(2 ** 47), true);
  assert.equal(window.accept(2 ** 47 - 5), true);
  // Against the plainest model: a set of all seen and the newest.
  const model = { seen: new Set<number>(), newest: -1 };
  const modelled = new ReplayWindow();
  const world = new SealedWorld();
  for (let step = 0; step < 20_000; step += 1) {
    const counter = Math.max(0, model.newest - 1100 + world.random.below(1300));
    const expected = counter > model.newest - WINDOW_COUNTERS && !model.seen.has(counter);
    assert.equal(modelled.accept(counter), expected, `${counter} after ${model.newest}`);
    if (expected) model.seen.add(counter);
    model.newest = Math.max(model.newest, expected ? counter : -1);
  }
});

test("peers with one key understand one another from the first datagram", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  a.say(b, "first");
  await world.clock.run(20);
  assert.deepEqual(b.got, ["first"], "held for a round trip, then delivered");
  b.say(a, "answer");
  for (let at = 0; at < 50; at += 1) a.say(b, `n${at}`);
  await world.clock.run(20);
  assert.deepEqual(a.got, ["answer"]);
  assert.equal(b.got.length, 51);
  assert.equal(new Set(b.got).size, 51);
  assert.equal(b.strangers.count + a.strangers.count, 0);
  for (const { bytes } of world.recorded) {
    assert.ok(!Buffer.from(bytes).toString("latin1").includes("first"), "nothing in clear");
  }
});

test("a first contact costs one question a pair, and one answer unless both ask", async () => {
  const world = new SealedWorld();
  const kinds = (): number[] => world.recorded.splice(0).map(({ bytes }) => (bytes[3] ?? 0) & 0x7f);
  const [a, b] = [world.sealed(1), world.sealed(1)];
  a.say(b, "first");
  await world.clock.run(20);
  assert.deepEqual(kinds(), [KINDS.tables, KINDS.challenge, KINDS.proof]);
  b.say(a, "answer");
  await world.clock.run(20);
  assert.deepEqual(kinds(), [KINDS.tables], "its challenge was its proof");
  assert.deepEqual([a.got, b.got], [["answer"], ["first"]]);
  const [c, d] = [world.sealed(1), world.sealed(1)];
  c.say(d, "at once");
  d.say(c, "at once");
  await world.clock.run(20);
  const both = [KINDS.tables, KINDS.tables, KINDS.challenge, KINDS.challenge];
  assert.deepEqual(kinds(), both, "each answers the other's datagram");
  assert.deepEqual([c.got, d.got], [["at once"], ["at once"]]);
});

test("a challenge admits its sender only for a datagram that was just sent here", async () => {
  for (const [afterMs, admitted] of [
    [100, 1],
    [6000, 0],
  ] as const) {
    const world = new SealedWorld();
    const [a, b] = [world.sealed(1), world.sealed(1)];
    world.network.cuts.add(`${b.at.host}>${a.at.host}`);
    a.say(b, "first");
    await world.clock.run(afterMs);
    world.network.heal();
    const [, challenge] = world.recorded;
    assert.ok(challenge);
    world.inject(challenge.from, challenge.to, challenge.bytes);
    await world.clock.run(20);
    assert.equal(a.seal?.senders.size, admitted, `${afterMs} ms later`);
    const later = world.peer(a.seal?.ring, a.at);
    later.say(b, "another life");
    world.inject(challenge.from, challenge.to, challenge.bytes);
    await world.clock.run(1);
    assert.equal(later.seal?.senders.size, 0, "what another life sent proves nothing");
  }
});

test("what goes to several is sealed once, and again when it is said again", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const others = [world.sealed(1), world.sealed(1), world.sealed(1)];
  for (const other of others) a.say(other, "hello");
  await world.clock.run(20);
  const saidBefore = world.recorded.length;
  a.sayAll(others, "news");
  a.sayAll(others, "news");
  a.sayAll([], "to nobody");
  const frames = world.recorded.slice(saidBefore).map(({ bytes }) => Buffer.from(bytes));
  assert.equal(frames.length, 6);
  assert.equal(new Set(frames.map((bytes) => bytes.toString("hex"))).size, 2);
  for (const { from, to, bytes } of world.recorded.slice(saidBefore)) world.inject(from, to, bytes);
  await world.clock.run(20);
  for (const { got } of others) assert.deepEqual(got, ["hello", "news", "news"], "each once");
});

test("a full payload makes a datagram of the size limit, not more", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  const text = "x".repeat(LIMITS.datagramPayloadBytesMax);
  a.say(b, text);
  await world.clock.run(20);
  assert.deepEqual(b.got, [text]);
  assert.equal(world.recorded[0]?.bytes.length, LIMITS.datagramBytesMax);
});

test("loss of challenges and proofs only delays", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  world.network.loss = 0.6;
  for (let at = 0; at < 100; at += 1) {
    a.say(b, `n${at}`);
    await world.clock.run(25);
  }
  world.network.loss = 0;
  const before = b.got.length;
  assert.ok(before > 15, `${before} of 100`);
  for (let at = 0; at < 100; at += 1) a.say(b, `late${at}`);
  await world.clock.run(50);
  assert.equal(b.got.filter((text) => text.startsWith("late")).length, 100);
});

test("any flipped bit, any truncation and any trailing byte is refused", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  a.say(b, "known");
  await world.clock.run(20);
  world.network.cuts.add(`${a.at.host}>${b.at.host}`);
  a.say(b, "secret");
  const bytes = world.recorded.at(-1)?.bytes ?? new Uint8Array();
  world.network.heal();
  const hostile: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    hostile.push(bytes.subarray(0, at));
    for (let bit = 0; bit < 8; bit += 1) {
      const copy = Uint8Array.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ (1 << bit);
      hostile.push(copy);
    }
  }
  hostile.push(Buffer.concat([bytes, Buffer.of(0)]), Buffer.concat([bytes, bytes]));
  const senders = b.seal?.senders.size;
  for (const from of [a.at, ELSEWHERE]) {
    for (const copy of hostile) world.inject(from, b.at, copy);
  }
  await world.clock.run(50);
  assert.deepEqual(b.got, ["known"]);
  assert.equal(b.seal?.senders.size, senders);
  const counts = b.seal?.counts;
  assert.ok((counts?.refused ?? 0) > bytes.length * 8, JSON.stringify(counts));
  world.inject(a.at, b.at, bytes);
  await world.clock.run(20);
  assert.deepEqual(b.got, ["known", "secret"], "the true one still arrives");
});

test("a recorded datagram is accepted once, in any later life of the receiver never", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  for (let at = 0; at < 10; at += 1) a.say(b, `n${at}`);
  await world.clock.run(20);
  for (let at = 0; at < 30; at += 1) a.say(b, `more${at}`);
  await world.clock.run(20);
  assert.equal(b.got.length, 40);
  const all = world.recorded.filter(({ to }) => to.host === b.at.host);
  const known = b.got.length;
  for (const { from, to, bytes } of all) world.inject(from, to, bytes);
  await world.clock.run(50);
  assert.equal(b.got.length, known);
  assert.ok((b.seal?.counts.replayed ?? 0) >= known);
  // The receiver restarts, the sender lives on: recordings from before are still not taken.
  await world.clock.run(6000);
  const again = world.peer(b.seal?.ring, b.at);
  for (const { from, to, bytes } of all) world.inject(from, to, bytes);
  await world.clock.run(100);
  assert.deepEqual(again.got, []);
  a.say(again, "new");
  await world.clock.run(50);
  assert.deepEqual(again.got, ["new"]);
  for (const { from, to, bytes } of all) world.inject(from, to, bytes);
  await world.clock.run(50);
  assert.deepEqual(again.got, ["new"]);
});

test("recordings of a life that ended are never taken, and hold nothing", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  for (let at = 0; at < 40; at += 1) a.say(b, `n${at}`);
  await world.clock.run(20);
  const old = world.recorded.filter(({ from }) => from.host === a.at.host);
  await world.clock.run(1000);
  const nextA = world.peer(a.seal?.ring, a.at);
  const nextB = world.peer(b.seal?.ring, b.at);
  for (let round = 0; round < 10; round += 1) {
    for (const { from, to, bytes } of old) world.inject(from, to, bytes);
    await world.clock.run(100);
  }
  assert.deepEqual(nextB.got, []);
  assert.equal(nextB.seal?.senders.size, 1, "one session waits in vain");
  nextA.say(nextB, "alive");
  await world.clock.run(50);
  assert.deepEqual(nextB.got, ["alive"]);
});

test("a stream frame is no datagram, a datagram no stream frame, a kind no other kind", () => {
  const ringKey = key(1);
  const session = Buffer.alloc(12, 7);
  const header = { kind: KINDS.tables, hint: ringKey.hint, session, counter: 3 };
  const payload = Buffer.from("payload");
  const frame = sealFrame(sessionKey(ringKey, session, "datagram"), header, payload);
  assert.deepEqual(openFrame(sessionKey(ringKey, session, "datagram"), 3, frame), payload);
  assert.equal(openFrame(sessionKey(ringKey, session, "stream"), 3, frame), undefined);
  const other = Uint8Array.from(frame);
  other[3] = 0x80 | KINDS.membership;
  assert.equal(readHeader(other)?.kind, KINDS.membership);
  assert.equal(openFrame(sessionKey(ringKey, session, "datagram"), 3, other), undefined);
  assert.equal(openFrame(sessionKey(ringKey, session, "datagram"), 4, frame), undefined);
});

test("another password: nothing passes, both sides say so, once a minute in the log", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(2);
  for (let at = 0; at < 20; at += 1) {
    a.say(b, "hello");
    await world.clock.run(1000);
  }
  assert.deepEqual(b.got, []);
  assert.deepEqual(
    b.strangers.list().map(({ place, why }) => [place, why]),
    [["10.0.0.1:6783", "other-key"]],
  );
  assert.deepEqual(
    a.strangers.list().map(({ place, why }) => [place, why]),
    [["10.0.0.2:6783", "other-key"]],
  );
  const warnings = b.log.lines.filter(({ level }) => level === "warn");
  assert.deepEqual(
    warnings.map(({ message }) => message),
    ["a peer uses another password"],
  );
  assert.equal(b.seal?.senders.size, 0);
  await world.clock.run(31_000);
  assert.deepEqual(b.strangers.list(), [], "and is forgotten when it is over");
});

test("plain and encrypted: nothing passes either way, both sides say so", async () => {
  const world = new SealedWorld();
  const plain = world.peer(undefined);
  const sealed = world.sealed(1);
  plain.say(sealed, "a plain word that is long enough");
  await world.clock.run(20);
  assert.deepEqual(sealed.strangers.list()[0]?.why, "plain");
  assert.deepEqual(plain.strangers.list()[0]?.why, "sealed");
  await world.clock.run(60_000);
  sealed.say(plain, "word");
  await world.clock.run(20);
  assert.deepEqual(sealed.strangers.list()[0]?.why, "plain");
  assert.deepEqual(plain.strangers.list()[0]?.why, "sealed");
  assert.deepEqual([plain.got, sealed.got], [[], []]);
});

test("floods of strangers: no growth, bounded notes, log and answers", async () => {
  const world = new SealedWorld();
  const b = world.sealed(1);
  const right = key(1);
  let sent = 0;
  for (let at = 0; at < 20_000; at += 1) {
    const from = { host: `10.${1 + (at >> 14)}.${(at >> 7) & 127}.${at & 127}`, port: 6783 };
    const bytes = Buffer.from(world.random.bytes(24 + world.random.below(60)));
    bytes.set([0x74, 0x77, 1, at % 3 === 0 ? 1 : 0x80 | (at % 8), at % 2 ? right.hint : at & 255]);
    sent += bytes.length;
    world.inject(from, b.at, bytes);
    if (at % 100 === 0) await world.clock.run(20);
  }
  await world.clock.run(50);
  assert.deepEqual(b.got, []);
  assert.equal(b.seal?.senders.size, 0);
  assert.ok(b.strangers.list().length <= LIMITS.strangersMax);
  assert.ok(b.log.lines.length <= 2 * LIMITS.strangersMax, `${b.log.lines.length} log lines`);
  assert.ok(b.strangers.count > 15_000);
  const answered = world.recorded.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(answered < sent / 50, `${answered} bytes answered to ${sent}`);
  for (const { bytes } of world.recorded) assert.ok(bytes.length <= 24);
});

test("forged notices raise no alarm, damage from a known peer is no wrong key", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  a.say(b, "hello");
  await world.clock.run(20);
  for (let reason = 0; reason < 5; reason += 1) {
    const notice = Buffer.concat([Buffer.of(0x74, 0x77, 1, 3, reason), Buffer.alloc(18, 9)]);
    world.inject(ELSEWHERE, a.at, notice);
    world.inject(ELSEWHERE, a.at, notice.subarray(0, 4 + reason));
  }
  const damaged = Uint8Array.from(world.recorded[0]?.bytes ?? []);
  damaged[30] = (damaged[30] ?? 0) ^ 1;
  world.inject(a.at, b.at, damaged);
  await world.clock.run(20);
  assert.deepEqual([a.strangers.list(), b.strangers.list()], [[], []]);
  assert.equal(b.seal?.counts.refused, 1);
});

test("two keys with one first id byte are told apart", async () => {
  const first = key(1);
  let twin = 2;
  const secret = (number: number): Buffer => Buffer.alloc(32, `key ${number}`);
  const { keyFromSecret, Keyring } = await import("../../../mesh/wire/keyring.ts");
  while (keyFromSecret(secret(twin)).hint !== first.hint) twin += 1;
  const second = keyFromSecret(secret(twin));
  const world = new SealedWorld();
  const a = world.peer(Keyring.of(second));
  const b = world.peer(Keyring.of(first).add(second).use(second.id));
  const c = world.peer(Keyring.of(first));
  a.say(b, "hello");
  a.say(c, "hello");
  await world.clock.run(20);
  assert.deepEqual([b.got, c.got], [["hello"], []]);
  assert.equal(c.strangers.list()[0]?.why, "other-key");
});

test("the table of senders is bounded; who was pushed out proves itself anew", async () => {
  const world = new SealedWorld();
  const b = world.sealed(1);
  const a = world.sealed(1);
  a.say(b, "one");
  await world.clock.run(20);
  const old = world.recorded.filter(({ to }) => to.host === b.at.host);
  const senders = b.seal?.senders;
  for (let at = 0; at < LIMITS.sealSendersMax + 100; at += 1) {
    const sender = senders?.entry(`made up ${at}`, "00000000", world.clock.nowMs() + 1);
    if (sender !== undefined) sender.window = new ReplayWindow();
  }
  assert.equal(senders?.size, LIMITS.sealSendersMax);
  await world.clock.run(6000);
  for (const { from, to, bytes } of old) world.inject(from, to, bytes);
  await world.clock.run(50);
  assert.deepEqual(b.got, ["one"]);
  a.say(b, "two");
  await world.clock.run(50);
  assert.deepEqual(b.got, ["one", "two"]);
});

test("sealing and opening cost some microseconds", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1);
  const b = world.sealed(1);
  const rounds = 5000;
  const payload = Buffer.alloc(300, 1);
  const frames: Buffer[] = [];
  let startMs = performance.now();
  for (let at = 0; at < rounds; at += 1) {
    frames.push(a.seal?.seal("datagram", KINDS.tables, payload) ?? Buffer.alloc(0));
  }
  const sealUs = ((performance.now() - startMs) * 1000) / rounds;
  startMs = performance.now();
  for (const frame of frames) assert.ok(b.seal?.open("datagram", frame));
  const openUs = ((performance.now() - startMs) * 1000) / rounds;
  console.log(`seal ${sealUs.toFixed(1)} us, open of an unknown session ${openUs.toFixed(1)} us`);
  assert.ok(sealUs < 500 && openUs < 500, `${sealUs} ${openUs}`);
});
