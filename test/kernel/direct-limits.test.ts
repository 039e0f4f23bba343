/**
 * Where the direct path must stand back, on the real kernel: networks of one subnet, which nothing
 * but the tunnel's VNI tells apart; and what it does on an underlay of IPv6.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DirectLan, inNetns, until } from "../lib/direct-lan.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, NetnsLab, sh } from "../lib/netns-hosts.ts";

const TAG = (process.pid % 0xfffff).toString(16);
const LAN = `tw${TAG}-lan`;
const FAR = "10.44.0.9";
const V6 = "fd00:6:7:9:";
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const wish = { names: [], dns: false };
let near = "";
let far = "";
let all: readonly [NetnsDaemon, NetnsDaemon];

async function launch(addresses: readonly [string, string]): Promise<void> {
  const [h1, h2] = lab.hosts;
  assert.ok(h1 && h2);
  const [one, two] = addresses;
  const url = (address: string) => (address.includes(":") ? `[${address}]` : address);
  all = [
    daemons.start(h1, "h1", ["--direct", "--advertise", one, url(two)]),
    daemons.start(h2, "h2", ["--direct", "--advertise", two, url(one)]),
  ];
  for (const { client } of all) {
    await until("founded", 40_000, async () => {
      const { ipam } = await client.status().catch(() => ({ ipam: { founded: false } }));
      return ipam.founded;
    });
  }
  await all[0].client.attach({ ...wish, target: near });
  await all[1].client.attach({ ...wish, target: far, ip: FAR });
  await until("reachable", 20_000, () => reaches(near, FAR));
}

async function reaches(from: string, ip: string): Promise<boolean> {
  return (await exitCode(inNetns(from, `busybox ping -c 1 -W 1 ${ip}`))) === 0;
}

/** What h1 says of its way to h2, by network. */
async function said(): Promise<{ kind: string; why: Record<string, string | null> }> {
  const { peers } = await all[0].client.read("peers");
  const path = peers.find(({ name }) => name === "h2")?.path;
  assert.ok(path);
  return {
    kind: path.kind,
    why: Object.fromEntries(path.networks.map(({ network, why }) => [network, why])),
  };
}

before(async () => {
  await lab.open(2);
  await DirectLan.watch(LAN, "10.32.0.0/12");
  for (const [at, { netns }] of lab.hosts.entries()) {
    await sh(`ip -n ${netns} addr add ${V6}:${at + 1}/64 dev eth0 nodad`);
  }
  near = await lab.container("near");
  far = await lab.container("far");
});

after(async () => {
  await daemons.close();
  await lab.close();
});

test("a second network of the same subnet: both in tunnels, said, and isolated", async () => {
  await launch(["192.0.2.1", "192.0.2.2"]);
  const lan = new DirectLan(LAN, near, FAR);
  await until("direct", 30_000, lan.isDirect);
  assert.equal((await said()).kind, "direct");
  const twins: string[] = [];
  const ips: string[] = [];
  const { sent, lost } = await lan.lostWhile(async () => {
    await all[0].client.createNetwork({ name: "twin", subnet: "10.32.0.0/12", internal: false });
    for (const [at, { client }] of all.entries()) {
      const target = await lab.container(`twin${at + 1}`);
      const { ip } = await client.attach({ ...wish, target, network: "twin", gateway: false });
      twins.push(target);
      ips.push(ip);
    }
    await until("tunnelled", 5000, lan.isTunnelled);
  });
  assert.equal(lost, 0, `${lost} of ${sent} pings`);
  const [first = "", second = ""] = twins;
  const [, farTwin = ""] = ips;
  await until("the twins reach one another", 10_000, () => reaches(first, farTwin));
  assert.ok(await lan.isTunnelled());
  const { kind, why } = await said();
  assert.equal(kind, "vxlan");
  assert.match(why.tsweave ?? "", /network twin has addresses of it too \(10\.32\.0\.0\/12\)/);
  assert.match(why.twin ?? "", /network tsweave has addresses of it too \(10\.32\.0\.0\/12\)/);
  assert.equal(await reaches(near, farTwin), false, "into the other network");
  assert.equal(await reaches(first, FAR), false, "out of the other network");
  for (const [at, { client }] of all.entries()) {
    await client.detach({ target: [first, second][at] ?? "", network: "twin" });
  }
  await all[0].client.removeNetwork({ name: "twin" });
  const back = await lan.lostWhile(() => until("direct again", 40_000, lan.isDirect));
  assert.equal(back.lost, 0, `${back.lost} of ${back.sent} pings on the way back`);
});

test("an underlay of IPv6 is a segment like any other", async () => {
  await daemons.close();
  await launch([`${V6}:1`, `${V6}:2`]);
  const lan = new DirectLan(LAN, near, FAR);
  const { sent, lost } = await lan.lostWhile(() => until("direct", 30_000, lan.isDirect));
  assert.equal(lost, 0, `${lost} of ${sent} pings`);
  assert.equal((await said()).kind, "direct");
  await daemons.note();
  const back = await lan.lostWhile(async () => {
    await daemons.stop();
    assert.ok(await lan.isTunnelled(), "in tunnels over IPv6 after a stop");
  });
  assert.equal(back.lost, 0, `${back.lost} of ${back.sent} pings`);
});
