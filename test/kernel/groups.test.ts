/**
 * Multicast and broadcast between hosts in namespaces with real daemons: who gets copies, who gets
 * nothing on the wire, what happens when members leave, join by the thousand, or a daemon dies.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { GroupRow } from "../../cli/control/group-api.ts";
import { LIMITS } from "../../mesh/index.ts";
import { Caster, cast, onWire } from "../lib/group-casting.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";

const TAG = `g${(process.pid % 0xffff).toString(16)}`;
const GROUP = "239.1.1.1";
const PEERS = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
/** What containers send between hosts: VXLAN but for VNI 255, by which daemons test their paths. */
const FRAMES = "udp port 4789 and udp[12:4] & 0xffffff00 != 0xff00";
/** A bridge hands groups to all its ports until the first answers to its questions are due. */
const UNSNOOPED_MS = 2000;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const casters: Caster[] = [];
let running: NetnsDaemon[] = [];
/** Namespaces that play containers: a member on h1, two on h2, one each on h3 and h4. */
const at = { a: "", b: "", bystander: "", c: "", d: "" };

function host(number: number): NetnsHost {
  const found = lab.hosts[number - 1];
  assert.ok(found);
  return found;
}

function daemon(number: number): NetnsDaemon {
  const found = running[number - 1];
  assert.ok(found);
  return found;
}

async function listen(netns: string, group = GROUP): Promise<Caster> {
  const caster = await Caster.start(netns, "listen", group, "5000");
  casters.push(caster);
  return caster;
}

async function groupsOn(number: number): Promise<readonly GroupRow[]> {
  return (await daemon(number).client.read("groups")).groups;
}

/** Waits until a host sends copies of the group to exactly these peers. */
async function copiesTo(number: number, peers: readonly string[], group = GROUP) {
  await eventually(`h${number} copies ${group} to ${peers}`, 15_000, async () => {
    const row = (await groupsOn(number)).find((one) => one.group === group);
    assert.deepEqual(row?.peers ?? [], peers);
    const fdb = await overlay(number, "fdb show dev vxlan0");
    const vteps = [...fdb.matchAll(/^01:00:5e:01:01:01 dst (\S+)/gm)]
      .map(([, vtep]) => vtep)
      .sort();
    const wanted = peers.map((name) => PEERS[Number(name.slice(1)) - 1]);
    if (group === GROUP) assert.deepEqual(vteps, wanted);
  });
}

async function overlay(number: number, line: string): Promise<string> {
  const { namespaces } = await daemon(number).client.namespaces();
  return await sh(`bridge -n ${namespaces[0]?.namespace} ${line}`);
}

const ofGroup = (lines: readonly string[]) => lines.filter((line) => line.includes(`> ${GROUP}.`));

before(async () => {
  await lab.open(4);
  for (const { netns } of lab.hosts) await sh(`ip -n ${netns} route add default via 192.0.2.9`);
  running = lab.hosts.map((one, index) =>
    daemons.start(
      one,
      `h${index + 1}`,
      PEERS.filter((peer) => peer !== one.vtep),
    ),
  );
  for (const one of running) {
    await eventually(`${one.name} has addresses`, 120_000, async () => {
      const { ipam } = await one.client.status();
      assert.ok(ipam.founded, ipam.text);
    });
  }
  const where = { a: 1, b: 2, bystander: 2, c: 3, d: 4 };
  for (const [name, number] of Object.entries(where)) {
    const netns = await lab.container(name);
    at[name as keyof typeof at] = netns;
    await daemon(number).client.attach({ target: netns, names: [name], dns: false });
  }
  await daemons.note();
  await sleep(UNSNOOPED_MS);
});

after(async () => {
  for (const caster of casters) await caster.stop();
  await daemons.close();
  await lab.close();
});

test("hosts with members get a copy, nobody else gets anything", async () => {
  const [a, c] = [await listen(at.a), await listen(at.c)];
  await copiesTo(2, ["h1", "h3"]);
  const rows = await groupsOn(1);
  assert.deepEqual(rows, [{ network: "tsweave", group: GROUP, containers: ["a"], peers: ["h3"] }]);
  let bystander: string[] = [];
  const toD = await onWire(host(4).netns, FRAMES, async () => {
    bystander = await onWire(at.bystander, "udp port 5000", () => cast(at.b, GROUP, 100));
  });
  await eventually("both have all", 3000, async () => {
    assert.deepEqual([a.count, c.count], [100, 100]);
  });
  assert.deepEqual(bystander, [], "nothing for the other container of the sender's host");
  assert.deepEqual(toD, [], "nothing on the wire to a host without members");
  const fromB = await onWire(host(2).netns, FRAMES, () => cast(at.b, GROUP, 20));
  assert.equal(ofGroup(fromB).length, 40, "one copy for each host");
});

test("who leaves gets nothing any more", async () => {
  casters.find((_, index) => index === 1)?.leave();
  await copiesTo(2, ["h1"]);
  const toC = await onWire(host(3).netns, FRAMES, () => cast(at.b, GROUP, 50));
  assert.deepEqual(ofGroup(toC), []);
  const before = casters[0]?.count ?? 0;
  await cast(at.b, GROUP, 50);
  await eventually("the member has all", 3000, async () => {
    assert.equal((casters[0]?.count ?? 0) - before, 50);
  });
});

test("ARP and unknown addresses are never copied, broadcast and mDNS once a host", async () => {
  const lines = await onWire(host(2).netns, FRAMES, async () => {
    await exitCode(`nsenter --net=/run/netns/${at.b} busybox ping -c 1 -W 1 10.47.9.9`);
    const mac = "lladdr 02:42:0a:2f:09:08 dev eth0 nud permanent";
    await sh(`ip -n ${at.b} neigh replace 10.47.9.8 ${mac}`);
    await exitCode(`nsenter --net=/run/netns/${at.b} busybox ping -c 1 -W 1 10.47.9.8`);
  });
  assert.deepEqual(lines, []);
  for (const address of ["10.47.255.255", "224.0.0.251"]) {
    const member = address.startsWith("224") ? address : "-";
    const [c, d] = [await listen(at.c, member), await listen(at.d, member)];
    const sent = await onWire(host(2).netns, FRAMES, () => cast(at.b, address, 20));
    assert.equal(sent.filter((line) => line.includes(`> ${address}.`)).length, 60, address);
    await eventually(`${address} arrives`, 3000, async () => {
      assert.deepEqual([c.count, d.count], [20, 20]);
    });
    for (const one of [c, d]) await one.stop();
    casters.splice(casters.indexOf(c), 2);
  }
});

test("frames flow while daemons are dead and while they come back", async () => {
  const [member] = casters;
  assert.ok(member);
  const before = member.count;
  const sending = cast(at.b, GROUP, 1000, 15);
  for (const number of [2, 1]) {
    const { child, home, name } = daemon(number);
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    await sleep(1000);
    const { vtep } = host(number);
    const others = PEERS.filter((peer) => peer !== vtep);
    running[number - 1] = daemons.start(host(number), name, others, home);
  }
  await sending;
  await eventually("nothing was lost", 3000, async () => {
    assert.equal(member.count - before, 1000);
  });
  await eventually("both daemons are back", 30_000, async () => {
    for (const number of [1, 2]) assert.equal((await daemon(number).client.status()).mesh.alive, 4);
  });
  await copiesTo(2, ["h1"]);
  assert.ok(member.count - before >= 1000);
});

test("ten thousand joins stay bounded and take nothing from others", async () => {
  await sh(`nsenter --net=/run/netns/${at.d} sysctl -qw net.ipv4.igmp_max_memberships=20000`);
  const crowd = await Caster.start(at.d, "crowd", "10000");
  casters.push(crowd);
  await eventually("the bounds are reached", 30_000, async () => {
    const { notTold, groups } = await daemon(4).client.read("groups");
    assert.ok(notTold > 9000, `${notTold} not told`);
    assert.ok(groups.length > 9000);
  });
  const { health } = await daemon(4).client.status();
  assert.ok(health.problems.some(({ code }) => code === "GROUPS_FULL"));
  await eventually("others know of so many", 10_000, async () => {
    const far = (await groupsOn(2)).filter(({ peers }) => peers.includes("h4"));
    assert.equal(far.length, LIMITS.groupsPerEndpointMax);
  });
  const d = await listen(at.bystander);
  await copiesTo(1, ["h2"]);
  await cast(at.a, GROUP, 50);
  await eventually("a new member has all", 3000, async () => assert.equal(d.count, 50));
  await crowd.stop();
  casters.splice(casters.indexOf(crowd), 1);
  // Ten thousand leaves at once overrun the kernel's queue, and IGMPv2 says each only once: what
  // ends all of them for certain is the end of the container's device.
  await daemon(4).client.detach({ target: at.d, network: undefined });
  await eventually("gone with the container that joined", 30_000, async () => {
    const far = (await groupsOn(2)).filter(({ peers }) => peers.includes("h4"));
    assert.equal(far.length, 0);
  });
  await daemon(4).client.attach({ target: at.d, names: ["d"], dns: false });
});

test("a member that moved gets each frame once, though copies go to its old host too", async () => {
  const { child } = daemon(3);
  const ended = once(child, "exit");
  const member = await listen(at.c);
  await copiesTo(2, ["h1", "h3"]);
  // The host dies without a word: its entries, and copies to it, stay for the grace.
  child.kill("SIGKILL");
  await ended;
  await member.stop();
  casters.splice(casters.indexOf(member), 1);
  await sh(`ip -n ${at.c} link del eth0`);
  await daemon(4).client.attach({ target: at.c, names: ["c"], dns: false });
  const [moved, neighbour] = [await listen(at.c), await listen(at.d)];
  await eventually("copies to the old host and the new", 15_000, async () => {
    const fdb = await overlay(1, "fdb show dev vxlan0");
    for (const vtep of [PEERS[2], PEERS[3]])
      for (const mac of ["01:00:5e:01:01:01", "ff:ff:ff:ff:ff:ff"])
        assert.match(fdb, new RegExp(`^${mac} dst ${vtep} `, "m"));
  });
  for (const address of [GROUP, "10.47.255.255"]) {
    const before = [moved.count, neighbour.count];
    await cast(at.a, address, 100);
    await sleep(300);
    const got = [moved, neighbour].map(({ count }, index) => count - (before[index] ?? 0));
    assert.deepEqual(got, [100, 100], address);
  }
});
