/** Pools of every size and kind: IPv6, several at once, parts of pools, and a /16 filled up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "../../../ipalloc/address.ts";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { Pool } from "../../../ipalloc/pool.ts";
import { LIMITS } from "../../../mesh/index.ts";
import { SimChecker } from "./sim-checker.ts";
import { foundedMesh } from "./sim-founded.ts";
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const STORE = "00000000000000aa";

const meshOf = (count: number, pool: string) => foundedMesh(pool, count);

function ownPool(text: string): Pool {
  const cidr = parseCidr(text);
  const pool = new Pool(cidr, STORE);
  pool.learn([{ ...cidr, generation: 0, step: 0, owner: STORE, by: STORE }]);
  return pool;
}

for (const text of ["fd00:40::/64", "fd00:40::/112", "10.40.0.0/16"]) {
  test(`a pool ${text} is divided, given from, claimed in and read back`, async () => {
    const cidr = parseCidr(text);
    const mesh = await meshOf(2, text);
    const [a, b] = [mesh.ipalloc(0), mesh.ipalloc(1)];
    const given = await within(
      mesh,
      Promise.all([a.allocate(text, "a"), b.allocate(text, "b"), a.allocate(text, "c")]),
    );
    assert.equal(new Set(given).size, 3);
    for (const ip of given) {
      const { value, bits } = parseAddress(ip);
      assert.ok(bits === cidr.bits && value > cidr.start && value < cidr.end - 1n, ip);
    }
    const other = given[1] ?? "";
    await assert.rejects(within(mesh, a.claim(text, "x", other)), { code: "ADDRESS_TAKEN" });
    await within(mesh, b.release(text, other));
    await mesh.run(31_000);
    assert.equal(await within(mesh, a.claim(text, "x", other)), other, "a single address moves");
    mesh.crash(0);
    await mesh.launch(0);
    const again = mesh
      .ipalloc(0)
      .leases()
      .map(({ ip, owned }) => [ip, owned]);
    assert.deepEqual(
      again.toSorted(),
      [given[0], given[2], other].map((ip) => [ip, true]).toSorted(),
    );
    const [pool] = mesh.ipalloc(0).status().pools;
    const half = Number((cidr.end - cidr.start) / 2n);
    assert.deepEqual(
      pool?.owned.map(({ addresses }) => Math.abs(addresses - half) <= 1),
      [true, true],
    );
  });
}

test("a late peer is given a part of an IPv6 pool", async () => {
  const pool = "fd00:40::/64";
  const mesh = new SimMesh(1, 2);
  await mesh.launch(0, []);
  await within(mesh, mesh.ipalloc(0).openPool(pool));
  await mesh.launch(1, [0]);
  await within(mesh, mesh.ipalloc(1).openPool(pool));
  await mesh.run(5000);
  mesh.partition([1]);
  assert.match(await within(mesh, mesh.ipalloc(1).allocate(pool, "k")), /^fd00:40:/);
});

test("pools side by side do not touch one another", async () => {
  const mesh = await meshOf(2, "10.40.0.0/24");
  const more = ["10.41.0.0/24", "172.20.0.0/16", "fd00:41::/64"];
  for (const pool of more) {
    for (const index of [0, 1]) await within(mesh, mesh.ipalloc(index).openPool(pool));
  }
  const keys = await Promise.all(
    ["10.40.0.0/24", ...more].map((pool) => within(mesh, mesh.ipalloc(0).allocate(pool, "same"))),
  );
  assert.equal(new Set(keys).size, 4, "a key has one address in each pool");
  await within(mesh, mesh.ipalloc(0).closePool("10.41.0.0/24"));
  assert.equal(
    mesh
      .ipalloc(0)
      .status()
      .pools.filter(({ open }) => open).length,
    3,
  );
});

test("a part of a pool is allocated from, wherever the host's own ranges are", async () => {
  const pool = "10.40.0.0/24";
  const mesh = await meshOf(3, pool);
  const checker = new SimChecker(mesh, parseCidr(pool));
  // 85 addresses each: the first part is h0's, the second spans two owners, the third is h2's.
  for (const part of ["10.40.0.16/28", "10.40.0.80/28", "10.40.0.192/28"]) {
    const inside = parseCidr(part);
    const given: string[] = [];
    for (let turn = 0; turn < 12; turn++) {
      const work = mesh.ipalloc(turn % 3).allocate(pool, `${part} ${turn}`, { within: part });
      given.push(await within(mesh, work));
    }
    assert.equal(new Set(given).size, 12);
    for (const ip of given) {
      const { value } = parseAddress(ip);
      assert.ok(value >= inside.start && value < inside.end, `${ip} is outside ${part}`);
    }
  }
  if (checker.failure !== undefined) throw checker.failure;
  const full = mesh.ipalloc(0).allocate(pool, "x", { within: "10.40.0.0/30", deadlineMs: 3000 });
  assert.match(await within(mesh, full), /^10\.40\.0\.[23]$/);
  mesh.partition([0]);
  await mesh.run(1000);
  const far = mesh.ipalloc(0).allocate(pool, "far", { within: "10.40.0.224/28" });
  await assert.rejects(within(mesh, far), {
    code: "NO_ADDRESS",
    message: /asked: no peer with free space can be reached/,
  });
});

test("a /16 is given out to the last address, and taken back", () => {
  const pool = ownPool("10.40.0.0/16");
  const usable = 65_536 - 3;
  assert.ok(usable <= LIMITS.leasesMax);
  let last = pool.cidr.start;
  for (let n = 0; n < usable; n++) {
    const address = pool.pick(pool.cidr);
    assert.ok(address !== undefined && address > last, "lowest first");
    pool.lease(address, `k${n}`, 0, true);
    last = address;
  }
  assert.equal(pool.pick(pool.cidr), undefined);
  assert.equal(pool.free, 0n);
  pool.refresh();
  assert.equal(pool.free, 0n, "the same when counted anew");
  for (const [address] of [...pool.leases.entries()]) pool.leases.release(address, 5);
  pool.wake(4);
  assert.equal(pool.free, 0n);
  pool.wake(5);
  assert.equal(pool.free, BigInt(usable));
});

test("free space that follows gifts is what counting anew gives", () => {
  const pool = ownPool("10.40.0.0/24");
  const other = "00000000000000bb";
  const at = (offset: number) => pool.cidr.start + BigInt(offset);
  pool.lease(at(10), "a", 0, true);
  pool.lease(at(200), "b", 0, false);
  let step = 0;
  for (const [start, end, owner] of [
    [128, 256, other],
    [0, 64, other],
    [192, 224, STORE],
    [0, 16, STORE],
    [250, 256, STORE],
  ] as const) {
    step++;
    void pool.free;
    pool.learn([{ start: at(start), end: at(end), generation: 0, step, owner, by: owner }]);
    const [free, owned] = [pool.free, pool.owned];
    pool.refresh();
    assert.deepEqual([pool.free, pool.owned], [free, owned]);
  }
});
