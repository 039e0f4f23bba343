/** The reconciler on the fake kernel and the virtual clock: order, fast path, faults. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TIMES, TsweaveError } from "../../../mesh/index.ts";
import { ALL_HOSTS_MACS } from "../../../overlay/groups/group.ts";
import type { ReconcileInput } from "../../../overlay/pass.ts";
import { Reconciler } from "../../../overlay/reconcile.ts";
import type { Step } from "../../../overlay/state.ts";
import { FakeKernel } from "../../lib/fake-kernel.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { input, local, NET, NETNS, PROOF, remote } from "./samples.ts";

function setup(first: Partial<ReconcileInput> = {}) {
  const kernel = new FakeKernel();
  const clock = new VirtualClock();
  const log = new QuietLog();
  const box = { input: input(first) };
  const reconciler = new Reconciler({ kernel, clock, log }, () => box.input);
  const set = (more: Partial<ReconcileInput>) => {
    box.input = { ...box.input, ...more };
  };
  /** Lets timers of the next `ms` and all reactions run. */
  const run = async (ms: number) => {
    await clock.run(ms);
    for (let turn = 0; turn < 30; turn++) await settle();
  };
  return { kernel, clock, log, reconciler, set, run };
}

const kinds = (steps: readonly Step[] | undefined) => (steps ?? []).map((step) => step.kind);

test("start builds the network, a second pass does nothing", async () => {
  const { kernel, reconciler, run } = setup({ remotes: [remote("10.32.0.9")] });
  assert.equal(reconciler.status().inSync, false);
  reconciler.start();
  await run(0);
  assert.equal(reconciler.status().inSync, true);
  assert.equal(kernel.get(NETNS).neighbours.get("10.32.0.9"), "02:42:0a:20:00:09");
  const { steps } = reconciler.status();
  const flushed = reconciler.flush();
  await run(0);
  await flushed;
  assert.equal(reconciler.status().passes, 2);
  assert.equal(reconciler.status().steps, steps);
  assert.match(reconciler.lastBatch(), /neigh replace 10\.32\.0\.9/);
});

test("requests coalesce, and one that comes during a pass gets another pass", async () => {
  const { kernel, reconciler, run } = setup();
  for (let i = 0; i < 10; i++) reconciler.request("again");
  let asked = false;
  kernel.pause = async () => {
    if (!asked) reconciler.request("during");
    asked = true;
    await settle();
  };
  await run(0);
  await run(0);
  assert.equal(reconciler.status().passes, 2);
});

test("flush resolves only after a pass that started later", async () => {
  const { kernel, reconciler, run } = setup();
  let done = false;
  let release = () => {};
  kernel.pause = () => new Promise((resolve) => (release = resolve));
  reconciler.request("first");
  await run(0);
  const flushed = reconciler.flush().then(() => {
    done = true;
  });
  kernel.pause = settle;
  release();
  for (let i = 0; i < 20; i++) await settle();
  assert.equal(reconciler.status().passes, 1);
  assert.equal(done, false);
  await run(0);
  assert.equal(done, true);
  await flushed;
});

test("a full pass repairs drift at the interval and soon after a hint", async () => {
  const { kernel, reconciler, run } = setup({ remotes: [remote("10.32.0.9")] });
  reconciler.start();
  await run(0);
  kernel.get(NETNS).neighbours.clear();
  await run(TIMES.reconcileIntervalMs);
  assert.equal(kernel.get(NETNS).neighbours.size, 1);
  kernel.get(NETNS).forwards.clear();
  for (let i = 0; i < 50; i++) kernel.hint();
  const before = reconciler.status().passes;
  await run(1000);
  assert.equal(kernel.get(NETNS).forwards.size, 1);
  assert.equal(reconciler.status().passes, before + 1);
});

test("the echo of an own write causes no look, anybody else's change does", async () => {
  const first = remote("10.32.0.9");
  const { kernel, reconciler, set, run } = setup({ remotes: [first] });
  reconciler.start();
  await run(0);
  const second = remote("10.32.0.10");
  set({ remotes: [first, second], keep: PROOF });
  const scope = { netns: NETNS };
  const said = (line: string) => kernel.hint({ scope, line });
  const { mac, vtep } = second;
  await reconciler.applyRemote([second]);
  said(`${vtep} dev vxlan0 lladdr ${mac} NOARP PERMANENT `);
  said(`dev vxlan0 lladdr ${mac} NOARP `);
  said(`10.32.0.10 dev vxlan0 lladdr ${mac} PERMANENT `);
  set({ remotes: [first] });
  await run(1000);
  const looks = kernel.observations;
  await reconciler.applyRemote([second]);
  said("10.32.0.10 dev vxlan0 FAILED ");
  said("Deleted 10.32.0.10 dev vxlan0 FAILED ");
  said(`Deleted ${vtep} dev vxlan0 lladdr ${mac} NOARP PERMANENT `);
  said(`Deleted dev vxlan0 lladdr ${mac} NOARP `);
  await run(1000);
  assert.equal(kernel.observations, looks, "no look for echoes");
  assert.equal(kernel.get(NETNS).neighbours.size, 1);

  set({ remotes: [first, second] });
  await reconciler.applyRemote([second]);
  said(`10.32.0.10 dev vxlan0 lladdr ${mac} PERMANENT `);
  set({ remotes: [first] });
  await reconciler.applyRemote([second]);
  said("Deleted 10.32.0.10 dev vxlan0 FAILED ");
  await run(1000);
  assert.equal(kernel.observations, looks, "nor for a row that came and went");

  kernel.get(NETNS).neighbours.clear();
  said("10.32.0.9 dev vxlan0 FAILED ");
  await run(2000);
  assert.equal(kernel.get(NETNS).neighbours.size, 1, "repaired");
  const others = [
    `192.0.2.77 dev vxlan0 lladdr ${first.mac} NOARP PERMANENT `,
    "Deleted 10.32.0.9 dev vxlan0 FAILED ",
    `10.32.0.9 dev vxlan0 lladdr ${mac} PERMANENT `,
    `10.32.0.9 dev vxlan0 lladdr ${first.mac} REACHABLE `,
    `10.32.0.9 dev vxlan0 lladdr ${first.mac} router PERMANENT `,
    `dev vxlan0 lladdr ${mac} NOARP `,
    "4: vethabc1234@if9: <BROADCAST> mtu 1450",
  ];
  for (const line of others) {
    const before = kernel.observations;
    said(line);
    await run(4000);
    assert.ok(kernel.observations > before, line);
  }
});

test("hints that never end do not make passes without end", async () => {
  const { kernel, clock, reconciler, run } = setup();
  reconciler.start();
  await run(0);
  const before = reconciler.status().passes;
  for (let ms = 0; ms < 10_000; ms += 10) {
    kernel.hint();
    clock.advance(10);
    await settle();
    await settle();
  }
  assert.ok(reconciler.status().passes - before <= 11);
  assert.ok(reconciler.status().passes - before >= 8);
});

test("what cannot be repaired is drift, tried again with growing pauses, and told", async () => {
  const { kernel, reconciler, run } = setup({ remotes: [remote("10.32.0.9")] });
  kernel.fault = (step) => (step.kind === "neigh-put" ? "No buffer space" : undefined);
  reconciler.start();
  await run(0);
  assert.equal(reconciler.status().inSync, false);
  assert.equal(reconciler.status().drift, 1);
  assert.match(reconciler.status().lastError ?? "", /tsweave: neigh-put: No buffer space/);
  await run(1000);
  assert.equal(reconciler.status().passes, 2);
  await run(1000);
  assert.equal(reconciler.status().passes, 2);
  kernel.fault = () => undefined;
  await run(1000);
  assert.equal(reconciler.status().inSync, true);
  assert.equal(reconciler.status().lastError, null);
});

test("one impossible network does not stop the others", async () => {
  const bad = { ...NET, name: "bad", id: "e".repeat(64), subnet: "nonsense" };
  const { kernel, reconciler, run } = setup({ networks: [bad, NET] });
  reconciler.start();
  await run(0);
  assert.ok(kernel.namespaces.has(NETNS));
  assert.match(reconciler.status().lastError ?? "", /network bad/);
});

test("a kernel that cannot be read is an error, not an empty kernel", async () => {
  const { kernel, reconciler, run } = setup();
  reconciler.start();
  await run(0);
  const applied = kernel.applied.length;
  kernel.pause = async () => {
    throw new TsweaveError("COMMAND_FAILED", "ip: exit 1");
  };
  reconciler.request("look");
  await run(0);
  assert.equal(kernel.applied.length, applied);
  assert.equal(reconciler.status().inSync, false);
  assert.match(reconciler.status().lastError ?? "", /exit 1/);
});

test("a changed row is applied without observing", async () => {
  const { kernel, reconciler, set, run } = setup();
  reconciler.start();
  await run(0);
  const { observations } = kernel;
  const row = remote("10.32.0.9");
  set({ remotes: [row] });
  await reconciler.applyRemote([row]);
  assert.equal(kernel.observations, observations);
  const broadcast = ALL_HOSTS_MACS.map(() => "copy-put");
  const entries = ["forward-put", "steer-put", "neigh-put"];
  assert.deepEqual(kinds(kernel.applied.at(-1)), [...entries, ...broadcast]);
  set({ remotes: [{ ...row, vtep: "192.0.2.3" }] });
  await reconciler.applyRemote([row]);
  assert.deepEqual(kinds(kernel.applied.at(-1)), ["forward-put", ...broadcast]);
  set({ remotes: [], keep: PROOF });
  await reconciler.applyRemote([row]);
  assert.deepEqual(kinds(kernel.applied.at(-1)), ["forward-del", "steer-del", "neigh-del"]);
  assert.equal(kernel.observations, observations);
  await run(TIMES.reconcileIntervalMs);
  assert.ok(kernel.observations > observations, "verified later");
  assert.equal(reconciler.status().drift, 0);
});

test("a row that goes without proof stays in the kernel, on the fast path too", async () => {
  const row = remote("10.32.0.9");
  const { kernel, reconciler, set, run } = setup({ remotes: [row] });
  reconciler.start();
  await run(0);
  set({ remotes: [] });
  await reconciler.applyRemote([row]);
  assert.equal(kernel.get(NETNS).neighbours.size, 1);
});

test("the fast path picks the same winner as the full pass", async () => {
  const winner = remote("10.32.0.9", "192.0.2.2", { id: "1", mac: "02:42:00:00:00:01" });
  const loser = remote("10.32.0.9", "192.0.2.3", { id: "2", mac: "02:42:00:00:00:02" });
  const { kernel, reconciler, set, run } = setup({ remotes: [loser], keep: PROOF });
  reconciler.start();
  await run(0);
  set({ remotes: [loser, winner] });
  await reconciler.applyRemote([winner]);
  const space = kernel.get(NETNS);
  assert.deepEqual([...space.neighbours], [["10.32.0.9", "02:42:00:00:00:01"]]);
  assert.deepEqual([...space.forwards.keys()], ["02:42:00:00:00:01"]);
  set({ remotes: [loser] });
  await reconciler.applyRemote([winner]);
  assert.deepEqual([...space.neighbours], [["10.32.0.9", "02:42:00:00:00:02"]]);
  const { steps } = reconciler.status();
  await run(1000);
  assert.equal(reconciler.status().steps, steps, "a full pass finds nothing to do");
});

test("changes that come together share one apply", async () => {
  const rows = Array.from({ length: 50 }, (_, i) => remote(`10.32.1.${i + 1}`));
  const { kernel, reconciler, set, run } = setup();
  reconciler.start();
  await run(0);
  set({ remotes: rows });
  const before = kernel.applied.length;
  await Promise.all(rows.map((row) => reconciler.applyRemote([row])));
  assert.equal(kernel.applied.length, before + 1);
  assert.equal(kernel.get(NETNS).neighbours.size, 50);
});

test("a long chain of conflicts comes out right", async () => {
  const rows = Array.from({ length: 60 }, (_, i) =>
    remote(`10.32.1.${60 - Math.floor(i / 2)}`, "192.0.2.2", {
      id: `${i}`,
      mac: `02:42:00:00:00:${(10 + Math.ceil(i / 2)).toString(16).padStart(2, "0")}`,
    }),
  );
  const { kernel, reconciler, set, run } = setup();
  reconciler.start();
  await run(0);
  set({ remotes: rows.toReversed() });
  await reconciler.applyRemote(rows.slice(0, 1));
  await run(0);
  assert.equal(kernel.get(NETNS).neighbours.size, 30);
  assert.equal(reconciler.status().inSync, true);
});

test("plug is one apply when the network is there, and evicts remote entries first", async () => {
  const mine = local("1", "10.32.0.9");
  const { kernel, reconciler, set, run } = setup({ remotes: [remote("10.32.0.9")] });
  reconciler.start();
  await run(0);
  set({ locals: [mine] });
  const before = kernel.applied.length;
  await reconciler.plug(mine, NET);
  assert.equal(kernel.applied.length, before + 1);
  const evicted = ["neigh-del", "forward-del", "steer-del", "veth-add"];
  assert.deepEqual(kinds(kernel.applied.at(-1)), evicted);
  assert.ok(kernel.hostLinks.has("tswc1111111"));
  const { steps } = reconciler.status();
  await run(1000);
  assert.equal(reconciler.status().steps, steps);
});

test("plug builds a network that is not there, and replaces an earlier pair", async () => {
  const mine = local("1", "10.32.0.5");
  const { kernel, reconciler } = setup({ locals: [mine] });
  await reconciler.plug(mine, NET);
  assert.ok(kernel.hostLinks.has("tswc1111111"));
  await reconciler.plug(mine, NET);
  assert.deepEqual(kinds(kernel.applied.at(-1)).slice(0, 2), ["link-del", "host-link-del"]);
  assert.ok(kernel.hostLinks.has("tswc1111111"));
  kernel.namespaces.clear();
  kernel.hostLinks.clear();
  await reconciler.plug(mine, NET);
  assert.equal(kernel.get(NETNS).links.get("veth1111111")?.master, "br0");
});

test("plug tells what the kernel said", async () => {
  const mine = local("1", "10.32.0.5");
  const { kernel, reconciler } = setup({ locals: [mine] });
  kernel.fault = (step) => (step.kind === "veth-add" ? "No memory" : undefined);
  await assert.rejects(reconciler.plug(mine, NET), /veth-add in tsweave-0123456789: No memory/);
  const bad = { ...mine, mac: "not a mac" };
  await assert.rejects(reconciler.plug(bad, NET), /not a unicast MAC/);
});

test("unplug removes the pair, again and again, also its end in the host", async () => {
  const mine = local("1", "10.32.0.5");
  const { kernel, reconciler } = setup({ locals: [mine] });
  await reconciler.plug(mine, NET);
  await reconciler.unplug(mine.id, NET);
  assert.equal(kernel.hostLinks.size, 0);
  kernel.hostLinks.add("tswc1111111");
  await reconciler.unplug(mine.id, NET);
  assert.equal(kernel.hostLinks.size, 0);
  await reconciler.unplug(mine.id, NET);
  await reconciler.unplug(mine.id, { id: "9".repeat(64) });
});

test("an endpoint plugged while a pass observes is not taken for a stray", async () => {
  const mine = local("1", "10.32.0.5");
  const { kernel, reconciler, set, run } = setup({ keep: PROOF });
  reconciler.start();
  await run(0);
  kernel.pause = async () => {
    kernel.pause = settle;
    set({ locals: [mine] });
    await reconciler.plug(mine, NET);
  };
  reconciler.request("look");
  await run(0);
  await run(1000);
  assert.ok(kernel.hostLinks.has("tswc1111111"));
  assert.deepEqual(reconciler.status().unplugged, []);
});

test("a pair that is gone is told once two passes agree, which takes a second", async () => {
  const mine = local("1", "10.32.0.5");
  const { kernel, reconciler, run } = setup({ locals: [mine] });
  await reconciler.plug(mine, NET);
  reconciler.start();
  await run(0);
  kernel.get(NETNS).links.delete("veth1111111");
  reconciler.request("hint");
  await run(0);
  assert.deepEqual(reconciler.status().unplugged, [], "one pass may have looked during a Join");
  await run(1000);
  assert.deepEqual(reconciler.status().unplugged, [mine.id]);
  assert.equal(reconciler.status().inSync, true);
  await reconciler.plug(mine, NET);
  await run(5000);
  assert.deepEqual(reconciler.status().unplugged, []);
});

test("removeNetwork removes the namespace and is idempotent; a pass does not", async () => {
  const { kernel, reconciler, set, run } = setup();
  reconciler.start();
  await run(0);
  set({ networks: [] });
  await run(TIMES.reconcileIntervalMs);
  assert.ok(kernel.namespaces.has(NETNS));
  await reconciler.removeNetwork(NET);
  assert.equal(kernel.namespaces.size, 0);
  await reconciler.removeNetwork(NET);
  await run(TIMES.reconcileIntervalMs);
  assert.equal(kernel.namespaces.size, 0);
});

test("stop leaves the kernel as it is and no timer behind; plan changes nothing", async () => {
  const { kernel, clock, reconciler, run } = setup({ remotes: [remote("10.32.0.9")] });
  assert.match(await reconciler.plan(), /netns add tsweave-0123456789/);
  assert.equal(kernel.applied.length, 0);
  reconciler.start();
  await run(0);
  await reconciler.stop();
  assert.deepEqual(clock.armed(), []);
  kernel.hint();
  await reconciler.flush();
  assert.deepEqual(clock.armed(), []);
  assert.equal(kernel.get(NETNS).neighbours.size, 1);
  assert.equal(await reconciler.plan(), "");
});
