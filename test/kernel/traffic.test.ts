/** Traffic of the tunnels counted by peer: on real vxlan devices, for both IP versions. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { macOf } from "../../overlay/address.ts";
import { HostTraffic } from "../../overlay/io/host-traffic.ts";
import { asRemote, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { QuietLog } from "../lib/quiet-log.ts";

const TAG = `t${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const OTHER = "192.0.2.2";
const STRANGER = "192.0.2.77";
const PINGS = 5;
const SIZE = 1000;
let from = "";
let counters: HostTraffic;

function hosts(): [NetnsHost, NetnsHost] {
  const [first, second] = lab.hosts;
  assert.ok(first && second);
  return [first, second];
}

before(async () => {
  await lab.open(2);
  const endpoints = lab.hosts.map(({ network }, at) => {
    const ip = `10.32.0.${at + 5}`;
    return { id: String(at + 1).repeat(64), network: network.name, ip, mac: macOf(ip) };
  });
  for (const [at, host] of hosts().entries()) {
    const remotes = hosts().flatMap((other, index) => {
      const endpoint = endpoints[index];
      return index === at || endpoint === undefined ? [] : [asRemote(other, endpoint)];
    });
    host.input = { ...host.input, remotes };
    host.reconciler.start();
    await host.reconciler.flush();
    const container = await lab.container(`c${at}`);
    if (at === 0) from = container;
    const endpoint = endpoints[at];
    assert.ok(endpoint);
    await lab.attach(host, endpoint, container);
  }
  const [{ netns }] = hosts();
  const prefix = ["nsenter", `--net=/run/netns/${netns}`];
  counters = new HostTraffic(4789, new QuietLog(), prefix);
});

after(() => lab.close());

async function counted() {
  const found = await counters.look(new Set([OTHER, STRANGER, "fd00::9"]));
  assert.ok(found);
  return { in: found.in.get(OTHER) ?? -1, out: found.out.get(OTHER) ?? -1, all: found };
}

/** Echoes of SIZE bytes and their answers. */
const ping = async (netns = from, to = "10.32.0.6") => {
  await sh(`ip netns exec ${netns} busybox ping -c ${PINGS} -i 0.05 -s ${SIZE} ${to}`);
};

test("each packet of the tunnel counts for its peer, both ways, and only there", async () => {
  await counted();
  const start = await counted();
  assert.deepEqual([start.in, start.out, start.all.isWhole], [0, 0, true]);
  await ping();
  const { in: incoming, out, all } = await counted();
  // IPv4, UDP and VXLAN (36 bytes) around a frame (14) of ICMP (28) in each direction.
  const least = PINGS * (SIZE + 78);
  for (const bytes of [incoming, out]) {
    assert.ok(bytes >= least && bytes < least + 2000, `${bytes} of ${least}`);
  }
  assert.equal(all.in.get(STRANGER), 0);
  assert.equal(all.in.get("fd00::9"), 0);
  // Traffic of the underlay itself does not count.
  const [{ netns }] = hosts();
  await ping(netns, OTHER);
  assert.ok((await counted()).out - out < SIZE);
});

test("a firewall that is loaded anew costs the counts, not the counting", async () => {
  const [{ netns }] = hosts();
  await sh(`ip netns exec ${netns} nft flush ruleset`);
  assert.equal((await counted()).in, 0);
  await ping();
  assert.ok((await counted()).in >= PINGS * SIZE);
});

test("a peer that is gone is counted no longer", async () => {
  await counters.look(new Set([STRANGER]));
  const { in: all } = (await counters.look(new Set([STRANGER]))) ?? {};
  assert.deepEqual([...(all ?? [])], [[STRANGER, 0]]);
});
