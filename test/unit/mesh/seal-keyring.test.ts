/** The key ring: from passwords, changed, stored, and rotated under a mesh that goes on talking. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type PeerMeta, TsweaveError } from "../../../mesh/index.ts";
import { MeshNode } from "../../../mesh/node.ts";
import { Keyring, keyFromPassword, keyFromSecret } from "../../../mesh/wire/keyring.ts";
import { openKeyring } from "../../../mesh/wire/keyring-store.ts";
import { Seal } from "../../../mesh/wire/seal.ts";
import { FakeMembership } from "../../lib/fake-membership.ts";
import { MemoryNetwork } from "../../lib/memory-network.ts";
import { MemoryStore } from "../../lib/memory-store.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { SeededRandom } from "../../lib/seeded-random.ts";
import { VirtualClock } from "../../lib/virtual-clock.ts";
import { key, SealedWorld } from "./seal-fixture.ts";

test("a password gives the same key on every host, and its id tells nothing of it", async () => {
  const [one, again, other] = await Promise.all([
    keyFromPassword("correct horse battery"),
    keyFromPassword("correct horse battery"),
    keyFromPassword("correct horse batterz"),
  ]);
  assert.deepEqual(one, again);
  assert.notEqual(one.id, other.id);
  assert.match(one.id, /^[0-9a-f]{8}$/);
  assert.ok(!Buffer.from(one.secret).toString("hex").includes(one.id));
});

test("a ring is full at its limit, never without a key, and finds keys by their beginning", () => {
  let ring = Keyring.of(key(1));
  for (let byte = 2; byte <= 8; byte += 1) ring = ring.add(key(byte));
  assert.throws(() => ring.add(key(9)), { code: "CONFIG", hint: /keys remove/ });
  assert.equal(ring.add(key(3)), ring);
  assert.throws(() => ring.remove(key(1).id), { code: "CONFIG", hint: /keys use/ });
  assert.throws(() => ring.use("ffffffff"), { code: "NOT_FOUND" });
  assert.throws(() => ring.find(""), { code: "NOT_FOUND" });
  const used = ring.use(key(2).id.slice(0, 6)).remove(key(1).id);
  assert.equal(used.sending.id, key(2).id);
  assert.equal(used.has(key(1).id), false);
  assert.equal(used.wasRemoved(key(1).id), true);
  assert.equal(used.add(key(1)).wasRemoved(key(1).id), false);
  const back = Keyring.decode(used.encode());
  assert.deepEqual(back, used);
  assert.throws(() => keyFromSecret(Buffer.alloc(31)), { code: "BAD_REQUEST" });
});

test("what is stored decides what a password means at the next launch", async () => {
  const store = new MemoryStore();
  assert.equal(await openKeyring(store, undefined), undefined);
  const first = await openKeyring(store, "the first password");
  const oldId = first?.ring.sending.id ?? "";
  const added = await keyFromPassword("the second password");
  await first?.update((ring) => ring.add(added));
  await first?.update((ring) => ring.use(added.id));
  const middle = await openKeyring(store, "the first password");
  assert.equal(middle?.ring.sending.id, added.id, "a known password changes nothing");
  assert.equal(middle?.outdatedPassword, false);
  await middle?.update((ring) => ring.remove(oldId));
  const after = await openKeyring(store, "the first password");
  assert.deepEqual([after?.outdatedPassword, after?.ring.has(oldId)], [true, false]);
  assert.equal(after?.ring.sending.id, added.id, "a removed key does not come back");
  await assert.rejects(openKeyring(store, undefined), { code: "CONFIG", hint: /--password-file/ });
  const third = await openKeyring(store, "an unrelated password");
  assert.equal(third?.ring.keys.length, 1, "a new password replaces the ring");
  store.snapshots.set("keyring", Buffer.from("c1", "hex"));
  await assert.rejects(openKeyring(store, "the first password"), { code: "STATE_CORRUPT" });
});

test("a change that cannot be stored does not count", async () => {
  const store = new MemoryStore();
  const keeper = await openKeyring(store, "the first password");
  store.failure = new TsweaveError("STATE_UNWRITABLE", "disk full");
  const id = keeper?.ring.sending.id;
  await assert.rejects(keeper?.update((ring) => ring.add(key(2))) ?? Promise.resolve(), /full/);
  assert.equal(keeper?.ring.has(key(2).id), false);
  store.failure = undefined;
  await Promise.all([2, 3].map((byte) => keeper?.update((ring) => ring.add(key(byte)))));
  assert.deepEqual(
    keeper?.ring.keys.map((held) => held.id),
    [id, key(2).id, key(3).id],
  );
});

test("after a key is removed, nothing under it is accepted, new or recorded", async () => {
  const world = new SealedWorld();
  const a = world.sealed(1, 2);
  const b = world.sealed(1, 2);
  a.say(b, "one");
  await world.clock.run(20);
  if (b.seal !== undefined) b.seal.ring = b.seal.ring.use(key(2).id).remove(key(1).id);
  a.say(b, "two");
  await world.clock.run(20);
  assert.deepEqual(b.got, ["one"]);
  if (a.seal !== undefined) a.seal.ring = a.seal.ring.use(key(2).id);
  a.say(b, "three");
  await world.clock.run(20);
  assert.deepEqual(b.got, ["one", "three"], "the same session goes on under the new key");
  const sessions = [a, b].map(({ seal }) => Buffer.from(seal?.session ?? []).toString("hex"));
  const known = b.seal?.senders.get(sessions[0] ?? "")?.keys.keys() ?? [];
  assert.deepEqual([...known], [`datagram ${key(2).id}`], "what was derived is forgotten");
  assert.deepEqual([...(b.seal?.senders.usersSince(0) ?? [])], [[key(2).id, 1]]);
});

interface Peer {
  readonly meta: PeerMeta;
  readonly node: MeshNode;
  readonly seal: Seal;
}

async function mesh(count: number): Promise<{ clock: VirtualClock; peers: Peer[] }> {
  const clock = new VirtualClock();
  const random = new SeededRandom(5);
  const network = new MemoryNetwork(clock, random);
  const peers: Peer[] = [];
  const views: FakeMembership[] = [];
  for (let index = 0; index < count; index += 1) {
    const advertise = { host: `10.0.0.${index + 1}`, port: 6783 };
    const id = index.toString(16).padStart(32, "0");
    const meta = { id, name: `h${index}`, incarnation: 1, advertise };
    const view = new FakeMembership(meta);
    const seal = new Seal({ clock, random }, Keyring.of(key(1)));
    const node = await MeshNode.open(
      {
        datagrams: network.datagrams(advertise),
        streams: network.streams(advertise),
        clock,
        random,
        store: new MemoryStore(),
        log: new QuietLog(),
        seal,
      },
      { id, incarnation: 1 },
      () => view,
    );
    await node.start();
    peers.push({ meta, node, seal });
    views.push(view);
  }
  for (const [at, view] of views.entries()) {
    for (const { meta } of peers.filter((_, other) => other !== at)) view.set(meta, "alive", 0);
  }
  return { clock, peers };
}

test("a live mesh rotates its key and loses not one message", async () => {
  const { clock, peers } = await mesh(4);
  await clock.run(3000);
  const [sender, ...others] = peers;
  assert.ok(sender !== undefined);
  sender.node.rpc.serve("double", async (_from, body) => [body, body]);
  let sent = 0;
  const talk = async (): Promise<void> => {
    sender.node.tables.put("endpoints", `k${sent % 50}`, [sent]);
    sent += 1;
    const announced = sender.node.tables.announce(30);
    const asked = Promise.all(
      others.map(({ node }) => node.rpc.call(sender.meta.id, "double", sent, 500)),
    );
    const settled = Promise.all([announced, asked]);
    await clock.run(35);
    const [{ late }, answers] = await settled;
    assert.deepEqual(late, [], `message ${sent}`);
    assert.deepEqual(answers, [
      [sent, sent],
      [sent, sent],
      [sent, sent],
    ]);
  };
  const steps = [
    (ring: Keyring) => ring.add(key(2)),
    (ring: Keyring) => ring.use(key(2).id),
    (ring: Keyring) => ring.remove(key(1).id),
  ];
  for (const step of steps) {
    for (const { seal } of peers) {
      for (let round = 0; round < 5; round += 1) await talk();
      seal.ring = step(seal.ring);
    }
  }
  for (let round = 0; round < 5; round += 1) await talk();
  for (const { node, seal } of peers) {
    assert.equal(seal.counts.refused, 0);
    assert.equal(node.strangers.count, 0);
    assert.equal(node.tables.rows("endpoints").length, Math.min(sent, 50));
    await node.stop();
  }
});
