/** What a host promises about its addresses, scene by scene on a small simulated mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TIMES } from "../../../mesh/index.ts";
import { foundedMesh } from "./sim-founded.ts";
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const POOL = "10.40.0.0/24";

const meshOf = (count: number, seed = 1) => foundedMesh(POOL, count, { seed });

test("without peers a host founds alone and gives addresses lowest first", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  const ipalloc = mesh.ipalloc(0);
  assert.deepEqual(await within(mesh, ipalloc.openPool(POOL)), {
    cidr: POOL,
    gateway: "10.40.0.1",
  });
  assert.equal(ipalloc.status().founding.state, "founded");
  const given = [];
  for (const key of ["a", "b", "c"]) given.push(await within(mesh, ipalloc.allocate(POOL, key)));
  assert.deepEqual(given, ["10.40.0.2", "10.40.0.3", "10.40.0.4"]);
  assert.equal(await within(mesh, ipalloc.allocate(POOL, "b")), "10.40.0.3", "same key, same ip");
  assert.deepEqual(ipalloc.problems(), []);
});

test("declared peers found together and allocate apart, also in new pools", async () => {
  const mesh = await meshOf(3);
  const ids = new Set(mesh.hosts.map(({ index }) => mesh.ipalloc(index).status().founding.meshId));
  assert.equal(ids.size, 1);
  assert.deepEqual(
    mesh
      .ipalloc(0)
      .status()
      .pools[0]?.owned.map(({ addresses }) => addresses),
    [85, 85, 86],
  );
  mesh.partition([0]);
  await mesh.run(1000);
  const other = "10.50.0.0/16";
  const given = [];
  for (const index of [0, 1, 2]) {
    await within(mesh, mesh.ipalloc(index).openPool(other));
    given.push(await within(mesh, mesh.ipalloc(index).allocate(other, "x")));
  }
  assert.equal(new Set(given).size, 3);
});

test("a peer that was given peers never founds by itself and says whom it waits for", async () => {
  const mesh = new SimMesh(1, 3);
  await mesh.launch(0, [1, 2]);
  await within(mesh, mesh.ipalloc(0).openPool(POOL));
  await assert.rejects(within(mesh, mesh.ipalloc(0).allocate(POOL, "a")), (error: Error) => {
    assert.equal((error as { code?: string }).code, "NOT_FOUNDED");
    assert.match(error.message, /waiting for 1 more of 3 declared peers: 10\.9\.0\.2:6783, 10\.9/);
    return true;
  });
  await mesh.run(600_000);
  assert.equal(mesh.ipalloc(0).status().founding.state, "waiting");
  assert.equal(mesh.ipalloc(0).problems()[0]?.code, "NOT_FOUNDED");
  const waiting = mesh.ipalloc(0).allocate(POOL, "a");
  await mesh.launch(1, [0, 2]);
  assert.match(await within(mesh, waiting), /^10\.40\.0\./, "a majority is enough");
});

test("two counts that differ cannot found two meshes", async () => {
  // Host 0 thinks it is a pair with 1; host 1 was told of five.
  const mesh = new SimMesh(1, 5);
  await mesh.launch(0, [1]);
  await mesh.launch(1, [0, 2, 3, 4]);
  await mesh.run(30_000);
  assert.equal(mesh.ipalloc(0).status().founding.state, "waiting", "1 needs three of five");
  await mesh.launch(2, [0, 1, 3, 4]);
  await mesh.run(10_000);
  const meshIds = [0, 1, 2].map((index) => mesh.ipalloc(index).status().founding.meshId);
  assert.equal(new Set(meshIds).size, 1);
  assert.notEqual(meshIds[0], null);
});

test("a late peer adopts the founding and has space before it is cut off", async () => {
  const mesh = new SimMesh(1, 3);
  for (const [index, declared] of [
    [0, [1]],
    [1, [0]],
  ] as const)
    await mesh.launch(index, declared);
  await mesh.run(4000);
  await within(mesh, mesh.ipalloc(0).openPool(POOL));
  await mesh.launch(2, [0]);
  await within(mesh, mesh.ipalloc(2).openPool(POOL));
  await mesh.run(3000);
  mesh.partition([2]);
  await mesh.run(1000);
  const ip = await within(mesh, mesh.ipalloc(2).allocate(POOL, "late"));
  mesh.heal();
  await mesh.run(5000);
  const views = [0, 1, 2].map((index) =>
    JSON.stringify(
      mesh
        .ipalloc(index)
        .status()
        .pools[0]?.owned.map(({ used, ...rest }) => rest),
    ),
  );
  assert.equal(new Set(views.map((view) => view.replaceAll("true", ""))).size, 1);
  const own = mesh
    .ipalloc(2)
    .status()
    .pools[0]?.owned.find(({ peer }) => peer === "h2");
  assert.equal(own?.addresses, 32, "the largest aligned block of at most half of 126 free");
  assert.match(ip, /^10\.40\.0\./);
});

test("a gift whose answer was lost is found in the giver's row", async () => {
  const mesh = new SimMesh(1, 2);
  await mesh.launch(0);
  await mesh.launch(1, [0]);
  await mesh.run(3000);
  const before = mesh.ipalloc(0);
  await within(mesh, before.openPool(POOL));
  // Answers of the question are dropped, rows come by way of the tables.
  mesh.host(1).process?.rpc.dropAnswers();
  await within(mesh, mesh.ipalloc(1).openPool(POOL));
  assert.match(await within(mesh, mesh.ipalloc(1).allocate(POOL, "a")), /^10\.40\.0\./);
});

test("a restart gives nothing twice, keeps leases and lets a freed address rest", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  await within(mesh, mesh.ipalloc(0).openPool(POOL));
  const first = await within(mesh, mesh.ipalloc(0).allocate(POOL, "first"));
  const second = await within(mesh, mesh.ipalloc(0).allocate(POOL, "second"));
  await within(mesh, mesh.ipalloc(0).release(POOL, second));
  const { store } = mesh.ipalloc(0).status();
  mesh.crash(0);
  await mesh.launch(0);
  const ipalloc = mesh.ipalloc(0);
  assert.equal(ipalloc.status().store, store);
  assert.deepEqual(
    ipalloc.leases().map(({ ip, key }) => [ip, key]),
    [[first, "first"]],
  );
  const within30 = { within: "10.40.0.0/30" };
  const tight = ipalloc.allocate(POOL, "third", { ...within30, deadlineMs: 2000 });
  await assert.rejects(within(mesh, tight), { code: "NO_ADDRESS" }, "the freed address rests");
  await mesh.run(TIMES.addressQuarantineMs);
  assert.equal(await within(mesh, ipalloc.allocate(POOL, "third", within30)), second);
});

test("a resting address is given early when none else is free and no row has it", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  const ipalloc = mesh.ipalloc(0);
  const small = "10.40.0.0/29";
  await within(mesh, ipalloc.openPool(small));
  const given = [];
  for (const key of ["a", "b", "c", "d"])
    given.push(await within(mesh, ipalloc.allocate(small, key)));
  await within(mesh, ipalloc.release(small, given[2] ?? ""));
  await mesh.run(1000);
  await within(mesh, ipalloc.release(small, given[0] ?? ""));
  await mesh.run(10_000);
  const other = await within(mesh, ipalloc.allocate(small, "e"));
  assert.ok(!given.includes(other), "a rested address is taken before a resting one");
  const tables = mesh.hosts[0]?.process?.tables;
  assert.ok(tables);
  tables.late = ["slow"];
  const unconfirmed = ipalloc.allocate(small, "f", { deadlineMs: 1000 });
  await assert.rejects(within(mesh, unconfirmed), { code: "NO_ADDRESS" });
  tables.late = [];
  assert.equal(await within(mesh, ipalloc.allocate(small, "f")), given[2], "the longest rested");
  assert.equal(await within(mesh, ipalloc.allocate(small, "g")), given[0]);
  await within(mesh, ipalloc.release(small, given[1] ?? ""));
  const sinceMs = mesh.clock.nowMs();
  assert.equal(await within(mesh, ipalloc.allocate(small, "h")), given[1]);
  assert.ok(mesh.clock.nowMs() - sinceMs > 4000, "names that led to it are in no cache");
});

test("what runs already is filed whoever owns it, and asked of its owner", async () => {
  const mesh = await meshOf(2);
  const [mine, owners] = [mesh.ipalloc(0), mesh.ipalloc(1)];
  const theirs = await within(mesh, owners.allocate(POOL, "theirs"));
  const running = "10.40.0.200";
  mesh.partition([0]);
  await mesh.run(30_000);
  await within(mesh, mine.adopt(POOL, "adopted", running));
  await within(mesh, mine.adopt(POOL, "adopted", running));
  const away = mine.claim(POOL, "adopted", running);
  await assert.rejects(within(mesh, away), { code: "NO_ADDRESS" });
  const held = () => mine.leases().map(({ ip, key, owned }) => ({ ip, key, owned }));
  assert.deepEqual(held(), [{ ip: running, key: "adopted", owned: false }]);
  await assert.rejects(within(mesh, mine.adopt(POOL, "another", running)), {
    code: "ADDRESS_TAKEN",
  });
  mesh.heal();
  await mesh.run(10_000);
  await within(mesh, mine.claim(POOL, "adopted", running));
  assert.deepEqual(held(), [{ ip: running, key: "adopted", owned: true }]);
  await within(mesh, mine.adopt(POOL, "doubled", theirs));
  await assert.rejects(within(mesh, mine.claim(POOL, "doubled", theirs)), {
    code: "ADDRESS_TAKEN",
  });
});

test("a sub-pool is served even where another peer owns it", async () => {
  const mesh = await meshOf(2);
  const given = [];
  for (const key of ["a", "b", "c"]) {
    for (const part of ["10.40.0.64/28", "10.40.0.192/28"]) {
      const work = mesh.ipalloc(0).allocate(POOL, key + part, { within: part });
      given.push((await within(mesh, work)).split(".").at(-1));
    }
  }
  const low = given.filter((last) => Number(last) >= 64 && Number(last) < 80);
  const high = given.filter((last) => Number(last) >= 192 && Number(last) < 208);
  assert.deepEqual([low.length, high.length], [3, 3]);
  const outside = mesh.ipalloc(0).allocate(POOL, "x", { within: "10.41.0.0/28" });
  await assert.rejects(within(mesh, outside), { code: "CONFIG" });
});

test("an address is claimed from its owner, refused when in use or its owner is away", async () => {
  const mesh = await meshOf(3);
  const owner = mesh
    .ipalloc(0)
    .status()
    .pools[0]?.owned.find(({ peer }) => peer === "h1");
  const start = Number(owner?.ranges[0]?.match(/\.(\d+)-/)?.[1]);
  const taken = await within(mesh, mesh.ipalloc(1).allocate(POOL, "x"));
  const claim = (ip: string, key = ip) => within(mesh, mesh.ipalloc(0).claim(POOL, key, ip));
  assert.equal(await claim(`10.40.0.${start + 20}`), `10.40.0.${start + 20}`);
  assert.equal(await claim(`10.40.0.${start + 20}`), `10.40.0.${start + 20}`, "again: the same");
  await assert.rejects(claim(`10.40.0.${start + 20}`, "other"), { code: "ADDRESS_TAKEN" });
  await assert.rejects(claim(taken), (error: Error) => {
    assert.equal((error as { code?: string }).code, "ADDRESS_TAKEN");
    assert.match(error.message, /h1 is leased there/);
    return true;
  });
  for (const reserved of ["10.40.0.0", "10.40.0.1", "10.40.0.255"]) {
    await assert.rejects(claim(reserved), { code: "ADDRESS_TAKEN" }, reserved);
  }
  await assert.rejects(claim("10.41.0.1"), { code: "BAD_REQUEST" });
  mesh.partition([1]);
  await mesh.run(1000);
  await assert.rejects(claim(`10.40.0.${start + 21}`), (error: Error) => {
    assert.equal((error as { code?: string }).code, "NO_ADDRESS");
    assert.match(error.message, /belongs to h1, which cannot be reached/);
    return true;
  });
});

test("pools: strict text, overlap, gateway, reserved addresses, closing", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  const ipalloc = mesh.ipalloc(0);
  const open = (cidr: string, gateway?: string) => within(mesh, ipalloc.openPool(cidr, gateway));
  await assert.rejects(open("10.40.0.1/24"), { code: "CONFIG" });
  await assert.rejects(open("10.40.0.0/30"), { code: "CONFIG" });
  await assert.rejects(within(mesh, ipalloc.allocate(POOL, "a")), { code: "NOT_FOUND" });
  await open(POOL);
  assert.equal((await open(POOL, "10.40.0.2")).gateway, "10.40.0.2", "a default gives way");
  assert.equal((await open(POOL)).gateway, "10.40.0.2");
  await assert.rejects(open(POOL, "10.40.0.3"), { code: "POOL_CONFLICT" });
  await assert.rejects(open("10.40.0.0/16"), { code: "POOL_CONFLICT" });
  await within(mesh, ipalloc.reserve(POOL, "10.40.0.3"));
  assert.equal(await within(mesh, ipalloc.allocate(POOL, "a")), "10.40.0.1");
  assert.equal(await within(mesh, ipalloc.allocate(POOL, "b")), "10.40.0.4");
  await within(mesh, ipalloc.rekey(POOL, "10.40.0.4", "c"));
  assert.equal(await within(mesh, ipalloc.allocate(POOL, "c")), "10.40.0.4");
  await within(mesh, ipalloc.release(POOL, "10.40.0.200"));
  await within(mesh, ipalloc.release(POOL, "10.40.0.3"));
  await within(mesh, ipalloc.release("10.99.0.0/24", "10.99.0.1"));
  await within(mesh, ipalloc.closePool(POOL));
  await within(mesh, ipalloc.closePool(POOL));
  await assert.rejects(within(mesh, ipalloc.allocate(POOL, "d")), { code: "NOT_FOUND" });
  await open("10.40.0.0/16");
});

test("requests at the same time get different addresses and one journal record each", async () => {
  const mesh = new SimMesh(1, 1, { slowDisk: 1 });
  await mesh.launch(0);
  await within(mesh, mesh.ipalloc(0).openPool("10.32.0.0/12"));
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
  const all = keys.map((key) => mesh.ipalloc(0).allocate("10.32.0.0/12", key));
  const given = await within(mesh, Promise.all(all));
  assert.equal(new Set(given).size, 50);
});

test("a full disk refuses, changes nothing and heals by a new journal", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  const ipalloc = mesh.ipalloc(0);
  await within(mesh, ipalloc.openPool(POOL));
  mesh.host(0).disk.failure = new Error("ENOSPC");
  await assert.rejects(within(mesh, ipalloc.allocate(POOL, "a")), { code: "STATE_UNWRITABLE" });
  assert.equal(ipalloc.leases().length, 0);
  assert.equal(ipalloc.problems()[0]?.code, "STATE_UNWRITABLE");
  mesh.host(0).disk.failure = undefined;
  assert.equal(await within(mesh, ipalloc.allocate(POOL, "a")), "10.40.0.2");
  assert.deepEqual(ipalloc.problems(), []);
});

test("a long life is compacted and reads back the same", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  await within(mesh, mesh.ipalloc(0).openPool("10.32.0.0/12"));
  for (let round = 0; round < 900; round++) {
    const ip = await mesh.ipalloc(0).allocate("10.32.0.0/12", `k${round}`);
    if (round % 3 !== 0) await mesh.ipalloc(0).release("10.32.0.0/12", ip);
  }
  assert.ok(mesh.host(0).disk.records.length < 1100, `${mesh.host(0).disk.records.length} records`);
  const before = mesh.ipalloc(0).leases();
  mesh.crash(0);
  await mesh.launch(0);
  assert.deepEqual(mesh.ipalloc(0).leases(), before);
  assert.equal(before.length, 300);
});

test("two meshes that meet stay apart and both say so", async () => {
  const mesh = new SimMesh(1, 3);
  mesh.partition([1]);
  await mesh.launch(0);
  await mesh.launch(1);
  await mesh.launch(2, [0]);
  await mesh.run(1000);
  for (const index of [0, 1, 2]) await within(mesh, mesh.ipalloc(index).openPool(POOL));
  await within(mesh, mesh.ipalloc(2).allocate(POOL, "a"));
  mesh.heal();
  await mesh.run(10_000);
  for (const [index, others] of [
    [0, "h1"],
    [1, "h0, h2"],
  ] as const) {
    const [problem] = mesh.ipalloc(index).problems();
    assert.equal(problem?.code, "MESH_CONFLICT");
    assert.match(problem?.text ?? "", new RegExp(`^${others} belong to mesh [0-9a-f]{16}`));
  }
  const owners = (index: number) =>
    mesh
      .ipalloc(index)
      .status()
      .pools[0]?.owned.map(({ peer }) => peer)
      .sort();
  assert.deepEqual(owners(0), ["h0", "h2"], "nothing merged");
  assert.deepEqual(owners(1), ["h1"], "nothing merged");
});

test("status shows every owner's ranges, use and whether it can be reached", async () => {
  const mesh = await meshOf(2);
  await within(mesh, mesh.ipalloc(1).allocate(POOL, "x"));
  mesh.partition([1]);
  await mesh.run(TIMES.useCountMs + 1000);
  mesh.heal();
  await mesh.run(3000);
  mesh.partition([1]);
  await mesh.run(1000);
  const [pool] = mesh.ipalloc(0).status().pools;
  const byPeer = pool?.owned.toSorted((a, b) => (a.peer < b.peer ? -1 : 1));
  assert.deepEqual(
    byPeer?.map(({ peer, addresses, used, reachable }) => [peer, addresses, used, reachable]),
    [
      ["h0", 128, 0, true],
      ["h1", 128, 1, false],
    ],
  );
  const ranges = pool?.owned.flatMap((owned) => owned.ranges);
  assert.deepEqual(ranges, ["10.40.0.0-10.40.0.127", "10.40.0.128-10.40.0.255"]);
  assert.deepEqual([pool?.used, pool?.free, pool?.conflicts], [1, 252, []]);
});

test("a damaged journal stops the start with the cure", async () => {
  const mesh = new SimMesh(1, 1);
  await mesh.launch(0);
  mesh.crash(0);
  mesh.host(0).disk.records.splice(0, 1);
  await assert.rejects(mesh.launch(0), { code: "STATE_CORRUPT" });
  mesh.host(0).disk.records.unshift(Uint8Array.of(0xc1));
  await assert.rejects(mesh.launch(0), { code: "STATE_CORRUPT" });
});
