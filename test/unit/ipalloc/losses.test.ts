/** What a host does when its disk does not hold what it once promised to remember. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseAddress } from "../../../ipalloc/address.ts";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { wasForgotten } from "../../../ipalloc/forgotten.ts";
import { type Ownership, recordAt } from "../../../ipalloc/ownership.ts";
import { SimChecker } from "./sim-checker.ts";
import { foundedMesh } from "./sim-founded.ts";
import { SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const POOL = "10.40.0.0/24";
const DAMAGE = { lostBytes: 77, keptAt: "/state/ipalloc.journal.damaged" };

const meshOf = (count: number) => foundedMesh(POOL, count);

test("a damaged journal is not guessed around: a new store, the leases kept", async () => {
  const mesh = await meshOf(3);
  const checker = new SimChecker(mesh, parseCidr(POOL));
  const kept = await within(mesh, mesh.ipalloc(0).allocate(POOL, "kept"));
  const lost = await within(mesh, mesh.ipalloc(0).allocate(POOL, "lost"));
  mesh.host(0).running.set(kept, "kept").set(lost, "lost");
  const { store } = mesh.ipalloc(0).status();
  mesh.crash(0);
  const { disk } = mesh.host(0);
  disk.replace(disk.records.slice(0, -1));
  disk.damaged = DAMAGE;
  await mesh.launch(0);
  const ipalloc = mesh.ipalloc(0);
  assert.notEqual(ipalloc.status().store, store);
  assert.deepEqual(
    ipalloc.leases().map(({ ip, key }) => [ip, key]),
    [[kept, "kept"]],
  );
  const [problem] = ipalloc.problems();
  assert.equal(problem?.code, "STATE_DAMAGED");
  assert.match(problem?.text ?? "", /\d+ records could be read, 77 bytes were lost; .* as store/);
  assert.match(problem?.next ?? "", /the damaged file is \/state\/ipalloc\.journal\.damaged/);
  // As the daemon does from Docker's list.
  await within(mesh, ipalloc.adopt(POOL, "lost", lost));
  await mesh.run(30_000);
  assert.deepEqual(
    ipalloc.leases().map(({ ip, owned }) => [ip, owned]),
    [
      [kept, true],
      [lost, true],
    ],
  );
  assert.equal(ipalloc.roster().self, "member");
  assert.match(await within(mesh, ipalloc.allocate(POOL, "new")), /^10\.40\.0\./);
  if (checker.failure !== undefined) throw checker.failure;
  checker.converged();
  mesh.crash(0);
  await mesh.launch(0);
  assert.deepEqual(mesh.ipalloc(0).problems(), [], "the new journal is whole");
});

test("a host alone founds anew, but not while somebody knows the mesh it forgot", async () => {
  const mesh = new SimMesh(1, 2);
  await mesh.launch(0, []);
  await within(mesh, mesh.ipalloc(0).openPool(POOL));
  const damage = async () => {
    mesh.crash(0);
    const { disk } = mesh.host(0);
    // Of the roster only the founding is left: it names nobody else.
    disk.replace(disk.records.slice(0, 3));
    disk.damaged = DAMAGE;
    await mesh.launch(0);
  };
  await damage();
  assert.equal(mesh.ipalloc(0).status().founding.state, "waiting");
  await mesh.run(6000);
  assert.equal(mesh.ipalloc(0).status().founding.state, "founded");
  await mesh.launch(1, [0]);
  await mesh.run(10_000);
  const { meshId } = mesh.ipalloc(1).status().founding;
  await damage();
  await mesh.run(10_000);
  assert.equal(mesh.ipalloc(0).status().founding.meshId, meshId);
});

test("a disk that was set back is found by what the others know, and begins anew", async () => {
  const mesh = await meshOf(2);
  const checker = new SimChecker(mesh, parseCidr(POOL));
  const before = mesh.host(0).disk.records.slice();
  const { store } = mesh.ipalloc(0).status();
  const theirs = mesh.ipalloc(1).claim(POOL, "claimed", "10.40.0.20");
  const other = mesh.ipalloc(1).claim(POOL, "other", "10.40.0.220");
  const given = await within(mesh, Promise.all([theirs, other]));
  assert.deepEqual(given, ["10.40.0.20", "10.40.0.220"], "one of them was of the first host");
  await mesh.run(3000);
  mesh.crash(0);
  checker.forget(0);
  mesh.host(0).disk.replace(before);
  await mesh.launch(0);
  await mesh.run(20_000);
  const codes = mesh
    .ipalloc(0)
    .problems()
    .map(({ code }) => code);
  assert.deepEqual(codes, ["STATE_SET_BACK"]);
  assert.notEqual(mesh.ipalloc(0).status().store, store);
  assert.match(await within(mesh, mesh.ipalloc(0).allocate(POOL, "new")), /^10\.40\.0\./);
  await mesh.run(10_000);
  checker.converged();
});

test("a gift that its giver forgot and its taker never heard of is witnessed", async () => {
  const mesh = await meshOf(3);
  const checker = new SimChecker(mesh, parseCidr(POOL));
  const before = mesh.host(0).disk.records.slice();
  const { store } = mesh.ipalloc(0).status();
  const own = mesh
    .host(0)
    .disk.durable?.pool(POOL)
    ?.ownership.find(({ owner }) => owner === store);
  const wanted = formatAddress((own?.start ?? 0n) + 9n, 32);
  for (const from of [0, 2]) mesh.cut(from, 1);
  mesh
    .ipalloc(1)
    .claim(POOL, "unheard", wanted)
    .catch(() => undefined);
  await mesh.run(400);
  for (const index of [0, 1]) mesh.crash(index);
  const known = mesh.host(2).disk.durable?.pool(POOL)?.ownership ?? [];
  assert.equal(recordAt(known, parseAddress(wanted).value)?.by, store, "one host knows of it");
  checker.forget(0);
  mesh.host(0).disk.replace(before);
  mesh.heal();
  for (const index of [0, 1]) await mesh.launch(index);
  await mesh.run(30_000);
  const [problem] = mesh.ipalloc(0).problems();
  assert.equal(problem?.code, "STATE_SET_BACK");
  checker.converged();
  const rows = mesh.host(2).process?.tables.rows("ranges") ?? [];
  const shown = rows.filter(({ origin }) => origin === mesh.host(2).id).map(({ value }) => value);
  assert.doesNotMatch(JSON.stringify(shown), new RegExp(store), "nothing is witnessed any more");
});

test("only what this store must have written counts as forgotten", () => {
  const at = (owner: string, by: string, step: number, generation = 0): Ownership => [
    { start: 0n, end: 8n, generation, step, owner, by },
  ];
  const forgot = (theirs: Ownership, ours: Ownership) => {
    const byStore = theirs.filter(({ by }) => by === "a");
    const toStore = theirs.filter(({ owner }) => owner === "a");
    const mergeable = theirs.filter(({ owner }) => owner !== "a");
    return wasForgotten({ mergeable, byStore, toStore }, ours, "a");
  };
  assert.ok(forgot(at("b", "a", 1), at("a", "a", 0)), "a gift");
  assert.ok(forgot(at("b", "b", 2), at("a", "a", 0)), "a gift that was merged since");
  assert.ok(forgot(at("a", "c", 2), at("a", "a", 0)), "a gift that came back since");
  assert.ok(!forgot(at("b", "c", 1), at("c", "c", 0)), "a gift among others");
  assert.ok(!forgot(at("a", "c", 1), at("c", "c", 0)), "a gift to this store");
  assert.ok(!forgot(at("b", "b", 0, 7), at("a", "a", 3)), "what was taken over");
});

test("where most electors lost their disks the last one says the word that helps", async () => {
  const mesh = await meshOf(3);
  for (const index of [0, 1]) mesh.loseDisk(index);
  for (const index of [0, 1]) await mesh.launch(index);
  await mesh.run(20_000);
  assert.deepEqual(
    [0, 1, 2].map((index) => mesh.ipalloc(index).roster().self),
    ["joining", "joining", "member"],
  );
  const [first, second] = mesh.hosts;
  const word = new RegExp(`tsweave rmpeer --majority-lost ${first?.name} ${second?.name}$`);
  const texts = mesh
    .ipalloc(2)
    .problems()
    .map(({ text }) => text);
  assert.ok(
    texts.some((text) => word.test(text)),
    texts.join("\n"),
  );
  const lost = [first?.id ?? "", second?.id ?? ""];
  await within(mesh, mesh.ipalloc(2).forget(lost, "gone-for-good-with-majority"));
  await mesh.run(20_000);
  for (const { index } of mesh.hosts) assert.equal(mesh.ipalloc(index).roster().self, "member");
});
