/** What a full pass tells of entries that somebody else changed, and what it keeps quiet about. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HealedNetwork } from "../../../overlay/healed.ts";
import { Reconciler } from "../../../overlay/reconcile.ts";
import { FakeKernel } from "../../lib/fake-kernel.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { input, NETNS, PROOF, remote } from "./samples.ts";

const IP = "10.32.0.9";
const MAC = "02:42:0a:20:00:09";

async function running() {
  const kernel = new FakeKernel();
  const clock = new VirtualClock();
  const told: HealedNetwork[] = [];
  const box = { input: input({ remotes: [remote(IP)], keep: PROOF }) };
  const healed = (network: HealedNetwork) => told.push(network);
  const ports = { kernel, clock, log: new QuietLog(), healed };
  const reconciler = new Reconciler(ports, () => box.input);
  const pass = async () => {
    reconciler.request("test");
    await clock.run(0);
    for (let turn = 0; turn < 30; turn++) await settle();
  };
  reconciler.start();
  await pass();
  return { kernel, told, box, reconciler, pass };
}

test("the first pass, and one that finds nothing, tell nothing", async () => {
  const { told, pass } = await running();
  await pass();
  assert.deepEqual(told, []);
});

test("a deleted and a changed entry are told with before and after", async () => {
  const { kernel, told, pass } = await running();
  const netns = kernel.get(NETNS);
  netns.neighbours.delete(IP);
  netns.forwards.set(MAC, { mac: MAC, vtep: "192.0.2.99", plain: true });
  netns.neighbours.set("10.32.0.77", "02:00:00:00:00:77");
  await pass();
  assert.equal(told.length, 1);
  assert.equal(told[0]?.total, 3);
  const by = new Map(told[0]?.entries.map(({ what, before, after }) => [what, [before, after]]));
  assert.deepEqual(by.get(`neighbour ${IP}`), ["absent", MAC]);
  assert.deepEqual(by.get(`forward ${MAC}`), ["192.0.2.99", remote(IP).vtep]);
  assert.deepEqual(by.get("neighbour 10.32.0.77"), ["02:00:00:00:00:77", "absent"]);
  assert.equal(netns.neighbours.get(IP), MAC);
});

test("a namespace that was emptied is told with a number, not with every entry", async () => {
  const { kernel, told, box, pass } = await running();
  const many = Array.from({ length: 50 }, (_, at) => remote(`10.33.0.${at + 1}`));
  box.input = { ...box.input, remotes: many };
  await pass();
  assert.equal(told.length, 0, "a change of the tables is no drift");
  kernel.namespaces.delete(NETNS);
  await pass();
  assert.equal(told.length, 1);
  assert.ok((told[0]?.total ?? 0) > 100);
  assert.equal(told[0]?.entries.length, 20);
  assert.deepEqual(told[0]?.entries[0], {
    what: `namespace ${NETNS}`,
    before: "absent",
    after: "present",
  });
});

test("an entry of our own, written while the pass looks, is no drift", async () => {
  const { kernel, told, box, reconciler, pass } = await running();
  const late = remote("10.32.0.10");
  kernel.pause = async () => {
    kernel.pause = settle;
    box.input = { ...box.input, remotes: [remote(IP), late] };
    await reconciler.applyRemote([late]);
  };
  await pass();
  assert.equal(kernel.get(NETNS).neighbours.get("10.32.0.10"), late.mac);
  assert.deepEqual(told, []);
});
