/** The overlay on the real kernel: two hosts in namespaces, packets across, drift repaired. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { macOf } from "../../overlay/address.ts";
import { run } from "../../overlay/io/exec.ts";
import { checkHost, subnetOverlaps } from "../../overlay/io/host-check.ts";
import { readUnderlay } from "../../overlay/io/underlay.ts";
import { containerEnd, type LocalEndpoint, overlayEnd } from "../../overlay/model.ts";
import {
  asRemote,
  exitCode,
  type NetnsHost,
  NetnsLab,
  overlayNetns,
  realClock,
  sh,
} from "../lib/netns-hosts.ts";

const TAG = (process.pid % 0xfffff).toString(16);
/** Names that the lab gives, and those of its overlay namespaces. */
const OWN_NETNS = new RegExp(`^(tw${TAG}-|tsweave-\\d${TAG})`);
const lab = new NetnsLab(TAG);
const local = (digit: string, ip: string): LocalEndpoint => ({
  id: digit.repeat(64),
  network: "tsweave",
  ip,
  mac: macOf(ip),
});
const WEB = local("a", "10.32.0.5");
const DB = local("b", "10.33.0.6");
let containers: string[] = [];

function hosts(): [NetnsHost, NetnsHost] {
  const [first, second] = lab.hosts;
  assert.ok(first && second);
  return [first, second];
}

async function ping(from: string, ip: string, count = 1): Promise<boolean> {
  const line = `ip netns exec ${from} busybox ping -c ${count} -W 1 ${ip}`;
  return (await exitCode(line)) === 0;
}

/** Waits until `check` holds. */
async function until(what: string, check: () => Promise<boolean>, deadlineMs = 15_000) {
  const endMs = realClock.nowMs() + deadlineMs;
  while (!(await check())) {
    assert.ok(realClock.nowMs() < endMs, `${what}: not within ${deadlineMs} ms`);
    await sleep(50);
  }
}

async function packets(netns: string, filter: string, during: () => Promise<void>) {
  const dump = `timeout 2 tcpdump -l -nn -i eth0 ${filter}`;
  const capture = run(`ip netns exec ${netns} ${dump}`.split(" "), { tolerant: true });
  await sleep(500);
  await during();
  return (await capture).stdout.split("\n").filter((line) => line !== "");
}

before(async () => {
  await lab.open(2);
  const [h1, h2] = hosts();
  containers = [await lab.container("web"), await lab.container("db")];
  for (const host of [h1, h2]) {
    host.reconciler.start();
    await host.reconciler.flush();
    assert.equal(host.reconciler.status().inSync, true, String(host.reconciler.status().lastError));
  }
  await lab.attach(h1, WEB, containers[0] ?? "");
  await lab.attach(h2, DB, containers[1] ?? "");
  h1.input = { ...h1.input, remotes: [asRemote(h2, DB)] };
  h2.input = { ...h2.input, remotes: [asRemote(h1, WEB)] };
  await h1.reconciler.applyRemote(h1.input.remotes);
  await h2.reconciler.applyRemote(h2.input.remotes);
});

after(async () => {
  await lab.close();
  const left = (await sh("ip netns list")).split("\n").filter((line) => OWN_NETNS.test(line));
  assert.deepEqual(left, []);
});

test("two containers on two hosts reach one another, at full MTU and not above", async () => {
  const [web = "", db = ""] = containers;
  assert.ok(await ping(web, DB.ip));
  assert.ok(await ping(db, WEB.ip));
  assert.ok(await ping(web, "10.32.0.1"), "the gateway answers");
  const size = (bytes: number) =>
    exitCode(`ip netns exec ${web} busybox ping -c 1 -W 1 -s ${bytes - 28} ${DB.ip}`);
  assert.equal(await size(1450), 0);
});

test("the namespace looks as documented", async () => {
  const [h1] = hosts();
  const netns = overlayNetns(h1);
  const vxlan = await sh(`ip -n ${netns} -d link show vxlan0`);
  assert.match(vxlan, /vxlan id 256 .*dstport 4789 .*nolearning .*proxy l2miss l3miss/);
  assert.match(vxlan, /mtu 1450 .*master br0/);
  assert.match(vxlan, /learning off/);
  const neigh = await sh(`ip -n ${netns} neigh show dev vxlan0`);
  assert.match(neigh, new RegExp(`^${DB.ip} lladdr ${DB.mac} PERMANENT`, "m"));
  const fdb = await sh(`bridge -n ${netns} fdb show dev vxlan0`);
  assert.match(fdb, new RegExp(`^${DB.mac} dst 192.0.2.2 .*self permanent`, "m"));
  assert.match(
    await sh(`ip -n ${netns} addr show br0`),
    /02:42:0a:20:00:01[\s\S]*10\.32\.0\.1\/12/,
  );
  const sockets = `ip netns exec ${h1.netns} cat /proc/net/udp`;
  assert.match(await sh(sockets), /00000000:12B5/, "UDP 4789 in the host's namespace");
  assert.doesNotMatch(await sh(sockets.replace(h1.netns, netns)), /:12B5/);
  const filters = "grep -h . /proc/sys/net/bridge/bridge-nf-call-iptables";
  const filtered = await run(`ip netns exec ${netns} ${filters}`.split(" "), { tolerant: true });
  assert.ok(filtered.exitCode !== 0 || filtered.stdout.trim() === "0");
});

test("a second pass has nothing to do, and hints die down", async () => {
  const [h1] = hosts();
  await h1.reconciler.flush();
  const { steps } = h1.reconciler.status();
  await h1.reconciler.flush();
  assert.equal(h1.reconciler.status().steps, steps);
  await sleep(3000);
  const { passes } = h1.reconciler.status();
  await sleep(2500);
  assert.equal(h1.reconciler.status().passes, passes, "no pass causes the next");
});

test("an own row is confirmed by the kernel's echo, not by a look at all rows", async () => {
  const [h1, h2] = hosts();
  await sleep(1500);
  const base = h1.input.remotes;
  const { passes } = h1.reconciler.status();
  const extra = asRemote(h2, local("e", "10.39.0.1"));
  for (const remotes of [[...base, extra], base]) {
    h1.input = { ...h1.input, remotes };
    await h1.reconciler.applyRemote([extra]);
    await sleep(1500);
  }
  assert.equal(h1.reconciler.status().passes, passes, "no look");
  const netns = overlayNetns(h1);
  assert.doesNotMatch(await sh(`ip -n ${netns} neigh show dev vxlan0`), /10\.39\./);
  await sh(`bridge -n ${netns} fdb add ${extra.mac} dev vxlan0 dst 192.0.2.9 self permanent`);
  await until("a stranger's entry is seen and removed", async () => {
    return !(await sh(`bridge -n ${netns} fdb show dev vxlan0`)).includes(extra.mac);
  });
});

test("an unknown address costs no packet on the LAN, a known one no ARP", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  const unknown = await packets(h1.netns, "udp port 4789 or net 10.32.0.0/12", async () => {
    assert.equal(await ping(web, "10.40.0.40"), false);
  });
  assert.deepEqual(unknown, []);
  await sh(`ip -n ${web} neigh flush dev eth0`);
  const known = await packets(h1.netns, "udp port 4789", async () => {
    assert.ok(await ping(web, DB.ip));
  });
  assert.ok(known.some((line) => /VXLAN, flags \[I\] \(0x08\), vni 256/.test(line)));
  assert.ok(!known.some((line) => line.includes("ARP")));
});

test("a frame to another host is not copied to other containers of this host", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  const other = local("c", "10.32.0.7");
  const bystander = await lab.container("by");
  await lab.attach(h1, other, bystander);
  const seen = await packets(bystander, "icmp", async () => {
    assert.ok(await ping(web, DB.ip, 2));
  });
  assert.deepEqual(seen, []);
  h1.input = { ...h1.input, locals: [WEB] };
  await h1.reconciler.unplug(other.id, h1.network);
});

test("drift is repaired soon after the hint, long before the interval", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  const netns = overlayNetns(h1);
  const spoils = [
    `ip -n ${netns} neigh del ${DB.ip} dev vxlan0`,
    `bridge -n ${netns} fdb del ${DB.mac} dev vxlan0 self`,
    `bridge -n ${netns} fdb replace ${DB.mac} dev vxlan0 dst 192.0.2.99 self permanent`,
    `ip -n ${netns} link set vxlan0 down`,
    `ip -n ${netns} link set br0 down`,
    `ip -n ${netns} link set ${overlayEnd(WEB.id)} nomaster`,
    `ip -n ${netns} link del vxlan0`,
    `ip -n ${netns} link del br0`,
  ];
  for (const spoil of spoils) {
    await sh(spoil);
    await sh(`ip -n ${web} neigh flush dev eth0`);
    await until(spoil, () => ping(web, DB.ip));
  }
  await h1.reconciler.flush();
  assert.equal(h1.reconciler.status().inSync, true);
  assert.deepEqual(h1.reconciler.status().unplugged, []);
});

test("a namespace whose name is deleted has it again, and containers lose nothing", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  const netns = overlayNetns(h1);
  const inode = async () => await sh(`stat -c %i /run/netns/${netns}`);
  const before = await inode();
  for (const spoil of [["del"], ["del", "add"]]) {
    for (const verb of spoil) await sh(`ip netns ${verb} ${netns}`);
    assert.ok(await ping(web, DB.ip), "the data path does not need the name");
    await h1.reconciler.flush();
    assert.equal(await inode(), before, spoil.join());
    assert.equal(h1.reconciler.status().inSync, true, String(h1.reconciler.status().lastError));
    assert.deepEqual(h1.reconciler.status().unplugged, []);
    assert.ok(await ping(web, DB.ip));
  }
});

test("a vxlan0 with the wrong number is rebuilt with its entries", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  const netns = overlayNetns(h1);
  await sh(`ip -n ${netns} link del vxlan0`);
  await sh(`ip -n ${netns} link add vxlan0 type vxlan id 257 dstport 4789`);
  await until("rebuilt", () => ping(web, DB.ip));
});

test("without proof a foreign entry stays; with proof it goes", async () => {
  const [h1] = hosts();
  const netns = overlayNetns(h1);
  const has = async () => /10\.44\.0\.4/.test(await sh(`ip -n ${netns} neigh show dev vxlan0`));
  const { keep } = h1.input;
  h1.input = { ...h1.input, keep: { ...keep, mayRemove: () => false } };
  await sh(`ip -n ${netns} neigh add 10.44.0.4 lladdr 02:42:0a:2c:00:04 dev vxlan0 nud permanent`);
  await h1.reconciler.flush();
  assert.ok(await has());
  assert.equal(h1.reconciler.status().inSync, true);
  h1.input = { ...h1.input, keep };
  await h1.reconciler.flush();
  assert.equal(await has(), false);
});

test("an address that moves here from another host is answered here", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  const netns = overlayNetns(h1);
  const moved = local("d", "10.34.0.9");
  const before = { ...asRemote(hosts()[1], moved), id: "e".repeat(64) };
  h1.input = { ...h1.input, remotes: [...h1.input.remotes, before] };
  await h1.reconciler.applyRemote([before]);
  const tables = async () =>
    (await sh(`ip -n ${netns} neigh show dev vxlan0`)) +
    (await sh(`bridge -n ${netns} fdb show dev vxlan0`));
  assert.match(await tables(), /10\.34\.0\.9[\s\S]*02:42:0a:22:00:09 dst/);
  const container = await lab.container("mv");
  await lab.attach(h1, moved, container);
  assert.doesNotMatch(await tables(), /10\.34\.0\.9|02:42:0a:22:00:09/);
  assert.ok(await ping(web, moved.ip));
  h1.input = { ...h1.input, locals: [WEB], remotes: h1.input.remotes.slice(0, 1) };
  await h1.reconciler.unplug(moved.id, h1.network);
});

test("unplug removes both ends, wherever they are, and again", async () => {
  const [h1] = hosts();
  const endpoint = local("f", "10.32.0.20");
  const gone = async () =>
    !(await sh(`ip -n ${h1.netns} -br link`)).includes(containerEnd(endpoint.id)) &&
    !(await sh(`ip -n ${overlayNetns(h1)} -br link`)).includes(overlayEnd(endpoint.id));
  h1.input = { ...h1.input, locals: [WEB, endpoint] };
  await h1.reconciler.plug(endpoint, h1.network);
  const device = await sh(`ip -n ${h1.netns} link show ${containerEnd(endpoint.id)}`);
  assert.match(device, /mtu 1450[\s\S]*02:42:0a:20:00:14/);
  await h1.reconciler.plug(endpoint, h1.network);
  h1.input = { ...h1.input, locals: [WEB] };
  await h1.reconciler.unplug(endpoint.id, h1.network);
  assert.ok(await gone());
  await h1.reconciler.unplug(endpoint.id, h1.network);
  await h1.reconciler.plug(endpoint, h1.network);
  assert.equal(await gone(), false);
  await h1.reconciler.flush();
  assert.ok(await gone(), "a stray pair goes when it is proved to be one");
});

test("1000 remote endpoints: programmed, followed and removed", async (t) => {
  const [h1, h2] = hosts();
  const base = h1.input.remotes;
  const many = Array.from({ length: 1000 }, (_, i) =>
    asRemote(h2, {
      ...local("0", `10.36.${i >> 8}.${i & 255}`),
      id: i.toString(16).padStart(64, "0"),
    }),
  );
  const timed = async (job: () => Promise<unknown>) => {
    const startMs = realClock.nowMs();
    await job();
    return realClock.nowMs() - startMs;
  };
  h1.input = { ...h1.input, remotes: [...base, ...many] };
  const fullMs = await timed(() => h1.reconciler.flush());
  assert.equal(h1.reconciler.status().drift, 0);
  const netns = overlayNetns(h1);
  const count = (await sh(`ip -n ${netns} neigh show dev vxlan0 nud permanent`)).split("\n").length;
  assert.equal(count - 1, 1001);
  const oneMs: number[] = [];
  const plugMs: number[] = [];
  for (let i = 0; i < 9; i++) {
    const extra = asRemote(h2, local("9", `10.37.0.${i + 1}`));
    h1.input = { ...h1.input, remotes: [...h1.input.remotes, extra] };
    oneMs.push(await timed(() => h1.reconciler.applyRemote([extra])));
    const endpoint = local(`${i}`, `10.38.0.${i + 1}`);
    h1.input = { ...h1.input, locals: [...h1.input.locals, endpoint] };
    plugMs.push(await timed(() => h1.reconciler.plug(endpoint, h1.network)));
  }
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[4] ?? Number.NaN;
  t.diagnostic(
    `1000 remotes ${fullMs.toFixed(0)} ms; applyRemote ${median(oneMs).toFixed(1)} ms; ` +
      `plug ${median(plugMs).toFixed(1)} ms (medians)`,
  );
  h1.input = { ...h1.input, locals: [WEB], remotes: base };
  await h1.reconciler.flush();
  assert.equal(h1.reconciler.status().drift, 0);
  assert.doesNotMatch(await sh(`ip -n ${netns} neigh show dev vxlan0`), /10\.3[67]\./);
});

test("stopping and starting again loses no packet and changes nothing", async () => {
  const [h1] = hosts();
  const [web = ""] = containers;
  await h1.reconciler.stop();
  await h1.kernel.close();
  assert.ok(await ping(web, DB.ip, 2));
  assert.equal(await h1.reconciler.plan(), "");
});

test("the host's checks find nothing wrong here and leave nothing behind", async () => {
  const [h1] = hosts();
  assert.deepEqual(await checkHost({ vxlanPort: 4789, hostNetns: h1.netns }), []);
  assert.doesNotMatch(await sh("ip netns list"), new RegExp(`tsweave-probe-${process.pid}`));
  const prefix = ["nsenter", `--net=/run/netns/${h1.netns}`];
  const [problem] = await subnetOverlaps("192.0.0.0/16", { prefix, resolvConf: "/dev/null" });
  assert.match(problem?.message ?? "", /192\.0\.2\.0\/24 dev eth0/);
  assert.deepEqual(await subnetOverlaps("10.32.0.0/12", { prefix, resolvConf: "/dev/null" }), []);
  assert.deepEqual(await readUnderlay(h1.vtep, prefix), { device: "eth0", mtuBytes: 1500 });
});

test("a VXLAN port that another program holds is a problem with a name", async () => {
  const [h1] = hosts();
  const prefix = ["nsenter", `--net=/run/netns/${h1.netns}`];
  const sockets = `ip netns exec ${h1.netns} cat /proc/net/udp`;
  const bind = 'require("node:dgram").createSocket("udp4").bind(4790)';
  const holder = run([...prefix, "timeout", "2", "node", "-e", bind], { tolerant: true });
  await until("bound", async () => (await sh(sockets)).includes(":12B6"));
  const problems = await checkHost({ vxlanPort: 4790, hostNetns: h1.netns });
  await holder;
  assert.deepEqual(
    problems.map((problem) => problem.code),
    ["PORT_IN_USE"],
  );
});
