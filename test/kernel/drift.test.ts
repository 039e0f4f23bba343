/**
 * Somebody takes the data path apart at random, with pings running between containers of two real
 * daemons: every time all is as it was, within the bound, and what was lost is told.
 * DRIFT_SECONDS and DRIFT_SEED choose how long and what.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../overlay/io/exec.ts";
import { FILTER_KEYS } from "../../overlay/render.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { NetnsDaemons } from "../lib/netns-daemons.ts";
import { NetnsLab, sh } from "../lib/netns-hosts.ts";
import { foundedMesh } from "../lib/netns-mesh.ts";
import { SeededRandom } from "../lib/seeded-random.ts";

const SECONDS = Number(process.env.DRIFT_SECONDS ?? 40);
const SEED = Number(process.env.DRIFT_SEED ?? 20_261_121);
/** A change that no monitor shows is found by the full pass, every 30 s. */
const HEAL_MS = 45_000;
const PING_MS = 50;
/** No packet needs it: it is put back when somebody asks, else within a minute; kernel/traffic. */
const COUNTERS = /^table inet tsweave_traffic \{\n[\s\S]*?^\}\n/gm;
/** Of the overlay namespace, as `sysctl -r` takes them. */
const SYSCTLS = "br0.*(disable_ipv6|arp)|nf-call-.*tables$";

const TAG = `d${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();

interface Side {
  readonly netns: string;
  readonly container: string;
  readonly ip: string;
  readonly mac: string;
  readonly overlay: string;
}

const sides: Side[] = [];

before(async () => {
  await lab.open(2);
  const { all, containers } = await foundedMesh(lab, daemons, { dns: true, gateway: true });
  for (const [at, daemon] of all.entries()) {
    const [host, container] = [lab.hosts[at], containers[at]];
    const [network] = (await daemon.client.namespaces()).namespaces;
    assert.ok(host && container && network);
    const { netns, ip, mac } = container;
    sides.push({ netns: host.netns, container: netns, ip, mac, overlay: network.namespace });
  }
  await eventually("pings pass", 20_000, async () => assert.ok(await isReached(), "not reached"));
});

after(async () => {
  await daemons.close();
  await lab.close();
});

function pair(): [Side, Side] {
  const [first, second] = sides;
  assert.ok(first && second);
  return [first, second];
}

async function isReached(): Promise<boolean> {
  const [from, to] = pair();
  const ping = ["ip", "netns", "exec", from.container, "busybox", "ping", "-c1", "-W1", to.ip];
  return (await run(ping, { tolerant: true })).exitCode === 0;
}

/** What one host's data path is, without numbers that the kernel chooses; "" while it has none. */
async function pictureOf({ netns, overlay, container }: Side): Promise<string> {
  const looks = [
    ["ip", "-n", overlay, "-o", "link"],
    ["ip", "-n", overlay, "-o", "addr", "show", "dev", "br0", "scope", "global"],
    ["ip", "-n", overlay, "neigh", "show", "nud", "permanent"],
    ["bridge", "-n", overlay, "fdb", "show"],
    ["ip", "netns", "exec", overlay, "sysctl", "-a", "-r", SYSCTLS],
    ["ip", "netns", "exec", netns, "sysctl", "net.ipv4.ip_forward"],
    ["ip", "netns", "exec", netns, "nft", "-s", "list", "ruleset"],
    ["ip", "netns", "exec", container, "nft", "-s", "list", "ruleset"],
  ];
  const texts: string[] = [];
  for (const argv of looks) {
    const { exitCode, stdout } = await run(argv, { tolerant: true });
    if (exitCode !== 0) return "";
    const lines = stdout.replace(COUNTERS, "").split("\n");
    texts.push(...lines.map(plain).filter(isLasting).toSorted());
  }
  return texts.join("\n");
}

/** A line without indexes, queue settings and the ports that new sockets got. */
function plain(line: string): string {
  const link = /^\d+: ([^@:]+).*<(.*?)>.* mtu (\d+)/.exec(line);
  const isUp = link?.[2]?.split(",").includes("UP") === true;
  if (link !== null) return `${link[1]} ${isUp ? "up" : "down"} ${link[3]}`;
  return line
    .replace(/^\d+: /, "")
    .replace(/ valid_lft.*/, "")
    .replace(/127\.0\.0\.11:\d+|sport != \d+/g, "PORT")
    .trimEnd();
}

/** Forwards of addresses of ours and of groups, and what is no forward; sets fill by themselves. */
function isLasting(line: string): boolean {
  const isForward = / (dev|master) /.test(line) && /^([0-9a-f]{2}:){5}/.test(line);
  if (line === "" || line.startsWith("\t\telements")) return false;
  return !isForward || /^(02:42|ff:ff)/.test(line);
}

type Damage = readonly [what: string, commands: (near: Side, far: Side) => readonly string[]];

const inside = (netns: string, words: string): string => `ip netns exec ${netns} ${words}`;

const DAMAGES: readonly Damage[] = [
  ["a neighbour", (near, far) => [`ip -n ${near.overlay} neigh del ${far.ip} dev vxlan0`]],
  ["all neighbours", (near) => [`ip -n ${near.overlay} neigh flush nud permanent dev vxlan0`]],
  ["a forward", (near, far) => [`bridge -n ${near.overlay} fdb del ${far.mac} dev vxlan0 self`]],
  ["a steer", (near, far) => [`bridge -n ${near.overlay} fdb del ${far.mac} dev vxlan0 master`]],
  ["br0 down", (near) => [`ip -n ${near.overlay} link set br0 down`]],
  ["vxlan0 down", (near) => [`ip -n ${near.overlay} link set vxlan0 down`]],
  ["no vxlan0", (near) => [`ip -n ${near.overlay} link del vxlan0`]],
  ["vxlan0 off br0", (near) => [`ip -n ${near.overlay} link set vxlan0 nomaster`]],
  ["a small MTU", (near) => [`ip -n ${near.overlay} link set vxlan0 mtu 1300`]],
  ["no gateway address", (near) => [`ip -n ${near.overlay} addr flush dev br0 scope global`]],
  ["no name of the namespace", (near) => [`ip netns del ${near.overlay}`]],
  ["frames filtered", (near) => [inside(near.overlay, `sysctl -qw ${FILTER_KEYS[0]}=1`)]],
  ["no forwarding", (near) => [inside(near.netns, "sysctl -qw net.ipv4.ip_forward=0")]],
  ["no nft rules on the host", (near) => [inside(near.netns, "nft flush ruleset")]],
  ["no nft rules in the container", (near) => [inside(near.container, "nft flush ruleset")]],
];

/** Pings all the time; how many were sent and how many answered. */
function pingAllTheTime(): () => Promise<{ readonly sent: number; readonly lost: number }> {
  const [from, to] = pair();
  const ping = ["busybox", "ping", "-i", String(PING_MS / 1000), to.ip];
  const child = spawn("ip", ["netns", "exec", from.container, ...ping]);
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-2000);
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return async () => {
    child.kill("SIGINT");
    await ended;
    const [, sent = 0, received = 0] =
      /(\d+) packets transmitted, (\d+) packets received/.exec(text)?.map(Number) ?? [];
    return { sent, lost: sent - received };
  };
}

test("whatever is taken away comes back", { timeout: (SECONDS + 200) * 1000 }, async (context) => {
  const random = new SeededRandom(SEED);
  const before = await steady();
  const healMs = new Map<string, number[]>();
  const stopPings = pingAllTheTime();
  const endMs = performance.now() + SECONDS * 1000;
  const order: Damage[] = [];
  while (performance.now() < endMs) {
    if (order.length === 0) order.push(...DAMAGES);
    const [damage] = order.splice(random.below(order.length), 1);
    const [near, far] = random.chance(0.5) ? pair() : pair().toReversed();
    assert.ok(damage && near && far);
    const [what, commands] = damage;
    for (const line of commands(near, far)) await sh(line);
    const startMs = performance.now();
    await eventually(`${what} at ${near.netns} (seed ${SEED})`, HEAL_MS, async () => {
      assert.equal(await pictureOf(near), before.get(near.netns));
    });
    healMs.set(what, [...(healMs.get(what) ?? []), performance.now() - startMs]);
    await eventually(`pings after ${what}`, 10_000, async () =>
      assert.ok(await isReached(), "not reached"),
    );
    await sleep(random.below(1000));
  }
  tell(context, healMs, await stopPings());
});

/** The picture of both hosts once it changes no more. */
async function steady(): Promise<ReadonlyMap<string, string>> {
  const pictures = async () =>
    new Map(
      await Promise.all(sides.map(async (side) => [side.netns, await pictureOf(side)] as const)),
    );
  let found = await pictures();
  await eventually("a steady data path", 60_000, async () => {
    const last = found;
    await sleep(2000);
    found = await pictures();
    for (const [netns, picture] of found) {
      assert.notEqual(picture, "");
      assert.equal(picture, last.get(netns));
    }
  });
  return found;
}

function tell(
  context: TestContext,
  healMs: ReadonlyMap<string, readonly number[]>,
  { sent, lost }: { readonly sent: number; readonly lost: number },
): void {
  for (const [what, all] of healMs) {
    const sorted = all.toSorted((a, b) => a - b);
    const [median = 0, worst = 0] = [sorted[sorted.length >> 1], sorted.at(-1)];
    const times = `median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms`;
    context.diagnostic(`${what}: ${all.length} times, healed: ${times}`);
  }
  const lostMs = lost * PING_MS;
  context.diagnostic(
    `seed ${SEED}: ${lost} of ${sent} pings lost, ${(lostMs / 1000).toFixed(1)} s`,
  );
  const healed = [...healMs.values()].flat();
  assert.ok(sent > 0 && lostMs <= healed.reduce((sum, ms) => sum + ms, 0), "loss without damage");
}
