/**
 * The direct path on the real kernel: daemons in two namespaces on one LAN, containers' packets on
 * the wire without a tunnel, and the changes of path under pings of 5 ms.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DETECTION_MS } from "../../overlay/direct/probing.ts";
import { DirectLan, inNetns, nft, until } from "../lib/direct-lan.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";

const TAG = (process.pid % 0xfffff).toString(16);
const LAN = `tw${TAG}-lan`;
const FAR = "10.44.0.9";
const EVERY_MS = 5;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const wish = { names: [], dns: false };
let near = "";
let lan: DirectLan;
let a: NetnsDaemon;
let b: NetnsDaemon;

function hosts(): readonly [NetnsHost, NetnsHost, NetnsHost] {
  const [h1, h2, h3] = lab.hosts;
  assert.ok(h1 && h2 && h3);
  return [h1, h2, h3];
}

function start(host: NetnsHost, name: string, options: readonly string[], home?: string) {
  return daemons.start(host, name, options, home);
}

async function ended(daemon: NetnsDaemon, signal: NodeJS.Signals): Promise<void> {
  const exit = once(daemon.child, "exit");
  daemon.child.kill(signal);
  await exit;
}

before(async () => {
  await lab.open(3);
  const [h1, h2] = hosts();
  await DirectLan.watch(LAN, "10.32.0.0/12");
  // What Docker does: nothing may be forwarded that it does not know.
  const drop = "type filter hook forward priority 0; policy drop;";
  for (const { netns } of [h1, h2])
    await nft(netns, `table ip filter { chain FORWARD { ${drop}\n}\n}\n`);
  a = start(h1, "h1", ["--direct", "192.0.2.2"]);
  b = start(h2, "h2", ["--direct", "192.0.2.1"]);
  for (const { client } of [a, b]) {
    await until("founded", 40_000, async () => {
      const { ipam } = await client.status().catch(() => ({ ipam: { founded: false } }));
      return ipam.founded;
    });
  }
  near = await lab.container("near");
  lan = new DirectLan(LAN, near, FAR, EVERY_MS);
  const far = await lab.container("far");
  await a.client.attach({ ...wish, target: near });
  await b.client.attach({ ...wish, target: far, ip: FAR });
  const one = inNetns(near, `busybox ping -c 1 -W 1 ${FAR}`);
  await until("reachable", 20_000, async () => (await exitCode(one)) === 0);
});

after(async () => {
  await daemons.close();
  await lab.close();
});

test("packets leave their tunnels without a loss, past a FORWARD policy of drop", async () => {
  const { sent, lost } = await lan.lostWhile(() => until("direct", 30_000, lan.isDirect));
  assert.equal(lost, 0, `${lost} of ${sent} pings`);
  const size = inNetns(near, `busybox ping -c 2 -W 2 -s ${1450 - 28} ${FAR}`);
  assert.equal(await exitCode(size), 0, "packets of the network's MTU pass");
});

test("a segment that drops bare packets: back in the tunnel in the time of detection", async () => {
  await until("direct", 30_000, lan.isDirect);
  const rule = "ip saddr 10.32.0.0/12 ip daddr 10.32.0.0/12 drop";
  const hook = "type filter hook forward priority 10; policy accept;";
  const { sent, lost } = await lan.lostWhile(async () => {
    await nft(LAN, `table bridge block { chain pass { ${hook}\n${rule}\n}\n}\n`);
    await until("tunnelled", 20_000, lan.isTunnelled);
  });
  console.log(`# segment blocked: ${lost} of ${sent} pings of ${EVERY_MS} ms lost`);
  const boundMs = DETECTION_MS + 1500;
  assert.ok(lost > 0, "the segment did block");
  assert.ok(lost * EVERY_MS <= boundMs, `${lost} pings of ${EVERY_MS} ms lost, ${boundMs} ms`);
  const back = await lan.lostWhile(async () => {
    await nft(LAN, "delete table bridge block");
    await until("direct again", 40_000, lan.isDirect);
  });
  assert.equal(back.lost, 0, `${back.lost} of ${back.sent} pings on the way back`);
});

test("kill -9 leaves the path in use; the next start loses nothing either", async () => {
  await until("direct", 40_000, lan.isDirect);
  const [h1] = hosts();
  const { sent, lost } = await lan.lostWhile(async () => {
    await ended(a, "SIGKILL");
    assert.ok(await lan.isDirect(), "still direct without a daemon");
    a = start(h1, "h1", ["--direct", "192.0.2.2"], a.home);
    await sleep(3000);
    await until("direct again", 40_000, lan.isDirect);
  });
  assert.equal(lost, 0, `${lost} of ${sent} pings`);
});

test("a stop goes back to the tunnel without a loss", async () => {
  await until("direct", 40_000, lan.isDirect);
  const [h1] = hosts();
  const { sent, lost } = await lan.lostWhile(async () => {
    await ended(a, "SIGTERM");
    a = start(h1, "h1", ["--direct", "192.0.2.2"], a.home);
    await until("direct again", 40_000, lan.isDirect);
  });
  assert.equal(lost, 0, `${lost} of ${sent} pings`);
});

test("another host of the segment is not believed", async () => {
  await until("direct", 40_000, lan.isDirect);
  const [, h2, h3] = hosts();
  const text = await sh(`ip -n ${h2.netns} -j link show eth0`);
  const { address } = JSON.parse(text)[0] as { address: string };
  await sh(`ip -n ${h3.netns} addr add 10.32.77.7/32 dev eth0`);
  await sh(`ip -n ${h3.netns} route add ${FAR}/32 dev eth0 src 10.32.77.7`);
  await sh(`ip -n ${h3.netns} neigh replace ${FAR} lladdr ${address} dev eth0 nud permanent`);
  const letIn = async () =>
    [
      ...(await sh(inNetns(h2.netns, "nft list chain netdev tsweave_direct in0"))).matchAll(
        /packets (\d+)/g,
      ),
    ].map(([, n]) => Number(n));
  const before = await letIn();
  await exitCode(inNetns(h3.netns, `busybox ping -c 3 -i 0.1 -W 1 ${FAR}`));
  assert.deepEqual(await letIn(), before);
});

test("a peer that withdraws costs nothing, and its tables go", async () => {
  await until("direct", 40_000, lan.isDirect);
  const [, h2] = hosts();
  const { sent, lost } = await lan.lostWhile(async () => {
    await ended(b, "SIGTERM");
    b = start(h2, "h2", ["192.0.2.1"], b.home);
    await until("tunnelled", 30_000, lan.isTunnelled);
    await until("tables gone", 40_000, async () => {
      const tables = await sh(inNetns(h2.netns, "nft list tables"));
      return !/tsweave_(direct|probe)/.test(tables);
    });
  });
  assert.equal(lost, 0, `${lost} of ${sent} pings`);
  const links = await sh(`ip -n ${h2.netns} -o link`);
  assert.doesNotMatch(links, /tswd|tswp/);
});
