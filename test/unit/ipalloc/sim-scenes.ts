/**
 * Courses of events that random schedules meet once in many thousands, played out on purpose. Each
 * throws when an invariant breaks.
 */
import assert from "node:assert/strict";
import { formatAddress } from "../../../ipalloc/address.ts";
import { parseCidr } from "../../../ipalloc/cidr.ts";
import { SimChecker } from "./sim-checker.ts";
import { found } from "./sim-founded.ts";
import { type SimHost, SimMesh } from "./sim-mesh.ts";
import { within } from "./sim-until.ts";

const POOL = parseCidr("10.40.0.0/27");

interface Stage {
  readonly mesh: SimMesh;
  readonly checker: SimChecker;
}

async function stage(count: number, launched = count): Promise<Stage> {
  const mesh = new SimMesh(1, count);
  const checker = new SimChecker(mesh, POOL);
  await found(mesh, POOL.text, launched);
  await mesh.run(500);
  return { mesh, checker };
}

function check({ checker }: Stage): void {
  if (checker.failure !== undefined) throw checker.failure;
  checker.use();
}

/** After faults end: one view, one owner each. */
async function rest(scene: Stage): Promise<void> {
  scene.mesh.heal();
  await scene.mesh.run(30_000);
  check(scene);
  scene.checker.converged();
}

/** The nth address that a host owns. */
function ownAddress(host: SimHost, nth: number): string {
  const { durable } = host.disk;
  const pool = durable?.pool(POOL.text);
  const range = pool?.ownership.find(({ owner }) => owner === durable?.store);
  return formatAddress((range?.start ?? 0n) + BigInt(nth), 32);
}

/** Refusals are part of the play. */
function tried(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if ((error as { name?: string }).name !== "TsweaveError") throw error;
  });
}

/**
 * Two removals in one round of answers: the first one's heir has all answers but one, Y gives an
 * address to Z after both answered, Y dies and is removed too, then the last answer comes.
 */
async function chain(): Promise<void> {
  const scene = await stage(5);
  const { mesh } = scene;
  const asked: SimHost[] = [];
  for (const host of mesh.hosts) {
    const rpc = host.process?.rpc;
    const answer = rpc?.handler("ipalloc.report");
    if (answer === undefined) continue;
    rpc?.serve("ipalloc.report", async (from, body) => {
      asked.push(host);
      const heldMs = asked[0] === host ? 0 : 850;
      const reply = await answer(from, body);
      await new Promise<void>((resolve) => {
        mesh.clock.timer("held", heldMs, resolve);
      });
      return reply;
    });
  }
  mesh.bury(0);
  await mesh.run(300);
  tried(mesh.ipalloc(1).forget([mesh.host(0).id], "gone-for-good"));
  await mesh.run(100);
  const [y, z] = asked;
  assert.ok(y !== undefined && z !== undefined && asked.length === 3, "the heir asks three");
  tried(mesh.ipalloc(z.index).claim(POOL.text, "handed", ownAddress(y, 3)));
  await mesh.run(50);
  mesh.bury(y.index);
  await mesh.run(250);
  tried(mesh.ipalloc(z.index).forget([y.id], "gone-for-good"));
  await rest(scene);
  const handed = z.disk.durable?.pool(POOL.text)?.leases.count;
  assert.equal(handed, 1, "the address was handed on");
}

/** X gives V an address, dies and is removed; V hears of the gift only after it answered. */
async function lateGift(): Promise<void> {
  const scene = await stage(4);
  const { mesh } = scene;
  const [x, v] = [mesh.host(0), mesh.host(1)];
  const ip = ownAddress(x, 3);
  const tables = v.process?.tables;
  const absorb = tables?.absorb.bind(tables);
  if (tables === undefined || absorb === undefined) throw new Error("no tables");
  tables.absorb = () => undefined;
  mesh.cut(0, 1);
  tried(mesh.ipalloc(1).claim(POOL.text, "late", ip));
  await mesh.run(500);
  const gift = mesh
    .host(2)
    .process?.tables.newerThan(tables)
    .find(({ origin }) => origin === x.id);
  assert.ok(gift !== undefined, "the others know of the gift");
  mesh.bury(0);
  mesh.heal();
  await mesh.run(300);
  const heirs = mesh.ipalloc(2).forget([x.id], "gone-for-good");
  await mesh.run(3000);
  const { heir } = await within(mesh, heirs);
  absorb(gift);
  await mesh.run(100);
  const index = mesh.hosts.find(({ name }) => name === heir)?.index ?? 0;
  tried(mesh.ipalloc(1).claim(POOL.text, "v", ip));
  if (index !== 1) tried(mesh.ipalloc(index).claim(POOL.text, "heir", ip));
  await mesh.run(100);
  check(scene);
  tables.absorb = absorb;
  await rest(scene);
}

/** A question of a store that was lost before its admission comes when its successor is in. */
async function oldQuestion(): Promise<void> {
  const scene = await stage(3, 2);
  const { mesh } = scene;
  await mesh.launch(2, [0]);
  await within(mesh, mesh.ipalloc(2).openPool(POOL.text));
  await mesh.run(5000);
  const old = "00000000000000aa";
  let admitted = false;
  mesh.host(0).disk.onRecord = (record) => {
    if (record.kind !== "roster") return;
    admitted ||= record.roster.members.some(({ store }) => store === old);
  };
  const meshId = mesh.ipalloc(0).status().founding.meshId;
  const answer = mesh.host(0).process?.rpc.handler("ipalloc.admit");
  tried(answer?.(mesh.host(2).id, [meshId, old]) ?? Promise.reject(new Error("no handler")));
  await mesh.run(5000);
  assert.ok(!admitted, "R9: a store that is no more was admitted");
  await rest(scene);
}

/** A host lost its journal; what runs there, unheard of, is sought before it is asked back. */
async function stillRuns(): Promise<void> {
  const scene = await stage(3);
  const { mesh } = scene;
  const lost = mesh.host(2);
  mesh.partition([2]);
  await mesh.run(300);
  const ip = await within(mesh, mesh.ipalloc(2).claim(POOL.text, "web", ownAddress(lost, 3)));
  lost.running.set(ip, "web");
  mesh.loseDisk(2);
  await mesh.launch(2);
  tried(mesh.ipalloc(2).openPool(POOL.text));
  await mesh.run(50);
  const { ipalloc, rpc } = lost.process ?? {};
  const answer = rpc?.handler("ipalloc.report");
  if (ipalloc === undefined || rpc === undefined || answer === undefined) throw new Error("down");
  tried(ipalloc.adopt(POOL.text, "web", ip));
  rpc.serve("ipalloc.report", async (from, body) => {
    const reply = await answer(from, body);
    mesh.clock.timer("cut", 0, () => mesh.partition([2]));
    return reply;
  });
  mesh.heal();
  await mesh.run(3000);
  for (const index of [0, 1]) {
    for (let n = 0; n < 30; n++) tried(mesh.ipalloc(index).allocate(POOL.text, `${index}-${n}`));
  }
  await mesh.run(8000);
  check(scene);
  for (const index of [0, 1]) {
    for (const one of mesh.ipalloc(index).leases()) {
      tried(mesh.ipalloc(index).release(POOL.text, one.ip));
    }
  }
  await rest(scene);
}

/** A admits D with B's vote and is cut off; B starts anew and may not admit only E. */
async function votes(): Promise<void> {
  const scene = await stage(5, 3);
  const { mesh } = scene;
  mesh.cut(0, 2);
  mesh.cut(2, 0);
  await mesh.run(300);
  const a = mesh.host(0).disk;
  const before = a.onRecord;
  a.onRecord = (record) => {
    before(record);
    if (record.kind === "roster") mesh.partition([0, 3]);
  };
  await mesh.launch(3, [0]);
  await mesh.run(3000);
  assert.ok(a.durable?.roster?.number === 1, "A decided");
  mesh.crash(1);
  await mesh.launch(1);
  await mesh.launch(4, [1]);
  await mesh.run(10_000);
  for (const index of [3, 4]) tried(mesh.ipalloc(index).openPool(POOL.text));
  await rest(scene);
}

export const SCENES = { chain, lateGift, oldQuestion, stillRuns, votes } as const;
export type Scene = keyof typeof SCENES;
