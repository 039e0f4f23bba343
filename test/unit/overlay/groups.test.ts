/** Members of groups: read from the bridge, told within bounds, and what becomes of the telling. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../../../mesh/index.ts";
import { desiredNetwork } from "../../../overlay/desired.ts";
import { KEEP_ALL } from "../../../overlay/diff-remote.ts";
import { copiesOf, copySteps, type RemoteGroups } from "../../../overlay/groups/copies.ts";
import {
  ALL_HOSTS_MACS,
  BROADCAST_MAC,
  groupMac,
  isSnooped,
} from "../../../overlay/groups/group.ts";
import { type Joins, readJoins, toTell } from "../../../overlay/groups/joins.ts";
import { GroupWatch } from "../../../overlay/groups/watch.ts";
import { groupsFromWire, groupsToWire } from "../../../overlay/groups/wire.ts";
import { floodKey, type ObservedForward } from "../../../overlay/state.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { settle, VirtualClock } from "../../lib/virtual-clock.ts";
import { NET, NETNS, OPTIONS, PROOF, remote, SELF } from "./samples.ts";

const PORT = "vethaaaaaaa";
const OTHER = "vethbbbbbbb";
const GROUP = "239.1.1.1";

const joined = (...groups: string[]): Joins => new Map([[PORT, new Set(groups)]]);

function mdb(entries: readonly object[], snoops = true): string {
  return JSON.stringify([{ mdb: entries, router: snoops ? { br0: [{ port: "vxlan0" }] } : {} }]);
}

test("a group's MAC carries 23 bits of its address", () => {
  assert.equal(groupMac(GROUP), "01:00:5e:01:01:01");
  assert.equal(groupMac("224.129.1.1"), groupMac(GROUP));
  assert.equal(groupMac("224.0.0.251"), "01:00:5e:00:00:fb");
  for (const yes of [GROUP, "224.0.1.0", "239.255.255.255"]) assert.ok(isSnooped(yes), yes);
  for (const no of ["224.0.0.251", "223.1.1.1", "240.0.0.1", "ff02::1", "0239.1.1.1", ""]) {
    assert.equal(isSnooped(no), false, no);
  }
});

test("members are read from the bridge's table; one that does not snoop tells nothing", () => {
  const entries = [
    { dev: "br0", port: PORT, grp: GROUP, state: "temp" },
    { dev: "br0", port: PORT, grp: GROUP, src: "10.32.0.9", state: "temp" },
    { dev: "br0", port: "vxlan0", grp: "239.1.1.2" },
    { dev: "br0", port: "br0", grp: "239.1.1.3" },
    { dev: "br0", port: PORT, grp: "ff02::fb" },
    { dev: "br9", port: PORT, grp: "239.1.1.4" },
    { dev: "br0", port: 7, grp: null },
  ];
  assert.deepEqual(readJoins(mdb(entries)), joined(GROUP));
  assert.deepEqual(readJoins(mdb([])), new Map());
  assert.equal(readJoins(mdb(entries, false)), undefined);
  assert.equal(readJoins(""), undefined);
  assert.throws(() => readJoins("Error: no"), /no JSON/);
});

test("who joins thousands is cut short and drives out nobody", () => {
  const many = new Set(Array.from({ length: 10_000 }, (_, i) => `239.16.${i >> 8}.${i & 255}`));
  const before = toTell(joined(GROUP), []).groups;
  const crowd = new Map([
    [OTHER, many],
    [PORT, new Set([GROUP])],
  ]);
  const told = toTell(crowd, before);
  assert.ok(told.groups.includes(GROUP));
  assert.equal(told.groups.length, LIMITS.groupsPerEndpointMax + 1);
  assert.equal(told.leftOut, 10_001 - told.groups.length);
  assert.deepEqual(toTell(crowd, told.groups), told, "the choice stays as it is");
  const ports = Array.from({ length: 20 }, (_, i): [string, Set<string>] => {
    return [`p${i}`, new Set([...many].slice(i * 200, i * 200 + 200))];
  });
  const full = toTell(new Map([...ports, [PORT, new Set([GROUP])]]), [GROUP]);
  assert.equal(full.groups.length, LIMITS.groupsPerHostMax);
  assert.ok(full.groups.includes(GROUP));
});

test("a row is read back, and nothing else is", () => {
  const row = { vtep: "192.0.2.2", groups: [GROUP, "239.255.255.255"] };
  assert.deepEqual(groupsFromWire(groupsToWire(row)), row);
  const bad: unknown[] = [
    ["192.0.2.2", [0xe000_00fb]],
    ["192.0.2.2", [0x0a00_0001]],
    ["192.0.2.2", [2 ** 32]],
    ["192.0.2.2", ["239.1.1.1"]],
    ["x y", []],
    ["192.0.2.2"],
    ["192.0.2.2", Array.from({ length: LIMITS.groupsPerHostMax + 1 }, () => 0xef01_0101)],
  ];
  for (const value of bad)
    assert.throws(() => groupsFromWire(value as never), JSON.stringify(value));
});

const host = (digit: string, ...groups: string[]): RemoteGroups => ({
  network: NET.name,
  peer: digit.repeat(32),
  vtep: `192.0.2.${digit}`,
  groups,
});

test("copies go to hosts with members, broadcast to hosts with endpoints", () => {
  const wanted = desiredNetwork(NET, [], [remote("10.32.0.9")], OPTIONS, [
    host("3", GROUP),
    host("4", GROUP, "239.1.1.2"),
    { ...host("5", GROUP), network: "blue" },
    { ...host("6", GROUP), peer: SELF.peer },
    { ...host("7", GROUP), vtep: SELF.vtep },
    { ...host("8", GROUP), vtep: "fd00::8" },
  ]);
  assert.deepEqual(wanted.copies.get(groupMac(GROUP)), new Set(["192.0.2.3", "192.0.2.4"]));
  assert.deepEqual(wanted.copies.get(groupMac("239.1.1.2")), new Set(["192.0.2.4"]));
  for (const mac of ALL_HOSTS_MACS)
    assert.deepEqual(wanted.copies.get(mac), new Set(["192.0.2.2"]));
  assert.equal(wanted.copies.size, ALL_HOSTS_MACS.length + 2);
});

test("too many hosts get no broadcast; too many groups are cut the same way everywhere", () => {
  const vteps = (count: number) => new Set(Array.from({ length: count }, (_, i) => `10.0.0.${i}`));
  assert.equal(copiesOf(vteps(LIMITS.broadcastPeersMax), []).get(BROADCAST_MAC)?.size, 64);
  assert.equal(copiesOf(vteps(LIMITS.broadcastPeersMax + 1), []).size, 0);
  const groups = Array.from({ length: 1024 }, (_, i) => `239.1.${i >> 8}.${i & 255}`);
  const hosts = Array.from({ length: 40 }, (_, i) => ({
    ...host("9", ...groups),
    peer: String(i).padStart(32, "0"),
    vtep: `10.0.1.${i}`,
  }));
  const copies = copiesOf(new Set(), hosts);
  const total = [...copies.values()].reduce((sum, { size }) => sum + size, 0);
  assert.equal(total, LIMITS.groupCopiesMax);
  assert.deepEqual(copiesOf(new Set(), hosts.toReversed()), copies);
});

test("an entry goes with proof only, and one with odd flags is made anew", () => {
  const mac = groupMac(GROUP);
  const flood = (vtep: string, plain = true): [string, ObservedForward] => [
    floodKey(mac, vtep),
    { mac, vtep, plain },
  ];
  const floods = new Map([flood("192.0.2.3"), flood("192.0.2.4", false), flood("192.0.2.5")]);
  const desired = { netns: NETNS, copies: new Map([[mac, new Set(["192.0.2.3", "192.0.2.4"])]]) };
  const kinds = (keep: typeof PROOF) =>
    copySteps(desired, floods, keep).map((step) => `${step.kind} ${"vtep" in step && step.vtep}`);
  const again = ["copy-del 192.0.2.4", "copy-put 192.0.2.4"];
  assert.deepEqual(kinds(KEEP_ALL as typeof PROOF), again);
  assert.deepEqual(kinds(PROOF), ["copy-del 192.0.2.4", "copy-del 192.0.2.5", again[1]]);
});

/** A watch on one network whose bridge says what the test says. */
async function watching() {
  const clock = new VirtualClock();
  const told: (readonly string[])[] = [];
  const on = {
    joins: new Map() as Joins | undefined,
    networks: [NET],
    looks: 0,
    told,
    notify: (_netns: string): void => undefined,
    join: (...groups: string[]) => {
      on.joins = joined(...groups);
      on.notify(NETNS);
    },
    run: async (ms: number) => {
      await clock.run(ms);
      for (let turn = 0; turn < 10; turn++) await settle();
    },
  };
  const watch = new GroupWatch({
    clock,
    log: new QuietLog(),
    look: async () => {
      on.looks += 1;
      await settle();
      return on.joins;
    },
    onJoin: (notify) => {
      on.notify = notify;
      return () => undefined;
    },
    networks: () => on.networks,
    publish: (_network, groups) => told.push(groups),
  });
  const started = watch.start();
  await on.run(0);
  await started;
  return { on, watch };
}

test("a join is told soon, a leave too, an unchanged table never", async () => {
  const { on, watch } = await watching();
  assert.deepEqual(on.told, []);
  await on.run(1000);
  on.join(GROUP);
  await on.run(100);
  assert.deepEqual(on.told, [[GROUP]]);
  await on.run(100_000);
  assert.equal(on.told.length, 1);
  on.join();
  await on.run(300);
  assert.deepEqual(on.told, [[GROUP], []]);
  on.join(GROUP);
  await on.run(1000);
  on.networks = [];
  await on.run(31_000);
  assert.deepEqual(on.told.at(-1), [], "the network is gone");
  await watch.stop();
});

test("a bridge that does not snoop withdraws nothing, nor one that has just begun", async () => {
  const { on, watch } = await watching();
  on.join(GROUP);
  await on.run(1000);
  on.joins = undefined;
  on.notify(NETNS);
  await on.run(60_000);
  on.join();
  await on.run(10_000);
  on.join("239.1.1.2");
  await on.run(3000);
  assert.deepEqual(on.told, [[GROUP], [GROUP, "239.1.1.2"]], "what is new is told at once");
  await on.run(30_000);
  assert.deepEqual(on.told.at(-1), ["239.1.1.2"]);
  await watch.stop();
});

test("however fast groups change, rows and looks are rationed", async () => {
  const { on, watch } = await watching();
  const { looks } = on;
  for (let step = 0; step < 3000; step++) {
    on.join(`239.9.${step >> 8}.${step & 255}`);
    await on.run(20);
  }
  assert.ok(on.told.length >= 30 && on.told.length <= 75, `${on.told.length} rows in a minute`);
  assert.ok(on.looks - looks <= 310, `${on.looks - looks} looks in a minute`);
  await on.run(3000);
  assert.deepEqual(on.told.at(-1), ["239.9.11.183"], "the last word counts");
  await watch.stop();
});
