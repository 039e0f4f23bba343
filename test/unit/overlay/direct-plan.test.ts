/** Which networks and peers may use a direct path, from what one look at the host shows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { macOf } from "../../../overlay/address.ts";
import type { DirectNetwork, DirectScene, Segment } from "../../../overlay/direct/model.ts";
import { Pairs } from "../../../overlay/direct/pairs.ts";
import { pairObstacle, planDirect } from "../../../overlay/direct/plan.ts";
import { lookLines, readSegment, remembering } from "../../../overlay/direct/segment.ts";
import { steersOf } from "../../../overlay/direct/steering.ts";
import { directText, nextText, probeAddress, probeText } from "../../../overlay/direct/table.ts";
import type { RemoteEndpoint } from "../../../overlay/model.ts";

const BLUE: DirectNetwork = {
  name: "blue",
  netns: "tsweave-aaaaaaaaaa",
  subnet: "10.32.0.0/12",
  gateway: "10.32.0.1",
  vni: 256,
  mtuBytes: 1450,
  isRefused: false,
};
const PEERS = [2, 3].map((at) => ({
  id: `p${at}`,
  name: `h${at}`,
  vtep: `192.0.2.${at}`,
  life: 1,
}));
const MAC = { own: "02:00:00:00:00:01", 2: "02:00:00:00:00:02", 3: "02:00:00:00:00:03" };

function scene(more: Partial<DirectScene> = {}): DirectScene {
  const known = [{ name: "blue", subnet: BLUE.subnet }];
  return { networks: [BLUE], known, peers: PEERS, inUse: new Set(["blue"]), remotes: [], ...more };
}

function segment(third: string = MAC[3]): Segment {
  const hop = (mac: string) => ({ device: "eth0", deviceMac: MAC.own, deviceMtuBytes: 1500, mac });
  return {
    hops: new Map([
      ["192.0.2.2", hop(MAC[2])],
      ["192.0.2.3", hop(third)],
    ]),
    devices: new Map([["eth0", MAC.own]]),
  };
}

const remote = (ip: string, vtep: string, mac = macOf(ip)): RemoteEndpoint => ({
  id: ip,
  network: "blue",
  ip,
  mac,
  vtep,
  peer: "p2",
});

test("a network of its own subnet and neighbours with MACs of their own are planned", () => {
  const plan = planDirect(scene(), segment());
  assert.deepEqual(
    plan.peers.map(({ id, mac }) => [id, mac]),
    [
      ["p2", MAC[2]],
      ["p3", MAC[3]],
    ],
  );
  assert.deepEqual([...plan.devices], [["eth0", MAC.own]]);
  assert.deepEqual(plan.networks, [BLUE]);
});

test("without a VNI on the wire networks that overlap stay in their tunnels", () => {
  for (const subnet of [BLUE.subnet, "10.40.0.0/24", "10.0.0.0/8"]) {
    const known = [
      { name: "blue", subnet: BLUE.subnet },
      { name: "red", subnet },
    ];
    const plan = planDirect(scene({ known }), segment());
    assert.deepEqual(plan.networks, []);
    assert.match(plan.networkObstacles.get("blue") ?? "", /network red/);
  }
  const refused = planDirect(scene({ networks: [{ ...BLUE, isRefused: true }] }), segment());
  assert.match(refused.networkObstacles.get("blue") ?? "", /tsweave\.direct/);
});

test("a MAC that two peers share, or this host has itself, proves nobody", () => {
  const shared = planDirect(scene(), segment(MAC[2]));
  assert.deepEqual([...shared.peerObstacles.keys()], ["p2", "p3"]);
  const own = planDirect(scene(), segment(MAC.own));
  assert.deepEqual([...own.peerObstacles.keys()], ["p3"]);
});

test("an underlay that is too small is no way", () => {
  const [peer] = planDirect(scene(), segment()).peers;
  assert.ok(peer);
  assert.equal(pairObstacle(BLUE, peer), undefined);
  assert.match(pairObstacle({ ...BLUE, mtuBytes: 9000 }, peer) ?? "", /eth0 \(1500\)/);
});

test("the look tells neighbours on Ethernet from all else", () => {
  const vteps = ["192.0.2.2", "192.0.2.3", "198.51.100.1", "192.0.2.5", "192.0.2.6", "10.1.0.2"];
  const link = { mtu: 1500, link_type: "ether", flags: ["UP"] };
  const text = [
    [
      { ...link, ifname: "eth0", address: MAC.own },
      { ...link, ifname: "wg0", link_type: "none" },
      { ...link, ifname: "vx9", address: MAC[3], linkinfo: { info_kind: "vxlan" } },
      {},
    ],
    [
      { dst: "192.0.2.2", dev: "eth0", lladdr: MAC[2], state: ["STALE"] },
      { dst: "192.0.2.3", dev: "eth0", state: ["FAILED"] },
    ],
    [{ dst: "192.0.2.2", dev: "eth0", prefsrc: "192.0.2.1" }],
    [{ dst: "192.0.2.3", dev: "eth0", prefsrc: "192.0.2.1" }],
    [{ dst: "198.51.100.1", gateway: "192.0.2.9", dev: "eth0", prefsrc: "192.0.2.1" }],
    [{ dst: "192.0.2.6", dev: "wg0", prefsrc: "192.0.2.1" }],
    [{ dst: "10.1.0.2", dev: "vx9", prefsrc: "10.1.0.1" }],
  ];
  const lines = [...text.map((rows) => JSON.stringify(rows)), "RTNETLINK answers: no", "[{"];
  const { hops, devices } = readSegment(lines.join("\n"), vteps);
  assert.equal(devices.get("eth0"), MAC.own);
  const why = (vtep: string) => (hops.get(vtep) as { obstacle?: string }).obstacle;
  assert.deepEqual(hops.get("192.0.2.2"), {
    ...{ device: "eth0", deviceMac: MAC.own, deviceMtuBytes: 1500, mac: MAC[2] },
  });
  assert.match(why("192.0.2.3") ?? "", /MAC is not known/);
  assert.match(why("198.51.100.1") ?? "", /behind the router 192\.0\.2\.9/);
  assert.match(why("192.0.2.5") ?? "", /no route/);
  assert.match(why("192.0.2.6") ?? "", /wg0 is not an Ethernet/);
  assert.match(why("10.1.0.2") ?? "", /vx9 is not an Ethernet/);
  assert.equal(lookLines(vteps).length, 2 + vteps.length);
});

test("a MAC that the kernel has forgotten is remembered, a route that changed is not", () => {
  const unknown = { obstacle: "its MAC is not known yet" };
  const routed = { obstacle: "it is behind the router 192.0.2.9" };
  const hops = new Map([
    ["192.0.2.2", unknown],
    ["192.0.2.3", routed],
  ]);
  const merged = remembering({ ...segment(), hops }, segment());
  assert.ok("mac" in (merged.hops.get("192.0.2.2") ?? unknown));
  assert.deepEqual(merged.hops.get("192.0.2.3"), routed);
});

test("only endpoints whose MAC follows from the address are steered, and no disputed MAC", () => {
  const pairs = new Pairs();
  const plan = planDirect(scene(), segment());
  const isWanted = (_network: string, vtep: string) => vtep === "192.0.2.2";
  pairs.follow(plan, isWanted, 0);
  const address = pairs.of(BLUE.netns, "p2")?.address ?? "";
  let nowMs = 0;
  for (let at = 0; at < 5; at++) {
    nowMs = pairs.dueMs() ?? nowMs;
    const [probe] = pairs.turn(nowMs).probes;
    assert.deepEqual([probe?.to, probe?.vni], [address, 256]);
    pairs.heard(probe?.number ?? 0, address, nowMs + 1);
  }
  assert.equal(pairs.up().length, 1);
  assert.equal(pairs.of(BLUE.netns, "p3"), undefined, "nobody needs it");
  const given = "02:42:ff:00:00:01";
  const remotes = [
    remote("10.32.0.5", "192.0.2.2"),
    remote("10.32.0.6", "192.0.2.3"),
    remote("10.32.0.7", "192.0.2.2", given),
    remote("10.32.0.8", "192.0.2.2"),
    remote("10.32.0.9", "192.0.2.3", macOf("10.32.0.8")),
  ];
  assert.deepEqual([...steersOf(pairs.up(), remotes).keys()], [macOf("10.32.0.5")]);
  pairs.follow({ ...plan, peers: [] }, isWanted, nowMs);
  assert.deepEqual(pairs.up(), []);
});

test("a silent peer that starts anew is asked at once, a path that works is left alone", () => {
  const plan = planDirect(scene(), segment());
  const reborn = { ...plan, peers: plan.peers.map((peer) => ({ ...peer, life: 2 })) };
  const [silent, up] = [new Pairs(), new Pairs()];
  for (const pairs of [silent, up]) pairs.follow(plan, (_n, vtep) => vtep === "192.0.2.2", 0);
  let nowMs = 0;
  while (nowMs < 60_000) {
    nowMs = silent.dueMs() ?? nowMs;
    silent.turn(nowMs);
  }
  for (let at = 0; at < 5; at++) {
    const [probe] = up.turn(up.dueMs() ?? 0).probes;
    up.heard(probe?.number ?? 0, probe?.to ?? "", up.dueMs() ?? 0);
  }
  for (const pairs of [silent, up]) pairs.follow(reborn, (_n, vtep) => vtep === "192.0.2.2", nowMs);
  assert.equal(silent.dueMs(), nowMs);
  assert.equal(up.up().length, 1);
});

test("probe addresses are apart", () => {
  const seen = new Set<string>();
  for (const network of [0, 1, 60]) {
    for (let peer = 1; peer <= 1000; peer++) seen.add(probeAddress(network, peer));
  }
  assert.equal(seen.size, 3000);
  assert.ok(!seen.has("240.116.255.1"));
});

test("what is claimed on arrival is of a peer, to this host, within the network", () => {
  const device = { name: "eth0", mac: MAC.own, from: [MAC[2]], next: new Map([["a", "b"]]) };
  const text = directText([BLUE], [device]);
  const [claim] = text.split("\n").filter((line) => line.includes("@from0"));
  for (const part of ["ip saddr 10.32.0.0/12", `ether daddr ${MAC.own}`, "ether saddr @from0"]) {
    assert.ok(claim?.includes(part), claim);
  }
  assert.match(text, /ip saddr 10\.32\.0\.1 drop/);
  assert.match(text, /hook forward[^}]*ip saddr 10\.32\.0\.0\/12 ip daddr 10\.32\.0\.0\/12.*drop/s);
  assert.equal(nextText([{ gone: [], put: [] }]), "");
  const both = nextText([{ gone: ["a"], put: [["a", "c"]] }]);
  assert.ok(both.indexOf("delete") < both.indexOf("add"));
  const own = { mac: MAC[3], port: 5000 };
  const probes = probeText([{ ...BLUE, slot: 1 }], [{ ...device, peers: [] }], own);
  assert.match(probes, /@th,64,32 256 udp sport 6785 udp dport 5000/);
});
