/**
 * A container with raw sockets, as Docker gives them, that claims to be another one: by ARP, by
 * MAC, by IP address, on its own host and towards another. Says what is possible as well as what is
 * not, so that the threat model in mesh/README.md cannot promise more than the kernel keeps.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { macOf } from "../../overlay/address.ts";
import { run } from "../../overlay/io/exec.ts";
import type { LocalEndpoint } from "../../overlay/model.ts";
import { arpReply, etherFrame, ipv4Packet, RAW_SENDER } from "../lib/frames.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import {
  asRemote,
  exitCode,
  type NetnsHost,
  NetnsLab,
  overlayNetns,
  sh,
} from "../lib/netns-hosts.ts";

const lab = new NetnsLab(`s${(process.pid % 0xffff).toString(16)}`);
/** Who is where; each container's address is 10.32.0 and its number. */
const PLACES = {
  evil: [0, 66],
  near: [0, 5],
  friend: [0, 6],
  far: [1, 7],
  stranger: [1, 8],
} as const;
type Name = keyof typeof PLACES;
const namespaces = new Map<Name, string>();
const ipOf = (name: Name): string => `10.32.0.${PLACES[name][1]}`;
/** How often the attacker tries. */
const TRIES = 4;
const EVIL_MAC = macOf(ipOf("evil"));

function hosts(): [NetnsHost, NetnsHost] {
  const [h1, h2] = lab.hosts;
  assert.ok(h1 && h2);
  return [h1, h2];
}

function netns(name: Name): string {
  const found = namespaces.get(name);
  assert.ok(found !== undefined);
  return found;
}

const ping = async (from: Name, to: Name) =>
  (await exitCode(`ip netns exec ${netns(from)} busybox ping -c 1 -W 1 ${ipOf(to)}`)) === 0;

/** Sends a frame from the attacker's interface. */
async function inject(frame: Buffer): Promise<void> {
  await run(["ip", "netns", "exec", netns("evil"), "perl", "-e", RAW_SENDER, "eth0"], {
    input: frame.toString("hex"),
  });
  await sleep(100);
}

/** Tells `whom` that `whose` address is at the attacker's MAC. */
const claim = async (whose: Name, whom: Name) =>
  await inject(
    arpReply({ ip: ipOf(whose), mac: EVIL_MAC, to: macOf(ipOf(whom)), toIp: ipOf(whom) }),
  );

/** Whether a container takes another's address to be at the attacker. */
async function isDiverted(who: Name, from: Name): Promise<boolean> {
  const entry = await sh(`ip -n ${netns(who)} neigh show ${ipOf(from)} dev eth0`);
  return entry.includes(EVIL_MAC);
}

/** Whether frames of `from` for the MAC of `to` reach the attacker, who tries several times. */
async function isStolen(from: Name, to: Name): Promise<boolean> {
  const words = ["exec", netns("evil"), "tcpdump", "-Z", "root", "-lnn", "--immediate-mode", "-p"];
  const filter = ["-Q", "in", "-i", "eth0", `icmp and ether dst ${macOf(ipOf(to))}`];
  const dump = spawn("ip", ["netns", ...words, ...filter]);
  let text = "";
  dump.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  dump.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  try {
    await eventually("it listens", 20_000, async () => assert.match(text, /listening on/));
    for (let round = 0; round < TRIES && !text.includes("ICMP"); round += 1) {
      await inject(etherFrame(macOf(ipOf(from)), macOf(ipOf(to)), 0x0800, Buffer.alloc(46)));
      await ping(from, to);
    }
    return text.includes("ICMP");
  } finally {
    const ended = once(dump, "exit");
    dump.kill("SIGTERM");
    await ended;
  }
}

/** The forwarding entries and neighbours that hosts keep of one another. */
async function tables(host: NetnsHost): Promise<string> {
  const ns = overlayNetns(host);
  const neigh = await sh(`ip -n ${ns} neigh show dev vxlan0 nud permanent`);
  const fdb = await sh(`bridge -n ${ns} fdb show dev vxlan0`);
  return [...neigh.split("\n"), ...fdb.split("\n")].toSorted().join("\n");
}

before(async () => {
  await lab.open(2);
  for (const host of lab.hosts) {
    host.reconciler.start();
    await host.reconciler.flush();
  }
  const remotes: LocalEndpoint[][] = [[], []];
  for (const [at, name] of (Object.keys(PLACES) as Name[]).entries()) {
    const [place] = PLACES[name];
    const host = hosts()[place];
    const container = await lab.container(name);
    namespaces.set(name, container);
    const id = String(at).repeat(64);
    const endpoint = { id, network: "tsweave", ip: ipOf(name), mac: macOf(ipOf(name)) };
    await lab.attach(host, endpoint, container);
    await sh(`ip -n ${container} link set eth0 address ${endpoint.mac}`);
    remotes[1 - place]?.push(endpoint);
  }
  for (const [at, host] of lab.hosts.entries()) {
    const other = hosts()[1 - at] as NetnsHost;
    host.input = { ...host.input, remotes: (remotes[at] ?? []).map((row) => asRemote(other, row)) };
    await host.reconciler.applyRemote(host.input.remotes);
  }
  assert.ok(await ping("friend", "near"));
  assert.ok(await ping("friend", "far"));
  assert.ok(await ping("stranger", "near"));
});

afterEach(async () => {
  for (const name of namespaces.keys()) await exitCode(`ip -n ${netns(name)} neigh flush dev eth0`);
});

after(() => lab.close());

/** Whether `who` takes `from`'s address to be at the attacker, who says so several times. */
async function believes(who: Name, from: Name): Promise<boolean> {
  assert.ok(await ping(who, from));
  for (let round = 0; round < TRIES; round += 1) {
    // The kernel takes no change of an entry that is younger than a second.
    await sleep(1200);
    await claim(from, who);
    if (await isDiverted(who, from)) return true;
  }
  return false;
}

test("ARP: who is on the attacker's host believes it, who is elsewhere hears nothing", async () => {
  assert.equal(await believes("friend", "near"), true, "as on any bridge");
  assert.equal(await believes("friend", "far"), true, "as on any bridge");
  for (const from of ["near", "far", "friend"] as const) {
    assert.equal(await believes("stranger", from), false, `${from}: ARP does not cross the tunnel`);
  }
});

test("MAC: only containers of the attacker's own host lose frames, until they speak", async () => {
  const before = await Promise.all(hosts().map(tables));
  assert.equal(
    await isStolen("friend", "far"),
    false,
    "entries of other hosts' containers are sticky",
  );
  assert.ok(await ping("friend", "far"));
  for (const from of ["friend", "stranger"] as const) {
    assert.equal(await isStolen(from, "near"), true, "as on any bridge that learns");
    await ping("near", from);
    assert.ok(await ping(from, "near"), "near has spoken");
  }
  assert.deepEqual(await Promise.all(hosts().map(tables)), before);
});

test("IP: another's address as a source arrives, and answers go to its owner", async () => {
  for (const victim of ["friend", "stranger"] as const) {
    const received = async () => {
      const snmp = await sh(`ip netns exec ${netns(victim)} cat /proc/net/snmp`);
      return Number(/^Udp: \d+ (\d+)/m.exec(snmp)?.[1]);
    };
    const before = await received();
    const payload = Buffer.from("not from far");
    const inner = ipv4Packet({ from: ipOf("far"), to: ipOf(victim), payload });
    await inject(etherFrame(macOf(ipOf(victim)), EVIL_MAC, 0x0800, inner));
    assert.equal(await received(), before + 1, `${victim}: as on any network without filters`);
    await exitCode(`ip -n ${netns(victim)} neigh flush dev eth0`);
    assert.ok(await ping(victim, "far"), "the way to the owner stays");
  }
});
