/** Diff: from any state to the desired one in one go, nothing twice, nothing removed on doubt. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { desiredNetwork } from "../../../overlay/desired.ts";
import { diff, unplugged } from "../../../overlay/diff.ts";
import { KEEP_ALL, type Keep } from "../../../overlay/diff-remote.ts";
import {
  emptyObservation,
  floodKey,
  type ObservedLink,
  type Step,
} from "../../../overlay/state.ts";
import { FakeKernel } from "../../lib/fake-kernel.ts";
import { local, NET, NETNS, OPTIONS, PROOF, remote } from "./samples.ts";

const LOCALS = [local("1", "10.32.0.5")];
const REMOTES = [remote("10.32.0.9"), remote("10.32.0.10", "192.0.2.3")];
const WANTED = desiredNetwork(NET, LOCALS, REMOTES, OPTIONS);

/** A kernel in the desired state. */
async function built(): Promise<FakeKernel> {
  const kernel = new FakeKernel();
  await kernel.apply(diff(WANTED, await kernel.observe({ netns: NETNS }), PROOF));
  const pair = { overlayEnd: "veth1111111", containerEnd: "tswc1111111" };
  const mac = "02:42:0a:20:00:05";
  await kernel.apply([{ kind: "veth-add", netns: NETNS, ...pair, mac, mtuBytes: 1450 }]);
  return kernel;
}

async function stepsNow(kernel: FakeKernel, keep: Keep = PROOF): Promise<Step[]> {
  return diff(WANTED, await kernel.observe({ netns: NETNS }), keep);
}

function edit(kernel: FakeKernel, device: string, shape: Partial<ObservedLink>): void {
  const { links } = kernel.get(NETNS);
  const link = links.get(device);
  assert.ok(link);
  links.set(device, { ...link, ...shape });
}

test("a built network needs no step", async () => {
  assert.deepEqual(await stepsNow(await built()), []);
});

test("an endpoint that was not plugged is told, not built", async () => {
  const kernel = await built();
  await kernel.apply([{ kind: "link-del", netns: NETNS, device: "veth1111111" }]);
  assert.deepEqual(await stepsNow(kernel), []);
  const observed = await kernel.observe({ netns: NETNS });
  assert.deepEqual(unplugged(WANTED, observed), ["1".repeat(64)]);
});

const CASES: readonly [string, (kernel: FakeKernel) => void, string[]][] = [
  ["bridge down", (k) => edit(k, "br0", { up: false }), ["bridge-set"]],
  ["STP on", (k) => edit(k, "br0", { stp: true }), ["bridge-set"]],
  ["bridge MAC", (k) => edit(k, "br0", { mac: "02:00:00:00:00:07" }), ["bridge-set"]],
  ["gateway lost", (k) => edit(k, "br0", { cidrs: [] }), ["address-add"]],
  [
    "another gateway",
    (k) => edit(k, "br0", { cidrs: ["10.32.0.2/12"] }),
    ["address-del", "address-add"],
  ],
  ["vxlan down", (k) => edit(k, "vxlan0", { up: false }), ["port-set"]],
  ["vxlan MTU", (k) => edit(k, "vxlan0", { mtuBytes: 1500 }), ["port-set"]],
  [
    "vxlan without master",
    (k) => edit(k, "vxlan0", { master: undefined }),
    ["port-set", "learning-off"],
  ],
  ["port learns", (k) => edit(k, "vxlan0", { portLearning: true }), ["learning-off"]],
  ["no IGMP querier", (k) => edit(k, "br0", { snoops: false }), ["bridge-set"]],
  ["a kernel without IGMP snooping", (k) => edit(k, "br0", { snoops: undefined }), []],
  ["groups kept from vxlan0", (k) => edit(k, "vxlan0", { portAllGroups: false }), ["learning-off"]],
  ["broadcast gone", (k) => k.get(NETNS).floods.delete(BROADCAST_KEY), ["copy-put"]],
  [
    "broadcast not permanent",
    (k) => {
      const [mac = "", vtep = ""] = BROADCAST_KEY.split(" ");
      k.get(NETNS).floods.set(BROADCAST_KEY, { mac, vtep, plain: false });
    },
    ["copy-del", "copy-put"],
  ],
  ["veth down", (k) => edit(k, "veth1111111", { up: false }), ["port-set"]],
  ["loopback down", (k) => edit(k, "lo", { up: false }), ["loopback-up"]],
  ["bridged frames filtered", (k) => (k.get(NETNS).filtered = true), ["filter-off"]],
  ["neighbour gone", (k) => k.get(NETNS).neighbours.delete("10.32.0.9"), ["neigh-put"]],
  [
    "neighbour wrong",
    (k) => k.get(NETNS).neighbours.set("10.32.0.9", "02:00:00:00:00:09"),
    ["neigh-put"],
  ],
  ["forward gone", (k) => k.get(NETNS).forwards.delete("02:42:0a:20:00:09"), ["forward-put"]],
  [
    "forward to the old host",
    (k) => setForward(k, "02:42:0a:20:00:09", "192.0.2.77", true),
    ["forward-put"],
  ],
  [
    "forward with a port of its own",
    (k) => setForward(k, "02:42:0a:20:00:09", "192.0.2.2", false),
    ["forward-put"],
  ],
  ["steer learned", (k) => k.get(NETNS).steers.set("02:42:0a:20:00:09", "learned"), ["steer-put"]],
  [
    "steer out of the tunnel",
    (k) => k.get(NETNS).steers.set("02:42:0a:20:00:09", "direct"),
    ["steer-put"],
  ],
  [
    "useless steer out of the tunnel",
    (k) => k.get(NETNS).steers.set("02:42:0a:20:00:77", "direct"),
    ["steer-del"],
  ],
  ["useless steer", (k) => k.get(NETNS).steers.set("02:42:0a:20:00:77", "static"), ["steer-del"]],
  ["the port's own MAC", (k) => k.get(NETNS).steers.set("02:42:0a:20:00:77", "permanent"), []],
];

const BROADCAST_KEY = floodKey("ff:ff:ff:ff:ff:ff", "192.0.2.2");

function setForward(kernel: FakeKernel, mac: string, vtep: string, plain: boolean): void {
  kernel.get(NETNS).forwards.set(mac, { mac, vtep, plain });
}

for (const [name, spoil, kinds] of CASES) {
  test(`drift: ${name}`, async () => {
    const kernel = await built();
    spoil(kernel);
    const steps = await stepsNow(kernel, KEEP_ALL);
    assert.deepEqual(
      steps.map((step) => step.kind),
      kinds,
    );
    assert.deepEqual(await kernel.apply(steps), []);
    assert.deepEqual(await stepsNow(kernel, KEEP_ALL), []);
  });
}

test("a vxlan0 of the wrong kind is rebuilt with all its entries", async () => {
  const shape = { learning: false, proxy: true, l2miss: true, l3miss: true, foreignSocket: true };
  const right = { vni: 256, port: 4789, underlay: 4 as const, ...shape };
  const wrongs = [
    { vni: 257 },
    { port: 8472 },
    { learning: true },
    { proxy: false },
    { l2miss: false },
    { l3miss: false },
    { foreignSocket: false },
    { underlay: 6 as const },
  ];
  for (const wrong of wrongs) {
    const kernel = await built();
    edit(kernel, "vxlan0", { vxlan: { ...right, ...wrong } });
    const steps = await stepsNow(kernel, KEEP_ALL);
    assert.deepEqual(
      steps.slice(0, 4).map((step) => step.kind),
      ["link-del", "vxlan-add", "port-set", "learning-off"],
      JSON.stringify(wrong),
    );
    assert.deepEqual(await kernel.apply(steps), []);
    assert.deepEqual(await stepsNow(kernel, KEEP_ALL), []);
    assert.equal(kernel.get(NETNS).forwards.size, 2);
  }
});

test("a name without a namespace behind it is replaced", async () => {
  const kernel = new FakeKernel();
  kernel.broken.add(NETNS);
  const steps = await stepsNow(kernel);
  assert.deepEqual(
    steps.slice(0, 2).map((step) => step.kind),
    ["netns-del", "netns-add"],
  );
});

test("without proof nothing is removed, with proof it is", async () => {
  const kernel = await built();
  const space = kernel.get(NETNS);
  const mac = "02:42:0a:20:00:63";
  const stray = { overlayEnd: "veth2222222", containerEnd: "tswc2222222", mac, mtuBytes: 1450 };
  await kernel.apply([{ kind: "veth-add", netns: NETNS, ...stray }]);
  space.neighbours.set("10.32.0.99", mac);
  setForward(kernel, mac, "192.0.2.2", true);
  space.steers.set(mac, "static");
  const zero = "00:00:00:00:00:00";
  space.floods.set(floodKey(zero, "192.0.2.9"), { mac: zero, vtep: "192.0.2.9", plain: true });
  assert.deepEqual(await stepsNow(kernel, KEEP_ALL), []);
  space.steers.set(mac, "direct");
  assert.deepEqual(await stepsNow(kernel, KEEP_ALL), [{ kind: "steer-put", netns: NETNS, mac }]);
  space.steers.set(mac, "static");
  const asked: object[] = [];
  const mayRemove = (entry: object) => asked.push(entry) > 0;
  const steps = await stepsNow(kernel, { mayRemove, mayRemoveEndpoint: (p) => p === "2222222" });
  assert.deepEqual(
    steps.map((step) => step.kind),
    ["link-del", "forward-del", "steer-del", "neigh-del", "copy-del"],
  );
  assert.deepEqual(asked, [
    { mac, vtep: "192.0.2.2" },
    { ip: "10.32.0.99", mac, vtep: "192.0.2.2" },
    { mac: zero, vtep: "192.0.2.9" },
  ]);
});

test("links that are not ours are left alone", async () => {
  const kernel = await built();
  const foreign = kernel.get(NETNS).links.get("veth1111111");
  assert.ok(foreign);
  kernel.get(NETNS).links.set("vethABCDEFG", { ...foreign, name: "vethABCDEFG" });
  kernel.get(NETNS).links.set("eth0", { ...foreign, name: "eth0" });
  assert.deepEqual(await stepsNow(kernel, PROOF), []);
});

test("a local address in vxlan0's tables goes without any proof", async () => {
  const kernel = await built();
  const space = kernel.get(NETNS);
  const mac = "02:42:0a:20:00:05";
  space.neighbours.set("10.32.0.5", mac);
  setForward(kernel, mac, "192.0.2.2", true);
  space.steers.set(mac, "learned");
  const steps = await stepsNow(kernel, KEEP_ALL);
  assert.deepEqual(
    steps.map((step) => step.kind),
    ["forward-del", "steer-del", "neigh-del"],
  );
});

test("from any mess of entries one round leads to the desired ones", async () => {
  const ip = fc.constantFrom("10.32.0.5", "10.32.0.9", "10.32.0.10", "10.32.0.11");
  const mac = ip.map((text) => `02:42:0a:20:00:0${Number(text.slice(8)).toString(16)}`);
  const forward = fc.tuple(mac, fc.constantFrom("192.0.2.2", "192.0.2.9"), fc.boolean());
  const steer = fc.tuple(mac, fc.constantFrom("static", "learned", "direct"));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(ip, mac)),
      fc.array(forward),
      fc.array(steer),
      async (neighbours, forwards, steers) => {
        const kernel = await built();
        const space = kernel.get(NETNS);
        space.neighbours.clear();
        space.forwards.clear();
        space.steers.clear();
        for (const [key, value] of neighbours) space.neighbours.set(key, value);
        for (const [key, vtep, plain] of forwards) setForward(kernel, key, vtep, plain);
        for (const [key, value] of steers) space.steers.set(key, value);
        assert.deepEqual(await kernel.apply(await stepsNow(kernel)), []);
        assert.deepEqual(await stepsNow(kernel), []);
        assert.deepEqual(
          new Map([...space.neighbours].sort()),
          new Map([...WANTED.remote.neighbours].sort()),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test("the entries of 70 000 endpoints are one list of steps", () => {
  const remotes = Array.from({ length: 70_000 }, (_, n) =>
    remote(`10.${33 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`),
  );
  const wanted = desiredNetwork(NET, [], remotes, OPTIONS);
  const steps = diff(wanted, emptyObservation(NETNS), KEEP_ALL);
  assert.equal(steps.filter(({ kind }) => kind === "neigh-put").length, 70_000);
});
