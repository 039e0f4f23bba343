/**
 * Tunnels between real daemons that pass only small packets, nothing, or no checksum that is left
 * to the card: noticed, said, and where that is possible mended.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../overlay/io/exec.ts";
import { PROBE_PROGRAM } from "../../overlay/io/probe-program.ts";
import { UNLESS_LONG } from "../lib/long-run.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { type AttachedContainer, foundedMesh } from "../lib/netns-mesh.ts";

const TAG = `t${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const LAN = `tw${TAG}-lan`;
let all: NetnsDaemon[] = [];
/** In so long a daemon has seen a change of its links. */
const LOOK_MS = 5000;
const NUDGES_MAX = 4;
let containers: AttachedContainer[] = [];

function hosts(): [NetnsHost, NetnsHost] {
  const [a, b] = lab.hosts;
  assert.ok(a && b);
  return [a, b];
}

function both(): [NetnsDaemon, NetnsDaemon] {
  const [a, b] = all;
  assert.ok(a && b);
  return [a, b];
}

/** Something between the hosts carries less than both of them think, and says nothing. */
const between = async (bytes: number) => await sh(`ip -n ${LAN} link set port2 mtu ${bytes}`);

before(async () => {
  await lab.open(2);
  ({ all, containers } = await foundedMesh(lab, daemons));
});

after(async () => {
  await daemons.close();
  await lab.close();
});

/** A change of a host's link makes its daemon look at all tunnels again. */
async function nudge(): Promise<void> {
  for (const mtu of [1490, 1500]) {
    for (const { netns } of hosts()) await sh(`ip -n ${netns} link set eth0 mtu ${mtu}`);
    await sleep(LOOK_MS);
  }
}

/** Nudges until it holds: on a busy machine two changes may be seen as none. */
async function nudged(what: string, holds: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    await nudge();
    try {
      return await eventually(what, 30_000, holds);
    } catch (error) {
      if (tries === NUDGES_MAX) throw error;
    }
  }
}

async function problem(of: NetnsDaemon, code: string) {
  const { health } = await of.client.status();
  return health.problems.find((one) => one.code === code);
}

const nft = async (host: NetnsHost, script: string) =>
  await run(["nsenter", `--net=/run/netns/${host.netns}`, "nft", script]);

/** What a container's own probe of the other one shows. */
async function fromContainer(fullBytes: number) {
  const [one, other] = containers;
  const argv = ["nsenter", `--net=/run/netns/${one?.netns}`, "perl", "-e", PROBE_PROGRAM];
  const { stdout } = await run([...argv, `${other?.ip}=${fullBytes}`]);
  return JSON.parse(stdout) as { isFull: boolean; isChecked: boolean; largestBytes: number | null };
}

const SWALLOWS = "a path that swallows large packets is found, said, and the networks fit it";

// Three minutes: what is proved is proved in rounds.
test(SWALLOWS, { skip: UNLESS_LONG }, async () => {
  const [h1, h2] = both();
  const mtuOf = async ({ client }: NetnsDaemon) => (await client.read("networks")).networks[0];
  await between(1400);
  // A bridge lets four bytes more through than its port's MTU: room for a VLAN tag.
  await nudged("fits", async () => {
    for (const one of [h1, h2]) assert.equal((await mtuOf(one))?.mtu, 1354);
    assert.ok((await fromContainer(1354)).isFull);
  });
  assert.match((await mtuOf(h1))?.mtuReason ?? "", /^path from h. to h. passes 1404$/);
  const said = (await problem(h1, "PATH_NARROW")) ?? (await problem(h2, "PATH_NARROW"));
  assert.match(said?.text ?? "", /^h. \(192\.0\.2\..\) is reached .* up to 1354 bytes: larger/);
  for (const { netns } of containers) {
    assert.match(await sh(`ip -n ${netns} link show eth0`), / mtu 1354 /);
  }

  await between(1500);
  await nudged("whole again", async () => {
    for (const one of [h1, h2]) {
      assert.equal((await mtuOf(one))?.mtu, 1450);
      assert.equal(await problem(one, "PATH_NARROW"), undefined);
    }
    assert.ok((await fromContainer(1450)).isFull);
  });
});

test("a firewall that stops only the tunnels is named", async () => {
  const [h1] = both();
  const [, host2] = hosts();
  const chain = "type filter hook input priority 0 ;";
  await nft(host2, `add table ip wall; add chain ip wall in { ${chain} }`);
  await nft(host2, "add rule ip wall in udp dport 4789 drop");
  await nudged("said", async () => {
    const { text = "", next = "" } = (await problem(h1, "TUNNEL_BLOCKED")) ?? {};
    assert.match(text, /^gossip with h2 \(192\.0\.2\.2\) passes, container traffic on UDP 4789/);
    assert.match(next ?? "", /^let UDP 4789 pass both ways/);
  });
  await nft(host2, "delete table ip wall");
  await eventually("over", 60_000, async () => {
    assert.equal(await problem(h1, "TUNNEL_BLOCKED"), undefined);
  });
});

/** What stands in a UDP header's checksum field as long as the card is to compute it. */
function unfinished(from: string, to: string, bytes: number): number {
  const words = [from, to].flatMap((ip) => {
    const [a = 0, b = 0, c = 0, d = 0] = ip.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
  let sum = [...words, 17, bytes].reduce((one, other) => one + other);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

test("a card that spoils checksums in tunnels is found and not left any", async () => {
  const [h1] = both();
  const [host1] = hosts();
  const [one, other] = containers;
  assert.ok(one && other);
  const chain = "type filter hook output priority 0 ;";
  await nft(host1, `add table ip card; add chain ip card out { ${chain} }`);
  const pairs = [
    ["192.0.2.1", "192.0.2.2"],
    [one.ip, other.ip],
  ] as const;
  for (const [from, to] of pairs) {
    const field = `@th,448,16 ${unfinished(from, to, 208)}`;
    await nft(host1, `add rule ip card out udp dport 4789 ${field} counter drop`);
  }
  const before = await fromContainer(1450);
  assert.deepEqual([before.isFull, before.isChecked], [true, false]);
  await nudged("mended", async () => {
    assert.match((await problem(h1, "OFFLOAD_BROKEN"))?.text ?? "", /computed by the kernel now/);
    const after = await fromContainer(1450);
    assert.deepEqual([after.isFull, after.isChecked], [true, true]);
  });
  assert.equal(await exitCode(`ip netns exec ${host1.netns} nft delete table ip card`), 0);
});

test("another VXLAN port on one host is said on both, at once", async () => {
  const [h1, h2] = both();
  const ended = new Promise((resolve) => h2.child.once("exit", resolve));
  h2.child.kill("SIGTERM");
  await ended;
  const again = daemons.start(hosts()[1], "h2", ["--vxlan-port", "4790", "192.0.2.1"], h2.home);
  all[1] = again;
  await eventually("said", 60_000, async () => {
    const here = await problem(h1, "VXLAN_PORT_DIFFERS");
    assert.match(here?.text ?? "", /^h2 sends container traffic to UDP 4790, this host to 4789/);
    const there = await problem(again, "VXLAN_PORT_DIFFERS");
    assert.match(there?.text ?? "", /^h1 sends container traffic to UDP 4789, this host to 4790/);
  });
  const { namespaces } = await again.client.host();
  await eventually("its own port", 10_000, async () => {
    const link = await sh(`ip -n ${namespaces[0]?.namespace} -d link show vxlan0`);
    assert.match(link, /dstport 4790 /);
  });
});
