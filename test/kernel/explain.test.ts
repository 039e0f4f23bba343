/**
 * `tsweave explain` with real daemons: each layer of the way is broken in turn, and named.
 *
 * The first host's daemon finds its `ip` and `bridge` behind a gate that the test can close, so
 * that what is broken in the kernel stays broken while it is looked at.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Explanation } from "../../cli/explain/decide.ts";
import { freshBundle } from "../lib/bundle.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { exitCode, type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";

const TAG = `e${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const dir = mkdtempSync(join(tmpdir(), "tw-explain-"));
/** Some fifty runs: a process from the sources would take seconds each. */
const bundle = freshBundle(dir);
const daemons = new NetnsDaemons(bundle);
const gate = join(dir, "closed");
const children: ChildProcess[] = [];
const path = process.env.PATH ?? "";
const B_IP = "10.44.0.9";
let a: NetnsDaemon;
let b: NetnsDaemon;
let blue: string;
let red: string;
/** Overlay namespace of the first host. */
let overlay: string;

function hosts(): [NetnsHost, NetnsHost] {
  const [h1, h2] = lab.hosts;
  assert.ok(h1 && h2);
  return [h1, h2];
}

/** Programs before those of the system, that fail while the gate is closed. */
function makeGate(): void {
  for (const name of ["ip", "bridge"]) {
    const file = join(dir, name);
    const script = `#!/bin/sh\ntest -e ${gate} && exit 9\nPATH=${path} exec ${name} "$@"\n`;
    writeFileSync(file, script);
    chmodSync(file, 0o755);
  }
}

interface Told extends Explanation {
  readonly code: number | null;
  readonly why: string | undefined;
}

/** Runs the command on the first host. */
function explain(...words: string[]): Told {
  const program = [process.execPath, bundle, "explain", ...words];
  const argv = [`--net=/run/netns/${hosts()[0].netns}`, ...program];
  const { status, stdout, stderr } = spawnSync(
    "nsenter",
    [...argv, "--json", "--run-dir", join(a.home, "run")],
    { encoding: "utf8" },
  );
  assert.notEqual(stdout, "", stderr);
  const told = JSON.parse(stdout);
  assert.equal(told.schema, 1);
  const { cause } = told as Explanation;
  return { ...told, code: status, why: cause?.code };
}

/**
 * Closes the gate around a look, after what `spoil` does. A stray entry then makes the daemon look
 * at once: what failed at the gate would be tried again by the next full pass, half a minute later.
 */
async function spoiled(spoil: string[], ...words: string[]): Promise<Told> {
  writeFileSync(gate, "");
  try {
    for (const line of spoil) await sh(line);
    return explain(...words);
  } finally {
    rmSync(gate);
    const stray = "02:42:0a:00:00:01 dev vxlan0 dst 192.0.2.77 self permanent";
    await sh(`bridge -n ${overlay} fdb replace ${stray}`);
  }
}

const shown = ({ steps }: Told) =>
  `\n${steps.map(({ step, text }) => `${step}: ${text}`).join("\n")}`;

function isWell(told: Told): void {
  assert.deepEqual([told.code, told.why, told.notes], [0, undefined, []], shown(told));
}

function names(told: Told, cause: string, code = 4): void {
  assert.deepEqual([told.why, told.code], [cause, code], shown(told));
}

const healed = async () =>
  await eventually("well again", 45_000, async () => isWell(explain("web", "db")));

before(async () => {
  makeGate();
  await lab.open(2);
  const [h1, h2] = hosts();
  process.env.PATH = `${dir}:${path}`;
  a = daemons.start(h1, "h1", ["192.0.2.2"]);
  process.env.PATH = path;
  b = daemons.start(h2, "h2", ["192.0.2.1", "--network", "back"]);
  for (const { client, name } of [a, b]) {
    await eventually(`${name} has addresses`, 40_000, async () => {
      assert.ok((await client.status()).ipam.founded, "not founded");
    });
  }
  [blue, red] = [await lab.container("blue"), await lab.container("red")];
  const wish = { dns: true, gateway: false, network: "tsweave" };
  await a.client.attach({ ...wish, target: blue, names: ["web"] });
  await eventually("h2 knows the network", 10_000, async () => {
    await b.client.attach({ ...wish, target: red, names: ["db"], ip: B_IP });
  });
  overlay = (await a.client.namespaces()).namespaces[0]?.namespace ?? "";
  await daemons.note();
  await eventually("h1 knows", 10_000, async () => {
    assert.equal((await a.client.read("endpoints")).endpoints.length, 2);
  });
});

after(async () => {
  rmSync(gate, { force: true });
  for (const child of children) child.kill("SIGKILL");
  await daemons.close();
  await lab.close();
  const left = (await sh("ip netns list")).split("\n").map((line) => line.split(" ")[0]);
  assert.deepEqual(left.includes(overlay), false);
  rmSync(dir, { recursive: true });
});

test("with everything well each step is ok, by name, address and port", async () => {
  await healed();
  const { steps } = explain("web", B_IP);
  assert.deepEqual(
    steps.map(({ step, state }) => `${step} ${state}`),
    "source address range peer overlay plug entries underlay tunnel end probe"
      .split(" ")
      .map((step) => `${step} ok`),
  );
  isWell(explain(blue, "db.tsweave.local"));
  names(explain("web", "db", "tcp/8080"), "PORT_CLOSED");
  const server = ["busybox", "nc", "-ll", "-p", "8080", "-e", "true"];
  const child = spawn("nsenter", [`--net=/run/netns/${red}`, ...server], { stdio: "ignore" });
  children.push(child);
  await once(child, "spawn");
  await eventually("it listens", 5000, async () => isWell(explain("web", "db", "tcp/8080")));
});

test("within a host, and from the host itself", async () => {
  const green = await lab.container("near");
  const wish = { dns: true, gateway: false, network: "tsweave" };
  await a.client.attach({ ...wish, target: green, names: ["near"] });
  await eventually("it answers", 10_000, async () => isWell(explain("web", "near")));
  await sh(`ip -n ${green} link set eth0 down`);
  names(explain("web", "near"), "TARGET_DOWN");
  await a.client.detach({ target: green, network: undefined });
  await a.client.expose({});
  await eventually("the host is there", 10_000, async () => isWell(explain("host", "db")));
  await a.client.hide({});
});

test("what is wrong in this host's kernel is named, and explains the silence", async () => {
  const { mac = "" } =
    (await a.client.read("endpoints")).endpoints.find(({ ip }) => ip === B_IP) ?? {};
  const neigh = `ip -n ${overlay} neigh del ${B_IP} dev vxlan0`;
  // What A has asked before it knows for a while.
  const flush = `ip -n ${blue} neigh flush all`;
  const cached = await spoiled([neigh], "web", "db");
  assert.deepEqual([cached.code, cached.notes], [0, ["NEIGHBOUR_MISSING"]], shown(cached));
  await healed();
  names(await spoiled([neigh, flush], "web", "db"), "NEIGHBOUR_MISSING");
  await healed();
  const fdb = `bridge -n ${overlay} fdb replace ${mac} dev vxlan0 dst 192.0.2.77 self permanent`;
  const elsewhere = await spoiled([fdb], "web", "db");
  names(elsewhere, "FORWARD_WRONG");
  assert.match(elsewhere.cause?.text ?? "", /says 192\.0\.2\.77, not 192\.0\.2\.2/);
  await healed();
  names(await spoiled([`ip -n ${overlay} link set vxlan0 down`], "web", "db"), "VXLAN_DOWN");
  await healed();
  await sh(`ip -n ${blue} link set eth0 down`);
  names(explain("web", "db"), "SOURCE_DOWN");
  await sh(`ip -n ${blue} link set eth0 up`);
  await healed();
});

test("what is wrong between the hosts, and at the other end", async () => {
  const [, h2] = hosts();
  const nft = (line: string) => exitCode(`ip netns exec ${h2.netns} nft ${line}`);
  await nft("add table inet wall");
  await nft("add chain inet wall in { type filter hook prerouting priority -400 ; }");
  assert.equal(await nft("add rule inet wall in udp dport 4789 drop"), 0);
  const blocked = explain("web", "db");
  await nft("delete table inet wall");
  names(blocked, "TUNNEL_BLOCKED");
  assert.match(blocked.cause?.next ?? "", /let UDP 4789 pass to 192\.0\.2\.2/);
  await healed();

  await sh(`ip -n ${red} link set eth0 down`);
  names(explain("web", "db"), "TARGET_DOWN");
  await sh(`ip -n ${red} link set eth0 up`);
  const inRed = (line: string) => exitCode(`ip netns exec ${red} nft ${line}`);
  await inRed("add table inet deaf");
  await inRed("add chain inet deaf in { type filter hook prerouting priority -400 ; }");
  assert.equal(await inRed("add rule inet deaf in meta l4proto icmp drop"), 0);
  names(explain("web", "db"), "TARGET_SILENT");
  await inRed("delete table inet deaf");
  await healed();

  const lan = `tw${TAG}-lan`;
  await sh(`ip -n ${lan} link set port2 down`);
  names(explain("web", "db"), "UNDERLAY_SILENT");
  await sh(`ip -n ${lan} link set port2 up`);
  await healed();
});

test("names: unknown, on another network, and one whose process ended", async () => {
  names(explain("web", "nobody"), "NAME_UNKNOWN", 5);
  names(explain("nobody", "db"), "SOURCE_UNKNOWN", 5);
  names(explain("db", "web"), "SOURCE_ELSEWHERE", 5);
  names(explain("host", "db"), "SOURCE_UNKNOWN", 5);

  const green = await lab.container("green");
  const child = spawn("nsenter", [`--net=/run/netns/${green}`, "sleep", "600"], {
    stdio: "ignore",
  });
  await once(child, "spawn");
  children.push(child);
  const target = String(child.pid);
  await eventually("its own namespace", 5000, async () => {
    assert.notEqual(
      await sh(`readlink /proc/${target}/ns/net`),
      await sh("readlink /proc/self/ns/net"),
    );
  });
  await sh(`ip netns del ${green}`);
  const wish = { target, names: ["queue"], dns: false, gateway: false };
  const { ip, network } = await b.client.attach(wish);
  assert.equal(network, "back");
  await daemons.note();
  await eventually("h1 knows", 10_000, async () => {
    assert.equal((await a.client.read("endpoints")).endpoints.length, 3);
  });
  const hidden = explain("web", "queue");
  names(hidden, "NAME_ON_OTHER_NETWORK");
  assert.match(hidden.cause?.next ?? "", /^tsweave attach \S+blue --network back$/);
  names(explain("web", ip), "ADDRESS_ON_OTHER_NETWORK");
  child.kill("SIGKILL");
  await eventually("it is gone", 15_000, async () => {
    assert.equal((await a.client.read("endpoints")).endpoints.length, 2);
  });
  names(explain("web", ip), "NO_ENDPOINT", 5);
});

test("a killed peer's containers are reachable, until they are not", async () => {
  const ended = once(b.child, "exit");
  b.child.kill("SIGKILL");
  await ended;
  await eventually("h1 takes it for dead", 30_000, async () => {
    const [link] = (await a.client.read("connections")).connections;
    assert.equal(link?.state, "lost");
  });
  const alive = explain("web", "db");
  assert.deepEqual([alive.code, alive.notes], [0, ["PEER_DEAD"]], shown(alive));
  await sh(`ip -n ${red} link set eth0 down`);
  names(explain("web", "db"), "PEER_DEAD");
});
