/** Removals are decided again when they are applied: the tables may have changed meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { macOf } from "../../../overlay/address.ts";
import { desiredNetwork } from "../../../overlay/desired.ts";
import { diff } from "../../../overlay/diff.ts";
import { KEEP_ALL } from "../../../overlay/diff-remote.ts";
import type { ReconcileInput } from "../../../overlay/pass.ts";
import { stillRight } from "../../../overlay/recheck.ts";
import { Reconciler } from "../../../overlay/reconcile.ts";
import { emptyObservation, type ObservedNetwork } from "../../../overlay/state.ts";
import { BusyClock } from "../../lib/busy-clock.ts";
import { FakeKernel } from "../../lib/fake-kernel.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { settle } from "../../lib/virtual-clock.ts";
import { input, NET, NETNS, OPTIONS, PROOF, remote } from "./samples.ts";

const VTEP = "192.0.2.77";
const BACK = remote("10.33.0.9", VTEP, { peer: "c".repeat(32) });
const MANY = Array.from({ length: 1000 }, (_, at) => remote(`10.32.${4 + (at >> 8)}.${at & 255}`));

test("a peer that returns while a pass looks at its tables loses nothing", async () => {
  const kernel = new FakeKernel();
  const clock = new BusyClock();
  let isBack = false;
  /** As the daemon's: nothing is proved of a peer that is away, all of one that is here. */
  const keep = { mayRemove: () => isBack, mayRemoveEndpoint: () => false };
  const box = { input: input({ remotes: [...MANY, BACK], keep }) };
  const log = new QuietLog();
  const reconciler = new Reconciler({ kernel, clock, log }, () => box.input);
  await reconciler.flush();
  box.input = { ...box.input, remotes: MANY };
  await reconciler.flush();
  const before = { ...kernel.get(NETNS), applied: kernel.applied.length };
  assert.equal(before.neighbours.get(BACK.ip), BACK.mac, "kept on doubt");
  let passes = 0;
  for (let at = 1; isBack || at === 1; at++) {
    isBack = false;
    box.input = { ...box.input, remotes: MANY };
    const turns = clock.turns;
    clock.meanwhile = () => {
      if (clock.turns < turns + at) return;
      isBack = true;
      box.input = { ...box.input, remotes: [...MANY, BACK] };
    };
    await reconciler.flush();
    const after = kernel.get(NETNS);
    assert.equal(after.neighbours.get(BACK.ip), BACK.mac);
    assert.equal(after.forwards.get(BACK.mac)?.vtep, VTEP);
    assert.equal(after.steers.get(BACK.mac), "static");
    assert.ok([...after.floods.values()].some(({ vtep }) => vtep === VTEP));
    assert.equal(reconciler.status().inSync, true, "what was left is no drift");
    passes = at;
  }
  assert.ok(passes > 20, `it returned at ${passes} moments`);
  const removals = kernel.applied.slice(before.applied).flat();
  assert.deepEqual(
    removals.filter(({ kind }) => kind.endsWith("-del")),
    [],
  );
  await reconciler.stop();
});

test("rows that return while their going is worked at are there in the end", async () => {
  const kernel = new FakeKernel();
  const clock = new BusyClock();
  const box = { input: input({ remotes: MANY, keep: PROOF }) };
  const ports = { kernel, clock, log: new QuietLog(), batchSteps: 300 };
  const reconciler = new Reconciler(ports, () => box.input);
  await reconciler.flush();
  for (const batches of [0, 1, 3, 5]) {
    const start = kernel.applied.length;
    box.input = { ...box.input, remotes: MANY.slice(500) };
    const gone = reconciler.applyRemote(MANY.slice(0, 500));
    while (kernel.applied.length < start + batches) await settle();
    const before = kernel.get(NETNS).neighbours.size;
    box.input = { ...box.input, remotes: MANY };
    const back = reconciler.applyRemote(MANY.slice(0, 500));
    await Promise.all([gone, back]);
    assert.ok(batches < 2 || before < 1000, "some were gone");
    const { neighbours, forwards, steers } = kernel.get(NETNS);
    assert.deepEqual([neighbours.size, forwards.size, steers.size], [1000, 1000, 1000]);
  }
  box.input = { ...box.input, remotes: MANY.slice(500) };
  await reconciler.applyRemote(MANY.slice(0, 500));
  assert.equal(kernel.get(NETNS).neighbours.size, 500, "and went when they did not return");
  await reconciler.stop();
});

test("what is stale and stays so goes in the same pass", async () => {
  const kernel = new FakeKernel();
  const box = { input: input({ remotes: [...MANY, BACK], keep: PROOF }) };
  const ports = { kernel, clock: new BusyClock(), log: new QuietLog() };
  const reconciler = new Reconciler(ports, () => box.input);
  await reconciler.flush();
  box.input = { ...box.input, remotes: MANY.slice(500) };
  await reconciler.flush();
  const { neighbours, forwards, steers, floods } = kernel.get(NETNS);
  assert.deepEqual([neighbours.size, forwards.size, steers.size], [500, 500, 500]);
  assert.ok([...floods.values()].every(({ vtep }) => vtep !== VTEP));
  assert.equal(reconciler.status().inSync, true);
  await reconciler.stop();
});

const IP = fc.integer({ min: 2, max: 12 }).map((n) => `10.32.0.${n}`);
const HOST = fc.integer({ min: 2, max: 5 }).map((n) => `192.0.2.${n}`);
const PAIRS = fc.array(fc.tuple(IP, IP.map(macOf), HOST), { maxLength: 12 });
const STEER = fc.constantFrom("static", "direct", "learned", "permanent");

/** A namespace with any entries, and the devices that a network has. */
function seenWith(
  pairs: readonly (readonly [string, string, string])[],
  steers: readonly (readonly [string, string])[],
): ObservedNetwork {
  const seen = emptyObservation(NETNS, "present");
  for (const [ip, mac, vtep] of pairs) {
    seen.neighbours.set(ip, mac);
    seen.forwards.set(mac, { mac, vtep, plain: true });
    const flood = { mac: "ff:ff:ff:ff:ff:ff", vtep, plain: true };
    seen.floods.set(`${flood.mac} ${vtep}`, flood);
  }
  for (const [mac, state] of steers) seen.steers.set(mac, state);
  return seen;
}

test("tables that did not change make no difference; what they want again is not removed", () => {
  const steers = fc.array(fc.tuple(IP.map(macOf), STEER), { maxLength: 8 });
  const property = fc.property(PAIRS, PAIRS, PAIRS, steers, (kernel, wanted, later, states) => {
    const rows = (pairs: typeof wanted) =>
      pairs.map(([ip, mac, vtep], at) => remote(ip, vtep, { mac, id: `${at}` }));
    const before = input({ remotes: rows(wanted), keep: PROOF });
    const seen = seenWith(kernel, states);
    const vxlan = { vni: 256, port: 4789, learning: false, proxy: true, l2miss: true };
    const shape = { ...vxlan, l3miss: true, foreignSocket: true, underlay: 4 as const };
    const link = { name: "vxlan0", kind: "vxlan", up: true, mtuBytes: 1450, mac: "", cidrs: [] };
    const port = { stp: false, snoops: undefined, portLearning: false, portAllGroups: true };
    const device = { ...link, ...port, master: "br0", vxlan: shape };
    const observed = { ...seen, links: new Map([["vxlan0", device]]) };
    const desired = (now: ReconcileInput) => desiredNetwork(NET, [], now.remotes, OPTIONS);
    const steps = diff(desired(before), observed, PROOF);
    assert.deepEqual(stillRight(steps, NET, before, observed), steps);
    const now = { ...before, remotes: rows([...wanted, ...later]) };
    const left = stillRight(steps, NET, now, observed);
    const { neighbours, forwards } = desired(now).remote;
    for (const step of left) {
      if (step.kind === "neigh-del") assert.ok(!neighbours.has(step.ip), step.ip);
      if (step.kind === "forward-del") assert.ok(!forwards.has(step.mac), step.mac);
    }
    const removals = /^(neigh|forward|steer|copy)-del$/;
    const kept = stillRight(steps, NET, { ...before, keep: KEEP_ALL }, observed);
    assert.ok(!kept.some(({ kind }) => /^(neigh|forward|copy)-del$/.test(kind)));
    const gone = stillRight(steps, NET, { ...before, networks: [] }, observed);
    assert.ok(!gone.some(({ kind }) => removals.test(kind)));
  });
  fc.assert(property, { numRuns: 500 });
});
