/**
 * Real daemons on hosts that cannot all reach one another, that have several addresses, or only
 * IPv6; and VXLAN over IPv6.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { MEMBERSHIP_ENGINES } from "../../cli/launch-options.ts";
import { macOf } from "../../overlay/address.ts";
import { overlayMtu } from "../../overlay/mtu.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { connection, type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, overlayNetns, sh } from "../lib/netns-hosts.ts";

const TAG = `p${(process.pid % 0xffff).toString(16)}`;
const V6 = "fd00:6:7:8:";
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();

function hosts(): [NetnsHost, NetnsHost, NetnsHost] {
  const [a, b, c] = lab.hosts;
  assert.ok(a && b && c);
  return [a, b, c];
}

/** Three hosts on two networks: 192.0.2.0/24 with IPv6 beside it, and 10.66.0.0/24. */
before(async () => {
  await lab.open(3);
  const lan = `tw${TAG}-lan`;
  await sh(`ip -n ${lan} link add lan1 type bridge`);
  await sh(`ip -n ${lan} link set lan1 up`);
  for (const [at, { netns }] of lab.hosts.entries()) {
    const index = at + 1;
    const peer = `peer name eth1 netns ${netns}`;
    await sh(`ip -n ${lan} link add side${index} master lan1 type veth ${peer}`);
    await sh(`ip -n ${lan} link set side${index} up`);
    await sh(`ip -n ${netns} addr add 10.66.0.${index}/24 dev eth1`);
    await sh(`ip -n ${netns} addr add ${V6}:${index}/64 dev eth0 nodad`);
    await sh(`ip -n ${netns} link set eth1 up`);
  }
});

afterEach(async () => {
  await daemons.stop();
  const [{ netns }] = hosts();
  await exitCode(`ip netns exec ${netns} nft delete table ip wall`);
  await sh(`ip -n tw${TAG}-lan link set port2 up`);
});

after(async () => {
  await daemons.close();
  await lab.close();
  const left = (await sh("ip netns list")).split("\n").filter((line) => line.includes(TAG));
  assert.deepEqual(left, []);
});

/** Waits until every daemon calls every other one established. */
async function joined(all: readonly NetnsDaemon[]): Promise<void> {
  await eventually("all joined", 60_000, async () => {
    for (const one of all) {
      for (const other of all) {
        if (one === other) continue;
        assert.equal((await connection(one, other)).state, "established");
      }
    }
  });
}

for (const engine of MEMBERSHIP_ENGINES) {
  test(`${engine}: two hosts with a wall between them stay in one mesh, and say so`, async () => {
    const all = hosts();
    const start = (host: NetnsHost, index: number) =>
      daemons.start(host, `h${index}`, [
        ...["--membership", engine, "--advertise", `192.0.2.${index}`, "192.0.2.3"],
      ]);
    const [a, b, c] = all.map((host, at) => start(host, at + 1));
    assert.ok(a && b && c);
    await joined([a, b, c]);
    const [h1] = all;
    const inWall = (line: string) => exitCode(`ip netns exec ${h1.netns} nft ${line}`);
    const rule = "add rule ip wall";
    await inWall("add table ip wall");
    await inWall("add chain ip wall in { type filter hook input priority 0 ; }");
    await inWall("add chain ip wall out { type filter hook output priority 0 ; }");
    assert.equal(await inWall(`${rule} in ip saddr 192.0.2.2 drop`), 0);
    assert.equal(await inWall(`${rule} out ip daddr 192.0.2.2 drop`), 0);

    await eventually("the wall is seen", 40_000, async () => {
      const [there, back] = [await connection(a, b), await connection(b, a)];
      assert.deepEqual([there.direct, back.direct], [false, false]);
      assert.equal(there.fault, "silent");
    });
    const { health } = await a.client.status();
    const problem = health.problems.find(({ code }) => code === "NO_DIRECT_PATH");
    assert.match(problem?.text ?? "", /^no direct path to h2 \(192\.0\.2\.2\) since .*containers/);
    assert.match(problem?.next ?? "", /^ping 192\.0\.2\.2, and let UDP 6783 and 4789 pass/);
    for (const [one, other] of [
      [a, b],
      [b, a],
      [a, c],
      [c, a],
    ] as const) {
      assert.equal((await connection(one, other)).state, "established");
    }
    await eventually("the third is measured", 20_000, async () => {
      assert.equal((await connection(a, c)).direct, true);
    });

    assert.equal(await inWall("delete table ip wall"), 0);
    await eventually("the path is back", 40_000, async () => {
      assert.equal((await connection(a, b)).direct, true);
      assert.equal((await connection(b, a)).direct, true);
    });
    assert.ok(
      (await a.client.status()).health.problems.every(({ code }) => code !== problem?.code),
    );
  });

  test(`${engine}: a host whose network fails is reached by its other address`, async () => {
    const [h1, h2] = hosts();
    const a = daemons.start(h1, "h1", ["--membership", engine, "192.0.2.2"]);
    const b = daemons.start(h2, "h2", ["--membership", engine, "192.0.2.1"]);
    await joined([a, b]);
    const before = await connection(a, b);
    assert.deepEqual(before.addresses, ["192.0.2.2:6783", "10.66.0.2:6783"]);
    assert.equal(before.address, "192.0.2.2:6783");
    await eventually("measured", 10_000, async () => {
      assert.equal((await connection(a, b)).direct, true);
    });
    await sh(`ip -n tw${TAG}-lan link set port2 down`);
    await eventually("the other address", 20_000, async () => {
      assert.equal((await connection(a, b)).address, "10.66.0.2:6783");
      assert.equal((await connection(b, a)).address, "10.66.0.1:6783");
    });
    assert.equal((await connection(a, b)).state, "established");
    await sh(`ip -n tw${TAG}-lan link set port2 up`);
    await eventually("the first address again", 60_000, async () => {
      assert.equal((await connection(a, b)).address, "192.0.2.2:6783");
    });
  });
}

test("a mesh over IPv6 addresses", async () => {
  const [h1, h2, h3] = hosts();
  const peers = [1, 2, 3].map((index) => `[${V6}:${index}]`);
  const all = [h1, h2, h3].map((host, at) =>
    daemons.start(host, `v${at + 1}`, ["--advertise", `${V6}:${at + 1}`, ...peers]),
  );
  await joined(all);
  const [a, b] = all;
  assert.ok(a && b);
  assert.equal((await connection(a, b)).address, `[${V6}:2]:6783`);
  await eventually("founded", 10_000, async () => {
    const { ipam, health } = await a.client.status();
    assert.ok(ipam.founded, ipam.text);
    assert.deepEqual(health.problems, []);
  });
});

test("IPv6 is chosen where the peers are named by it, IPv4 goes on beside it", async () => {
  const [h1, h2] = hosts();
  const a = daemons.start(h1, "m1", [`[${V6}:2]`]);
  const b = daemons.start(h2, "m2", [`[${V6}:1]`]);
  await joined([a, b]);
  const { address, addresses } = await connection(a, b);
  assert.equal(address, `[${V6}:2]:6783`);
  assert.ok(addresses.includes("192.0.2.2:6783"), addresses.join());
});

test("two containers reach one another by VXLAN over IPv6", async () => {
  const [h1, h2] = hosts();
  const mtuBytes = overlayMtu(1500, 6);
  const ends = [
    { host: h1, digit: "a", ip: "10.32.0.5", vtep: `${V6}:1` },
    { host: h2, digit: "b", ip: "10.33.0.6", vtep: `${V6}:2` },
  ].map((end) => {
    const { digit, ip } = end;
    return { ...end, endpoint: { id: digit.repeat(64), network: "tsweave", ip, mac: macOf(ip) } };
  });
  const containers: string[] = [];
  for (const { host, vtep, endpoint, digit } of ends) {
    const others = ends.filter((end) => end.host !== host);
    const self = { peer: host.peer, vtep };
    host.input = {
      ...host.input,
      networks: [{ ...host.network, mtuBytes }],
      options: { ...host.input.options, self },
      remotes: others.map((end) => ({ ...end.endpoint, vtep: end.vtep, peer: end.host.peer })),
    };
    host.reconciler.start();
    await host.reconciler.flush();
    const container = await lab.container(`c${digit}`);
    containers.push(container);
    await lab.attach(host, endpoint, container);
    assert.equal(host.reconciler.status().lastError, null);
    assert.equal(host.reconciler.status().inSync, true);
  }
  const [web = ""] = containers;
  const ping = (bytes: number) =>
    exitCode(`ip netns exec ${web} busybox ping -c 1 -W 2 -s ${bytes - 28} 10.33.0.6`);
  assert.equal(await ping(mtuBytes), 0);
  const fdb = await sh(`bridge -n ${overlayNetns(h1)} fdb show dev vxlan0`);
  assert.ok(fdb.includes(`dst ${V6}:2`), fdb);

  // A host that changes the IP version of its first address gets another vxlan device.
  h1.input = {
    ...h1.input,
    remotes: [],
    options: { ...h1.input.options, self: { peer: h1.peer, vtep: "192.0.2.1" } },
  };
  await h1.reconciler.flush();
  h1.reconciler.request("test");
  await eventually("an IPv4 device", 5000, async () => {
    const link = await sh(`ip -n ${overlayNetns(h1)} -d link show vxlan0`);
    assert.match(link, /noudp6zerocsumrx/);
  });
});
