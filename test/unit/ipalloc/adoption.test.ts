/** A mesh that is given up and adopted by another: who goes where, and what goes along. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NO_VOTE } from "../../../ipalloc/consensus.ts";
import { makeFounding } from "../../../ipalloc/founding.ts";
import { showSurrender } from "../../../ipalloc/founding-rows.ts";
import { Ledger } from "../../../ipalloc/ledger.ts";
import { firstRoster } from "../../../ipalloc/roster.ts";
import { destinationOf, type Surrender } from "../../../ipalloc/surrender.ts";
import { AdoptionSchedule, type AdoptionTotals } from "./sim-adoption.ts";
import { meshOf } from "./sim-checker.ts";
import { SimStore } from "./sim-disk.ts";
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const POOL = "10.40.0.0/24";
const { SEED: ONLY, SCHEDULES = "60", FROM = "1" } = process.env;

/** Seeds of a long run that ended it once. */
const FOUND_ONCE = [200217, 367038];

const id = (n: number): string => n.toString(16).padStart(16, "0");
const founding = (n: number) => makeFounding(id(n), [{ store: id(n + 100), peer: "1".repeat(32) }]);
const word = (mesh: number, into: number, sinceMs = 0): Surrender => ({
  mesh: id(mesh),
  into: founding(into),
  sinceMs,
});

/** Two meshes that were founded apart, `sizes` hosts each, and have met. */
async function twoMeshes(sizes: readonly [number, number], seed = 1): Promise<SimMesh> {
  const mesh = new SimMesh(seed, sizes[0] + sizes[1]);
  const all = mesh.hosts.map(({ index }) => index);
  const first = all.slice(0, sizes[0]);
  mesh.partition(first);
  for (const side of [first, all.slice(sizes[0])]) {
    for (const index of side) {
      await mesh.launch(
        index,
        side.filter((other) => other !== index),
      );
    }
  }
  await mesh.run(4000);
  for (const index of all) await within(mesh, mesh.ipalloc(index).openPool(POOL));
  return mesh;
}

/** A container at an address of the host's choice or the operator's. */
async function start(mesh: SimMesh, host: number, key: string, ip?: string): Promise<string> {
  const { ipalloc, tables } = mesh.host(host).process ?? {};
  if (ipalloc === undefined) throw new Error(`host ${host} is down`);
  const work = ip === undefined ? ipalloc.allocate(POOL, key) : ipalloc.claim(POOL, key, ip);
  const given = await within(mesh, work);
  mesh.host(host).running.set(given, key);
  tables?.put("endpoints", given, [given]);
  return given;
}

const meshes = (mesh: SimMesh) => mesh.hosts.map(meshOf);
const codes = (mesh: SimMesh, host: number) =>
  mesh
    .ipalloc(host)
    .problems()
    .map(({ code }) => code);
const conflicts = (mesh: SimMesh, host: number) =>
  mesh
    .ipalloc(host)
    .status()
    .pools.flatMap((pool) => pool.conflicts.map(({ ip }) => ip));

test("the newer word counts, and of a circle the smallest id remains", () => {
  const to = (from: number, ...words: Surrender[]) => destinationOf(id(from), words)?.meshId;
  assert.equal(to(1), undefined);
  assert.equal(to(1, word(2, 3)), undefined);
  assert.equal(to(1, word(1, 2)), id(2));
  assert.equal(to(1, word(1, 2), word(2, 3)), id(3));
  assert.equal(to(1, word(1, 2, 5), word(1, 3, 4)), id(2));
  assert.equal(to(1, word(1, 3), word(1, 2)), id(2), "of one time the smaller id");
  assert.equal(to(1, word(1, 2), word(2, 1)), undefined);
  assert.equal(to(2, word(1, 2), word(2, 1)), id(1));
  assert.equal(to(5, word(5, 3), word(3, 4), word(4, 2), word(2, 3)), id(2));
  const words = fc.array(
    fc.tuple(fc.nat(6), fc.nat(6), fc.nat(2)).filter(([a, b]) => a !== b),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(words, fc.nat(6), (drawn, from) => {
      const known = drawn.map(([mesh, into, sinceMs]) => word(mesh, into, sinceMs));
      const there = destinationOf(id(from), known)?.meshId;
      assert.equal(destinationOf(id(from), known.toReversed())?.meshId, there);
      if (there !== undefined) assert.equal(destinationOf(there, known), undefined, "once");
    }),
  );
});

test("two meshes refuse one another, and become one when one of them is given up", async () => {
  const mesh = await twoMeshes([2, 2]);
  const before = [
    await start(mesh, 0, "a"),
    await start(mesh, 1, "b"),
    await start(mesh, 2, "c", "10.40.0.77"),
  ];
  const twice = await start(mesh, 0, "d", "10.40.0.99");
  await start(mesh, 3, "e", "10.40.0.99");
  mesh.heal();
  await mesh.run(3000);
  for (const host of [0, 1, 2, 3]) assert.deepEqual(codes(mesh, host), ["MESH_CONFLICT"]);
  assert.equal(new Set(meshes(mesh)).size, 2);
  const plan = mesh.ipalloc(0).planAdoption(mesh.host(2).id);
  assert.deepEqual(plan, {
    mesh: meshOf(mesh.host(0)),
    into: meshOf(mesh.host(2)),
    adopters: ["h2", "h3"],
    peers: ["h0", "h1"],
    absent: [],
    addresses: 3,
  });
  const result = await within(mesh, mesh.ipalloc(0).giveUp(mesh.host(2).id));
  assert.equal(result.state, "done", result.text);
  await mesh.run(20_000);
  assert.deepEqual(new Set(meshes(mesh)), new Set([plan.into]));
  for (const host of [0, 1, 2, 3]) {
    assert.deepEqual(conflicts(mesh, host), host === 0 ? [twice] : []);
    assert.deepEqual(codes(mesh, host), host === 0 ? ["ADDRESS_CONFLICT"] : []);
    assert.equal(mesh.ipalloc(host).roster().members.length, 4);
  }
  const held = [0, 1, 2].flatMap((host) => mesh.ipalloc(host).leases());
  for (const ip of before) assert.ok(held.find((lease) => lease.ip === ip)?.owned, ip);
  assert.equal(mesh.ipalloc(1).ownerOf(twice), mesh.host(3).id, "who adopts wins");
  // The container is restarted: its address goes, it gets another.
  await within(mesh, mesh.ipalloc(0).release(POOL, twice));
  assert.notEqual(await within(mesh, mesh.ipalloc(0).allocate(POOL, "d2")), twice);
  assert.deepEqual(codes(mesh, 0), []);
});

test("what makes no sense is refused with the reason, and nothing is changed", async () => {
  const mesh = await twoMeshes([1, 1]);
  const before = meshes(mesh);
  const tell = (peer: string) => () => mesh.ipalloc(0).planAdoption(peer);
  assert.throws(tell(mesh.host(1).id), { code: "PEER_UNREACHABLE" });
  mesh.heal();
  await mesh.run(3000);
  assert.throws(tell(mesh.host(0).id), { code: "BAD_REQUEST" });
  assert.throws(tell("f".repeat(32)), { code: "PEER_UNREACHABLE" });
  await within(mesh, mesh.ipalloc(1).closePool(POOL));
  await within(mesh, mesh.ipalloc(1).openPool("10.40.0.0/16"));
  await mesh.run(1000);
  assert.throws(tell(mesh.host(1).id), { code: "POOL_CONFLICT" });
  await assert.rejects(within(mesh, mesh.ipalloc(0).giveUp(mesh.host(1).id)), {
    code: "POOL_CONFLICT",
  });
  await mesh.run(5000);
  assert.deepEqual(meshes(mesh), before);
});

test("who is away follows when it is back; a word of a stranger moves nobody", async () => {
  const mesh = await twoMeshes([2, 1]);
  const kept = await start(mesh, 1, "kept");
  mesh.crash(1);
  mesh.heal();
  await mesh.run(2000);
  // Nobody of the other mesh can give this one up.
  const [ours, theirs] = [0, 2].map((host) => mesh.host(host).disk.durable?.founding);
  if (ours === undefined || theirs === undefined) throw new Error("not founded");
  const { tables } = mesh.host(2).process ?? {};
  if (tables !== undefined) {
    showSurrender(tables, { mesh: ours.meshId, into: theirs, sinceMs: 5 });
  }
  await mesh.run(5000);
  assert.equal(new Set(meshes(mesh)).size, 2);
  const result = await within(mesh, mesh.ipalloc(0).giveUp(mesh.host(2).id));
  assert.deepEqual([result.state, result.absent], ["done", ["h1"]]);
  await mesh.launch(1);
  await within(mesh, mesh.ipalloc(1).openPool(POOL));
  await mesh.run(20_000);
  assert.equal(new Set(meshes(mesh)).size, 1);
  assert.deepEqual(
    mesh
      .ipalloc(1)
      .leases()
      .map(({ ip, owned }) => [ip, owned]),
    [[kept, true]],
  );
});

test("a host goes on as it is until it is admitted, and a full disk only delays it", async () => {
  const mesh = await twoMeshes([1, 2]);
  mesh.heal();
  await mesh.run(5000);
  mesh.crash(2);
  await mesh.run(1000);
  const result = await within(mesh, mesh.ipalloc(0).giveUp(mesh.host(1).id), 30_000);
  assert.equal(result.state, "pending", "one of two electors is away");
  assert.match(result.text, /h0 will go .*h1 cannot reach enough electors/);
  assert.ok(codes(mesh, 0).includes("ADOPTION_PENDING"));
  await start(mesh, 0, "meanwhile");
  mesh.host(0).disk.failure = new Error("no space left");
  await mesh.launch(2);
  await mesh.run(20_000);
  assert.equal(new Set(meshes(mesh)).size, 2);
  mesh.host(0).disk.failure = undefined;
  await mesh.run(20_000);
  assert.equal(new Set(meshes(mesh)).size, 1);
  await within(mesh, mesh.ipalloc(2).openPool(POOL));
  await mesh.run(10_000);
  assert.deepEqual(codes(mesh, 0), []);
});

test("a crash at any instant of it is made good by the next start", async () => {
  for (let instant = 0; instant < 40; instant++) {
    const mesh = await twoMeshes([2, 2], 1 + instant);
    mesh.faults.slowDisk = 0.7;
    const kept = await start(mesh, instant % 2, "kept");
    mesh.heal();
    await mesh.run(5000);
    const word = mesh.ipalloc(0).giveUp(mesh.host(2).id);
    word.catch(() => undefined);
    await mesh.run(instant * 5);
    mesh.crash(instant % 2);
    await mesh.run(instant * 20);
    await mesh.launch(instant % 2);
    await mesh.run(20_000);
    if (new Set(meshes(mesh)).size > 1) {
      // The word itself was lost with the crash: it is given again.
      assert.ok(instant % 2 === 0 && instant < 20, `instant ${instant}`);
      await within(mesh, mesh.ipalloc(0).giveUp(mesh.host(2).id));
      await mesh.run(10_000);
    }
    assert.equal(new Set(meshes(mesh)).size, 1, `instant ${instant}`);
    for (const host of [0, 1, 2, 3]) await within(mesh, mesh.ipalloc(host).openPool(POOL));
    await mesh.run(10_000);
    const held = mesh.ipalloc(instant % 2).leases();
    assert.deepEqual(
      held.map(({ ip, owned }) => [ip, owned]),
      [[kept, true]],
    );
  }
});

test("after a host has gone nothing of the former mesh is written any more", async () => {
  const mesh = new SimMesh(1, 1);
  const { clock, log } = mesh;
  const store = new SimStore(mesh, mesh.host(0), () => true);
  const ledger = await Ledger.open({ clock, log, store }, () => id(1));
  await ledger.exclusive((commit) => commit({ kind: "founding", founding: founding(1) }));
  const late = ledger.exclusive(() => undefined);
  const place = { store: id(2), founding: founding(3), roster: firstRoster(founding(3)) };
  const [next] = await Promise.all([ledger.moveTo(place), late]);
  const { length } = mesh.host(0).disk.records;
  const write = ledger.exclusive((commit) => commit({ kind: "vote", vote: NO_VOTE }));
  await assert.rejects(write, { code: "NOT_RUNNING" });
  await assert.rejects(ledger.rebirth(id(4)), { code: "NOT_RUNNING" });
  assert.equal(mesh.host(0).disk.records.length, length);
  assert.equal(next.state.store, id(2));
  assert.equal(meshOf(mesh.host(0)), id(3));
});

test("requests that are under way when the host goes are answered there", async () => {
  const mesh = await twoMeshes([1, 1]);
  mesh.heal();
  await mesh.run(5000);
  mesh.faults.slowDisk = 1;
  const result = mesh.ipalloc(0).giveUp(mesh.host(1).id);
  const given: string[] = [];
  for (let round = 0; round < 40; round++) {
    given.push(await within(mesh, mesh.ipalloc(0).allocate(POOL, `k${round}`)));
  }
  assert.equal((await within(mesh, result)).state, "done");
  assert.equal(new Set(given).size, 40);
  mesh.faults.slowDisk = 0;
  await mesh.run(20_000);
  assert.deepEqual(conflicts(mesh, 0), []);
  assert.equal(mesh.ipalloc(0).leases().length, 40);
});

test("more addresses than one round asks for go along, whatever of them is taken", async () => {
  const mesh = await twoMeshes([1, 1]);
  for (let n = 0; n < 90; n++) await start(mesh, 0, `a${n}`, `10.40.0.${10 + n}`);
  for (let n = 0; n < 70; n++) await start(mesh, 1, `b${n}`, `10.40.0.${10 + n}`);
  mesh.heal();
  await mesh.run(5000);
  await within(mesh, mesh.ipalloc(0).giveUp(mesh.host(1).id));
  await mesh.run(60_000);
  assert.equal(conflicts(mesh, 0).length, 70);
  assert.equal(
    mesh
      .ipalloc(0)
      .leases()
      .filter(({ owned }) => owned).length,
    20,
  );
  assert.deepEqual(conflicts(mesh, 1), []);
});

test("two meshes that are each given up to the other become one", async () => {
  for (const sizes of [
    [1, 1],
    [2, 2],
    [1, 3],
  ] as const) {
    const mesh = await twoMeshes(sizes);
    mesh.heal();
    await mesh.run(5000);
    const last = mesh.hosts.length - 1;
    const words = [
      mesh.ipalloc(0).giveUp(mesh.host(last).id),
      mesh.ipalloc(last).giveUp(mesh.host(0).id),
    ];
    await within(mesh, Promise.allSettled(words), 30_000);
    await mesh.run(60_000);
    assert.equal(new Set(meshes(mesh)).size, 1, String(sizes));
    for (const { index } of mesh.hosts) assert.equal(mesh.ipalloc(index).roster().self, "member");
  }
});

test("no schedule of crashes and cuts loses an address or gives one twice", async () => {
  const sum: AdoptionTotals = { granted: 0, crashes: 0, given: 0, twice: 0, moved: 0 };
  const count = Number(SCHEDULES);
  const usual = [...Array.from({ length: count }, (_, n) => n + +FROM), ...FOUND_ONCE];
  const seeds = ONLY === undefined ? usual : [+ONLY];
  for (const seed of seeds) {
    try {
      const totals = await new AdoptionSchedule(seed).run();
      for (const what of Object.keys(sum) as (keyof AdoptionTotals)[]) sum[what] += totals[what];
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  if (ONLY !== undefined) return;
  for (const what of ["crashes", "given", "twice", "moved"] as const) {
    assert.ok(sum[what] >= count / 5, `only ${sum[what]} ${what}: the test tests nothing`);
  }
  assert.ok(sum.granted > count * 5, `only ${sum.granted} grants`);
});
