/**
 * An attacker against two real daemons with a password: on the underlay without the key, where it
 * sees and resends every datagram and uses the peers' own addresses; and inside a container. These
 * are the rows of the threat model in mesh/README.md that need whole daemons.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../overlay/io/exec.ts";
import { type Datagram, datagramsOf } from "../lib/captures.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { SeededRandom } from "../lib/seeded-random.ts";

const TAG = `k${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const files = mkdtempSync(join(tmpdir(), "tw-attacker-"));
const HOSTS = ["192.0.2.1", "192.0.2.2"] as const;
/** Names that must not be read on the wire. */
const WORDS = ["secretshop", "ledgerdb"] as const;
const RSS_GROWTH_BYTES_MAX = 128 * 1024 * 1024;

let all: readonly [NetnsDaemon, NetnsDaemon];
let seen: Datagram[] = [];
let dump: ChildProcess | undefined;
/** Name of a container that ended after its announcement was recorded. */
const ENDED = "endedearly";

const inNetns = (netns: string, line: string) => `nsenter --net=/run/netns/${netns} ${line}`;
const container = (name: string) => `tw${TAG}-${name}`;

function attacker(): string {
  const { netns } = lab.hosts[2] ?? {};
  assert.ok(netns !== undefined);
  return netns;
}

async function attach(daemon: NetnsDaemon, name: string, names = [name]): Promise<string> {
  const target = await lab.container(name);
  return (await daemon.client.attach({ target, names, dns: true })).ip;
}

async function names(daemon: NetnsDaemon): Promise<string[]> {
  const { endpoints } = await daemon.client.read("endpoints");
  return endpoints.map(({ name }) => name).toSorted();
}

/** What the daemons believe; an attack must not change it. */
async function beliefs(): Promise<unknown> {
  const facts = all.map(async (daemon) => {
    const { peers } = await daemon.client.read("peers");
    const shown = peers.map(({ id, address, state }) => [id, address, state]).toSorted();
    return { shown, names: await names(daemon) };
  });
  return await Promise.all(facts);
}

const rssBytes = (daemon: NetnsDaemon): number => {
  const text = readFileSync(`/proc/${daemon.child.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) * 1024;
};

/** Sends datagrams to a host, from the attacker's own address or as the other host. */
async function send(to: string, payloads: readonly Buffer[], as?: string): Promise<void> {
  const ns = attacker();
  const script = `
    const lines = require("fs").readFileSync(0, "latin1").split("\\n").filter(Boolean);
    const socket = require("dgram").createSocket("udp4");
    const next = () => {
      for (const line of lines.splice(0, 50)) socket.send(Buffer.from(line, "hex"), 6783, "${to}");
      if (lines.length > 0) setTimeout(next, 2);
      else setTimeout(() => socket.close(), 100);
    };
    socket.bind(${as === undefined ? "0" : `6783, "${as}"`}, next);`;
  const argv = [...inNetns(ns, process.execPath).split(" "), "-e", script];
  const input = payloads.map((each) => each.toString("hex")).join("\n");
  if (as !== undefined) {
    const host = lab.hosts.find(({ vtep }) => vtep === to);
    const [link] = JSON.parse(await sh(`ip -n ${host?.netns} -j link show eth0`));
    // It asks nobody for an address, which would tell that it uses another one's.
    await sh(`ip -n ${ns} neigh replace ${to} lladdr ${link.address} dev eth0 nud permanent`);
    await sh(`ip -n ${ns} addr add ${as}/32 dev lo`);
  }
  await run(argv, { input, timeoutMs: 60_000 });
  if (as !== undefined) await sh(`ip -n ${ns} addr del ${as}/32 dev lo`);
}

/** Sends to both hosts, from the attacker's own address and as the other host. */
async function attack(payloads: readonly Buffer[]): Promise<void> {
  for (const [at, to] of HOSTS.entries()) {
    await send(to, payloads);
    await send(to, payloads, HOSTS[1 - at]);
  }
  await sleep(1000);
}

/** Datagrams refused so far, and those refused as repetitions, of both daemons. */
async function counted(): Promise<{ refused: number; replayed: number }> {
  const keys = await Promise.all(all.map(async ({ client }) => await client.keys()));
  const sum = (one: number, other: number) => one + other;
  return {
    refused: keys.map(({ refused }) => refused).reduce(sum),
    replayed: keys.map(({ replayed }) => replayed).reduce(sum),
  };
}

before(async () => {
  await lab.open(3);
  const [h1, h2] = lab.hosts;
  assert.ok(h1 && h2);
  for (const { netns } of lab.hosts) {
    await sh(`ip -n ${netns} route add default via 192.0.2.9`);
    await sh(inNetns(netns, "sysctl -qw net.ipv4.conf.all.arp_ignore=1"));
    await sh(inNetns(netns, "sysctl -qw net.ipv4.ip_forward=1"));
  }
  const password = join(files, "password");
  writeFileSync(password, "nobody outside knows this one\n", { mode: 0o600 });
  const wire = join(files, "wire.pcap");
  const words = ["-i", "lan0", "-U", "-Z", "root", "-w", wire, "port", "6783"];
  const lan = inNetns(container("lan"), "tcpdump").split(" ");
  dump = spawn(lan[0] ?? "", [...lan.slice(1), ...words], { stdio: "ignore" });
  await eventually("the wire is recorded", 10_000, async () => void statSync(wire));
  const start = (host: typeof h1, name: string, peer: string) =>
    daemons.start(host, name, ["--password-file", password, peer]);
  all = [start(h1, "h1", HOSTS[1]), start(h2, "h2", HOSTS[0])];
  for (const { name, client } of all) {
    await eventually(`${name} has addresses`, 60_000, async () => {
      assert.ok((await client.status()).ipam.founded, "not founded");
    });
  }
  await attach(all[0], "web", [WORDS[0]]);
  await attach(all[1], "db", [WORDS[1]]);
  await attach(all[0], "evil");
  await attach(all[0], ENDED);
  await eventually("all is known", 10_000, async () => {
    for (const daemon of all) assert.equal((await names(daemon)).length, 4);
  });
  await all[0].client.detach({ target: container(ENDED), network: undefined });
  await eventually("one ended", 10_000, async () => {
    for (const daemon of all) assert.ok(!(await names(daemon)).includes(ENDED), "not gone");
  });
  const ended = once(dump, "exit");
  dump.kill("SIGTERM");
  await ended;
  seen = datagramsOf(wire);
});

after(async () => {
  dump?.kill("SIGTERM");
  await daemons.close();
  await lab.close();
  rmSync(files, { recursive: true, force: true });
});

test("reading: no name and no address of a container is on the wire", () => {
  assert.ok(seen.length > 20, `${seen.length} datagrams to look at`);
  const wire = Buffer.concat(seen.map(({ payload }) => payload)).toString("latin1");
  for (const word of [...WORDS, ENDED, "tsweave", "10.32.", "h1"]) {
    assert.ok(!wire.includes(word), word);
  }
});

test("forging: whatever is changed in whatever was seen changes nothing", async () => {
  const [before, former] = [await beliefs(), await counted()];
  const random = new SeededRandom(8);
  const forged = seen.slice(0, 300).flatMap(({ payload }) => {
    const flipped = Buffer.from(payload);
    const at = random.below(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    return [
      flipped,
      payload.subarray(0, random.below(payload.length)),
      Buffer.concat([payload, flipped]),
    ];
  });
  await attack(forged);
  assert.deepEqual(await beliefs(), before);
  assert.ok((await counted()).refused > former.refused, "they are counted");
});

test("replay: what was said once brings nothing back", async () => {
  const [before, former] = [await beliefs(), await counted()];
  const all = seen.map(({ payload }) => payload);
  await attack(all);
  await attack(all.toReversed());
  assert.deepEqual(await beliefs(), before);
  assert.ok(!(await names(daemons.running[1] as NetnsDaemon)).includes(ENDED));
  assert.ok((await counted()).replayed > former.replayed, "they are counted");
});

test("downgrade: who speaks plainly is no peer, and nobody speaks plainly to it", async () => {
  const [before, host] = [await beliefs(), lab.hosts[2]];
  assert.ok(host);
  const plain = daemons.start(host, "h3", [...HOSTS]);
  await eventually("both sides say why", 60_000, async () => {
    const told = async ({ client }: NetnsDaemon) =>
      (await client.status()).health.problems.map(({ code }) => code);
    assert.ok((await told(plain)).includes("PEER_ENCRYPTED"));
    assert.ok((await told(all[0])).includes("PEER_PLAIN"));
  });
  const { peers } = await plain.client.read("peers");
  assert.deepEqual(
    peers.map(({ name }) => name),
    ["h3"],
  );
  assert.deepEqual(await names(plain), []);
  const ended = once(plain.child, "exit");
  plain.child.kill("SIGTERM");
  await ended;
  // A sealed frame with the mark of the seal taken off.
  await attack(seen.map(({ payload }) => withByte(payload, 3, (payload[3] ?? 0) & 0x7f)));
  assert.deepEqual(await beliefs(), before);
});

test("floods: strangers' datagrams and connections cost neither memory nor service", async (t) => {
  const [before, former] = [await beliefs(), all.map(rssBytes)];
  const random = new SeededRandom(9);
  const prefix = Buffer.from(seen[0]?.payload.subarray(0, 5) ?? []);
  const flood = Array.from({ length: 20_000 }, () =>
    Buffer.concat([prefix, random.bytes(40 + random.below(1000))]),
  );
  const flooding = Promise.all([send(HOSTS[0], flood), send(HOSTS[1], flood), connections()]);
  const startMs = Date.now();
  const flooded = flooding.then(() => Date.now() - startMs);
  await attach(all[0], "late");
  t.diagnostic(`attached ${Date.now() - startMs} ms after the beginning of the flood`);
  await eventually("news passes all the same", 40_000, async () => {
    assert.ok((await names(all[1])).includes("late"));
  });
  t.diagnostic(`known elsewhere after ${Date.now() - startMs} ms; it lasted ${await flooded} ms`);
  await all[0].client.detach({ target: container("late"), network: undefined });
  await eventually("as before", 10_000, async () => assert.deepEqual(await beliefs(), before));
  for (const [at, daemon] of all.entries()) {
    const grownBytes = rssBytes(daemon) - (former[at] ?? 0);
    t.diagnostic(`${daemon.name} grew by ${Math.round(grownBytes / 2 ** 20)} MiB`);
    assert.ok(grownBytes < RSS_GROWTH_BYTES_MAX);
  }
});

/** Opens streams that say nothing, or garbage. */
async function connections(): Promise<void> {
  const script = `
    const net = require("net"); let open = 400;
    for (let at = 0; at < open; at += 1) {
      const socket = net.connect(6783, at % 2 ? "${HOSTS[0]}" : "${HOSTS[1]}");
      socket.on("error", () => undefined);
      if (at % 3 === 0) socket.write(Buffer.alloc(65536, at));
    }
    setTimeout(() => process.exit(0), 3000);`;
  await run([...inNetns(attacker(), process.execPath).split(" "), "-e", script]);
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}

test("a container reaches no port of the mesh, of its host or of others", async () => {
  const evil = container("evil");
  const route = await sh(`ip -n ${evil} route show default`);
  assert.match(route, /default via/, "it has a way outside, which might have led there");
  const gateway = /via (\S+)/.exec(route)?.[1] ?? "";
  const open = async (to: string) =>
    (await exitCode(inNetns(evil, `busybox timeout 2 busybox nc ${to} 6783 -e true`))) === 0;
  for (const to of [...HOSTS, gateway]) assert.equal(await open(to), false, to);
  const [h1] = lab.hosts;
  assert.ok(h1);
  await sh(inNetns(h1.netns, "nft delete table inet tsweave_guard"));
  assert.equal(await open(HOSTS[0]), true, "it is the guard that keeps it away");
  await eventually("the guard is back", 40_000, async () => {
    await sh(inNetns(h1.netns, "nft list table inet tsweave_guard"));
  });
  assert.equal(await open(HOSTS[0]), false);
});

test("a container sees no socket of the daemon, and may not open the control socket", async () => {
  const evil = container("evil");
  const sockets = await sh(inNetns(evil, "cat /proc/net/unix"));
  assert.doesNotMatch(sockets, /tsweave|@/, "abstract sockets belong to the host's namespace");
  const path = join(all[0].home, "run", "control.sock");
  const script = `
    const socket = require("net").connect("${path}");
    socket.on("connect", () => process.exit(0)).on("error", ({ code }) => {
      console.log(code); process.exit(1); });`;
  const nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
  const argv = [...inNetns(evil, `${nobody} ${process.execPath}`).split(" "), "-e", script];
  const { exitCode: code, stdout } = await run(argv, { tolerant: true });
  assert.deepEqual([code, stdout.trim()], [1, "EACCES"]);
});

test("state, keys and sockets are root's alone", () => {
  const { home } = all[0];
  const found = readdirSync(home, { recursive: true, withFileTypes: true });
  assert.ok(found.some(({ name }) => name === "keyring.snapshot"));
  assert.ok(found.some((entry) => entry.isSocket()));
  for (const entry of found) {
    const path = join(entry.parentPath, entry.name);
    const { mode, uid } = statSync(path);
    assert.equal(uid, 0, path);
    assert.equal((mode & 0o777).toString(8), entry.isDirectory() ? "700" : "600", path);
  }
});

test("a container that floods its resolver takes nothing from its neighbour", async (t) => {
  const flood = `
    const socket = require("dgram").createSocket("udp4");
    const head = Buffer.from("000101000001000000000000", "hex");
    const tail = Buffer.from("0000010001", "hex");
    const endMs = Date.now() + 4000; let count = 0;
    const next = () => {
      for (let at = 0; at < 200; at += 1) {
        const label = Buffer.from("x" + (count += 1).toString(36));
        const name = Buffer.concat([Buffer.from([label.length]), label]);
        socket.send(Buffer.concat([head, name, tail]), 53, "127.0.0.11");
      }
      if (Date.now() < endMs) setImmediate(next);
      else { console.log(count); process.exit(0); }
    };
    next();`;
  const words = [...inNetns(container("evil"), process.execPath).split(" "), "-e", flood];
  const flooding = run(words, { timeoutMs: 30_000 });
  const took: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const startMs = Date.now();
    const lookup = `busybox timeout 5 busybox nslookup ${WORDS[1]} 127.0.0.11`;
    assert.match(await sh(inNetns(container("web"), lookup)), /Address: 10\./);
    took.push(Date.now() - startMs);
  }
  const { stdout } = await flooding;
  t.diagnostic(`${stdout.trim()} questions; a neighbour's took ${Math.max(...took)} ms at most`);
  assert.ok(Math.max(...took) < 5000);
});
