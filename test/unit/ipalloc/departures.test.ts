/** Peers that die, leave, come back and are forgotten, scene by scene on a small simulated mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { foundedMesh } from "./sim-founded.ts";
import type { SimHost, SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const POOL = "10.40.0.0/24";
const GONE = "gone-for-good";
const VOUCHED = "gone-for-good-with-majority";

const meshOf = (count: number, launched = count) => foundedMesh(POOL, count, { launched });

/** What a daemon does with a container: an address, then its row. */
async function runContainer(mesh: SimMesh, index: number, key: string): Promise<string> {
  const ip = await within(mesh, mesh.ipalloc(index).allocate(POOL, key));
  mesh.host(index).running.set(ip, key);
  mesh.host(index).process?.tables.put("endpoints", ip, [ip]);
  return ip;
}

function ownedBy(mesh: SimMesh, index: number): Record<string, number> {
  const pool = mesh.ipalloc(index).status().pools[0];
  return Object.fromEntries((pool?.owned ?? []).map(({ peer, addresses }) => [peer, addresses]));
}

const idOf = (mesh: SimMesh, index: number) => mesh.host(index).id;
const codeOf = (code: string) => (error: { code?: string }) => error.code === code;
const storeOf = ({ disk }: SimHost) => disk.durable?.store;

test("one of three is forgotten: one heir has its space, what it ran is kept back", async () => {
  const mesh = await meshOf(3);
  const ip = await runContainer(mesh, 2, "web");
  await mesh.run(500);
  mesh.crash(2);
  await mesh.run(1000);
  const both = [0, 1].map((from) => mesh.ipalloc(from).forget([idOf(mesh, 2)], GONE));
  const results = await within(mesh, Promise.all(both));
  for (const { state, heir } of results) {
    assert.equal(state, "done");
    assert.equal(heir, results[0]?.heir);
  }
  await mesh.run(1000);
  assert.deepEqual(ownedBy(mesh, 0), ownedBy(mesh, 1));
  assert.equal(Object.keys(ownedBy(mesh, 0)).length, 2);
  const heir = results[0]?.heir === "h0" ? 0 : 1;
  await assert.rejects(
    within(mesh, mesh.ipalloc(heir).claim(POOL, "x", ip)),
    codeOf("ADDRESS_TAKEN"),
  );
  await assert.rejects(
    within(mesh, mesh.ipalloc(1 - heir).claim(POOL, "x", ip)),
    codeOf("ADDRESS_TAKEN"),
  );
  mesh.dropRows(mesh.host(2));
  assert.equal(await within(mesh, mesh.ipalloc(heir).claim(POOL, "x", ip)), ip);
});

test("a member that cannot answer delays the taking over and is named", async () => {
  const mesh = await meshOf(4);
  mesh.crash(3);
  await mesh.run(1000);
  mesh.partition([2]);
  await mesh.run(1000);
  const result = await within(mesh, mesh.ipalloc(0).forget([idOf(mesh, 3)], GONE));
  assert.equal(result.state, "pending", "two of four electors are half");
  assert.match(result.text, /h2/);
  mesh.heal();
  await mesh.run(20_000);
  assert.equal(mesh.ipalloc(0).roster().members.length, 3);
  assert.deepEqual(mesh.ipalloc(0).roster().waits, []);

  const five = await meshOf(5);
  five.crash(4);
  five.partition([3]);
  await five.run(1000);
  const decided = await within(five, five.ipalloc(0).forget([idOf(five, 4)], GONE));
  assert.equal(decided.state, "reclaiming");
  await five.run(2000);
  const waits = [0, 1, 2].flatMap((index) => five.ipalloc(index).roster().waits);
  assert.deepEqual(
    waits.map(({ what, waitingFor }) => [what, waitingFor]),
    [["reclaim", ["h3"]]],
  );
  five.heal();
  await five.run(20_000);
  assert.equal(Object.keys(ownedBy(five, 3)).length, 4);
});

test("of two, one is gone: the operator is enough to go on and to admit another", async () => {
  const mesh = await meshOf(3, 2);
  mesh.bury(1);
  await mesh.run(1000);
  await mesh.launch(2, [0]);
  await within(mesh, mesh.ipalloc(2).openPool(POOL));
  await mesh.run(5000);
  assert.equal(mesh.ipalloc(2).roster().self, "joining", "two electors, one is silent");
  await assert.rejects(within(mesh, mesh.ipalloc(2).allocate(POOL, "a")), (error: Error) => {
    assert.match(error.message, /waits to be admitted \(h0 cannot reach enough electors/);
    return true;
  });
  const result = await within(mesh, mesh.ipalloc(0).forget([idOf(mesh, 1)], GONE));
  assert.equal(result.state, "done");
  await mesh.run(12_000);
  assert.equal(mesh.ipalloc(2).roster().self, "member");
  assert.match(await within(mesh, mesh.ipalloc(2).allocate(POOL, "a")), /^10\.40\.0\./);
});

test("with three, one down: everything works without any word, admission too", async () => {
  const mesh = await meshOf(4, 3);
  mesh.crash(1);
  await mesh.run(1000);
  await mesh.launch(3, [0]);
  await within(mesh, mesh.ipalloc(3).openPool(POOL));
  await mesh.run(3000);
  mesh.partition([3]);
  await mesh.run(1000);
  assert.match(await within(mesh, mesh.ipalloc(3).allocate(POOL, "a")), /^10\.40\.0\./);
});

test("a lost majority needs the stronger word, which says what it asserts", async () => {
  const mesh = await meshOf(3);
  mesh.bury(1);
  mesh.bury(2);
  await mesh.run(1000);
  const lost = [idOf(mesh, 1), idOf(mesh, 2)];
  await assert.rejects(
    within(mesh, mesh.ipalloc(0).forget(lost, GONE)),
    (error: { code?: string; hint?: string }) => {
      assert.equal(error.code, "NO_MAJORITY");
      assert.match(error.hint ?? "", /nobody joined or was removed through them unseen/);
      return true;
    },
  );
  assert.equal((await within(mesh, mesh.ipalloc(0).forget(lost, VOUCHED))).state, "done");
  assert.deepEqual(ownedBy(mesh, 0), { h0: 256 });
});

test("who is alive, unknown or oneself is not forgotten", async () => {
  const mesh = await meshOf(2);
  const { forget } = { forget: (id: string) => within(mesh, mesh.ipalloc(0).forget([id], GONE)) };
  await assert.rejects(forget(idOf(mesh, 1)), codeOf("BAD_REQUEST"));
  await assert.rejects(forget(idOf(mesh, 0)), codeOf("BAD_REQUEST"));
  await assert.rejects(forget("f".repeat(32)), codeOf("NOT_FOUND"));
});

test("each side of a cut calls the other gone: one stands, both keep what runs", async () => {
  const mesh = await meshOf(2);
  const ips = [await runContainer(mesh, 0, "a"), await runContainer(mesh, 1, "b")];
  mesh.partition([0]);
  await mesh.run(1000);
  for (const index of [0, 1]) {
    const other = idOf(mesh, 1 - index);
    assert.equal((await within(mesh, mesh.ipalloc(index).forget([other], GONE))).state, "done");
  }
  mesh.heal();
  await mesh.run(30_000);
  const stands = mesh.ipalloc(0).roster().number;
  for (const index of [0, 1]) {
    const { roster, leases, problems } = mesh.ipalloc(index);
    assert.equal(roster.call(mesh.ipalloc(index)).self, "member");
    assert.equal(roster.call(mesh.ipalloc(index)).number, stands);
    const [lease] = leases.call(mesh.ipalloc(index));
    assert.deepEqual([lease?.ip, lease?.owned], [ips[index], true], "asked back from the heir");
    assert.deepEqual(problems.call(mesh.ipalloc(index)), []);
  }
});

test("a lost journal: a new store replaces the old one, its containers go on", async () => {
  const mesh = await meshOf(2);
  const ip = await runContainer(mesh, 1, "web");
  await mesh.run(500);
  const before = storeOf(mesh.host(1));
  mesh.loseDisk(1);
  await mesh.run(1000);
  await mesh.launch(1);
  await mesh.run(500);
  await within(mesh, mesh.ipalloc(1).openPool(POOL));
  await within(mesh, mesh.ipalloc(1).adopt(POOL, "web", ip));
  await mesh.run(20_000);
  assert.notEqual(storeOf(mesh.host(1)), before);
  const { members, former } = mesh.ipalloc(0).roster();
  assert.deepEqual(members.map(({ name }) => name).sort(), ["h0", "h1"]);
  assert.deepEqual(
    former.map(({ store, how }) => [store, how]),
    [[before, "replaced"]],
  );
  assert.deepEqual(
    mesh
      .ipalloc(1)
      .leases()
      .map((lease) => [lease.ip, lease.owned]),
    [[ip, true]],
  );
});

test("leaving hands everything on; launched again it joins as another store", async () => {
  const mesh = await meshOf(3);
  await runContainer(mesh, 2, "web");
  await assert.rejects(within(mesh, mesh.ipalloc(2).leave()), codeOf("BAD_REQUEST"));
  for (const { ip } of mesh.ipalloc(2).leases()) {
    await within(mesh, mesh.ipalloc(2).release(POOL, ip));
  }
  const owned = ownedBy(mesh, 2).h2;
  const result = await within(mesh, mesh.ipalloc(2).leave());
  assert.equal(result.state, "left");
  assert.equal(result.addresses, owned);
  await assert.rejects(
    within(mesh, mesh.ipalloc(2).allocate(POOL, "late")),
    /this peer is leaving/,
  );
  mesh.crash(2);
  await mesh.run(1000);
  assert.deepEqual(Object.keys(ownedBy(mesh, 0)).sort(), ["h0", "h1"]);
  const before = storeOf(mesh.host(2));
  await mesh.launch(2);
  await mesh.run(5000);
  assert.equal(mesh.ipalloc(2).roster().self, "member");
  assert.notEqual(storeOf(mesh.host(2)), before);
});

test("of two, one leaves and is gone at once: the other knows and can admit a third", async () => {
  const mesh = await meshOf(3, 2);
  const result = await within(mesh, mesh.ipalloc(1).leave());
  mesh.crash(1);
  mesh.dropRows(mesh.host(1));
  assert.equal(result.state, "left");
  assert.deepEqual(ownedBy(mesh, 0), { h0: 256 });
  assert.equal(mesh.ipalloc(0).roster().members.length, 1);
  await mesh.launch(2, [0]);
  await mesh.run(3000);
  assert.equal(mesh.ipalloc(2).roster().self, "member");
});

test("leaving alone, or with nobody in reach", async () => {
  const alone = await meshOf(1);
  assert.equal((await within(alone, alone.ipalloc(0).leave())).state, "alone");
  const mesh = await meshOf(2);
  mesh.crash(1);
  await mesh.run(1000);
  await assert.rejects(within(mesh, mesh.ipalloc(0).leave()), codeOf("PEER_UNREACHABLE"));
  assert.equal(mesh.ipalloc(0).roster().self, "member", "it goes on as before");
  assert.match(await within(mesh, mesh.ipalloc(0).allocate(POOL, "a")), /^10\./);
  await within(mesh, mesh.ipalloc(0).release(POOL, "10.40.0.2"));
  assert.equal((await within(mesh, mesh.ipalloc(0).leave({ force: true }))).state, "forced");
});

test("an old question of an earlier store of a host admits nobody", async () => {
  const mesh = await meshOf(3, 2);
  mesh.cut(0, 2);
  mesh.cut(1, 2);
  await mesh.launch(2, [0]);
  const early = "00000000000000aa";
  mesh.heal();
  await mesh.run(4000);
  const meshId = mesh.ipalloc(0).status().founding.meshId;
  const question = mesh.host(0).process?.rpc.handler("ipalloc.admit")?.(idOf(mesh, 2), [
    meshId,
    early,
  ]);
  await assert.doesNotReject(within(mesh, question ?? Promise.reject(new Error("no handler"))));
  await mesh.run(5000);
  const stores = mesh
    .ipalloc(0)
    .roster()
    .members.map(({ store }) => store);
  assert.ok(!stores.includes(early) && stores.length === 3);
});
