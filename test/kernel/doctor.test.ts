/** `tsweave doctor` and `ping` with real daemons, on hosts that are network namespaces. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { PingReport } from "../../cli/commands/ping.ts";
import type { Examined } from "../../cli/doctor/examine.ts";
import { eventually } from "../lib/mesh-hosts.ts";
import { connection, type NetnsDaemon, NetnsDaemons } from "../lib/netns-daemons.ts";
import { type NetnsHost, NetnsLab, sh } from "../lib/netns-hosts.ts";
import { ROOT } from "../lib/sources.ts";

const TAG = `d${(process.pid % 0xffff).toString(16)}`;
const lab = new NetnsLab(TAG);
const daemons = new NetnsDaemons();
const empty = mkdtempSync(join(tmpdir(), "tw-doctor-"));

before(() => lab.open(2));
afterEach(() => daemons.stop());
after(async () => {
  await daemons.close();
  await lab.close();
  rmSync(empty, { recursive: true });
});

function hosts(): [NetnsHost, NetnsHost] {
  const [a, b] = lab.hosts;
  assert.ok(a && b);
  return [a, b];
}

/** Runs the command line on a host. */
function cli(host: NetnsHost, ...words: string[]) {
  const program = [process.execPath, "--import", "tsx", "cli/main.ts", ...words];
  const env = { ...process.env, TSWEAVE_NO_DOCKER: "1", TSWEAVE_STATE_DIR: join(empty, "state") };
  const argv = [`--net=/run/netns/${host.netns}`, ...program];
  const { status, stdout, stderr } = spawnSync("nsenter", argv, {
    cwd: ROOT,
    encoding: "utf8",
    env,
  });
  return { code: status, out: stdout, err: stderr };
}

function doctor(host: NetnsHost, runDir: string, ...words: string[]) {
  const { code, out, err } = cli(host, "doctor", "--json", "--run-dir", runDir, ...words);
  assert.ok(code === 0 || code === 4, err);
  const { schema, ok, daemon, findings } = JSON.parse(out);
  assert.deepEqual([schema, ok], [1, code === 0], out);
  return { daemon, findings: findings as Examined[] };
}

const not = (findings: readonly Examined[], check: string) =>
  findings.filter((one) => one.check === check && one.state !== "ok");

async function joined(a: NetnsDaemon, b: NetnsDaemon): Promise<void> {
  await eventually("joined", 30_000, async () => {
    assert.equal((await connection(a, b)).state, "established");
    assert.equal((await connection(b, a)).state, "established");
    assert.ok((await a.client.status()).ipam.founded, "not founded");
  });
}

test("without a daemon: kernel, tools and ports, and who has the port", async () => {
  const [host] = hosts();
  const well = doctor(host, empty);
  assert.equal(well.daemon, false);
  for (const check of ["kernel", "tools", "ports", "range", "firewall", "disk"]) {
    assert.deepEqual(not(well.findings, check), [], check);
    assert.ok(
      well.findings.some((one) => one.check === check),
      check,
    );
  }
  assert.match(not(well.findings, "daemon")[0]?.next ?? "", /tsweave launch/);
  await sh(`ip -n ${host.netns} route add 10.40.0.0/24 dev eth0`);
  await sh(`ip netns exec ${host.netns} nft add table inet wall`);
  const chain = "{ type filter hook input priority 0 ; policy drop ; }";
  await sh(`ip netns exec ${host.netns} nft add chain inet wall in ${chain}`);
  try {
    const ill = doctor(host, empty).findings;
    assert.match(not(ill, "range")[0]?.text ?? "", /overlaps the host's route 10\.40\.0\.0\/24/);
    assert.match(not(ill, "firewall")[0]?.text ?? "", /chain inet wall in drops/);
  } finally {
    await sh(`ip netns exec ${host.netns} nft delete table inet wall`);
    await sh(`ip -n ${host.netns} route del 10.40.0.0/24 dev eth0`);
  }
});

test("a stale control socket is named, and removed with --fix only", async () => {
  const [host] = hosts();
  const path = join(empty, "control.sock");
  // A listener that is gone without its file: bound here, and left by a killed process.
  const die = "() => process.kill(process.pid, 9)";
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, ${die})`;
  spawnSync(process.execPath, ["-e", script]);
  const stale = () =>
    doctor(host, empty).findings.filter(({ text }) => text.startsWith(`${path} is stale`));
  assert.equal(stale()[0]?.state, "warn");
  const fixed = doctor(host, empty, "--fix").findings.filter((one) => one.fixed);
  assert.match(fixed[0]?.text ?? "", /removed .*control\.sock/);
  assert.deepEqual(stale(), []);
});

test("with daemons: peers, MTU, ports of the data path, drift", async () => {
  const [h1, h2] = hosts();
  const a = daemons.start(h1, "h1", ["192.0.2.2"]);
  const b = daemons.start(h2, "h2", ["192.0.2.1"]);
  await joined(a, b);
  const { host } = { host: await a.client.host() };
  const well = doctor(h1, host.config.runDir);
  assert.equal(well.daemon, true);
  for (const check of ["daemon", "health", "peers", "range", "mtu", "clock", "ports", "drift"]) {
    assert.deepEqual(not(well.findings, check), [], check);
  }
  await sh(`ip -n ${h2.netns} route add 10.33.0.0/24 dev eth0`);
  const [taken] = not(doctor(h1, host.config.runDir).findings, "range");
  assert.match(taken?.text ?? "", /^h2: subnet 10\.32\.0\.0\/12 .*10\.33\.0\.0\/24 dev eth0/);
  await sh(`ip -n ${h2.netns} route del 10.33.0.0/24 dev eth0`);
  const pinged = cli(h1, "ping", "h2", "-c", "2", "--json", "--run-dir", host.config.runDir);
  assert.equal(pinged.code, 0, pinged.out + pinged.err);
  const { gossip, answers, underlay, tunnel } = JSON.parse(pinged.out) as PingReport;
  assert.deepEqual([gossip.state, answers.length, tunnel], ["established", 2, null]);
  assert.ok((answers[0]?.tookMs ?? 1e9) < 1000 && (underlay.rttMs ?? 1e9) < 1000, pinged.out);
  assert.equal(underlay.largestBytes, 1500);
  const text = cli(h1, "ping", "192.0.2.2", "--run-dir", host.config.runDir).out;
  assert.match(text, /^ {2}underlay {2}192\.0\.2\.2: \S+ms, packets up to 1500 bytes$/m);
  assert.equal(cli(h1, "ping", "nobody", "--run-dir", host.config.runDir).code, 5);

  await b.client.stop();
  await sh(`ip -n ${h2.netns} link set eth0 mtu 1400`);
  try {
    const other = daemons.start(h2, "h2b", ["192.0.2.1", "--vxlan-port", "4790"]);
    await joined(a, other);
    const ill = doctor(h1, host.config.runDir).findings;
    assert.match(not(ill, "peers")[0]?.text ?? "", /h2b has --vxlan-port 4790, this host 4789/);
    await sh(`ip -n tw${TAG}-lan link set port2 mtu 1400`);
    const narrow = cli(h1, "ping", "h2b", "-c", "1", "--json", "--run-dir", host.config.runDir);
    const { underlay: cut } = JSON.parse(narrow.out) as PingReport;
    // A bridge lets four bytes more through than its port's MTU: room for a VLAN tag.
    const largest = cut.largestBytes ?? 0;
    assert.ok(largest >= 1400 && largest <= 1404, narrow.out + narrow.err);
  } finally {
    await sh(`ip -n tw${TAG}-lan link set port2 mtu 1500`);
    await sh(`ip -n ${h2.netns} link set eth0 mtu 1500`);
  }
});

test("reconcile shows what the kernel lacks, and repairs it when told to", async (context) => {
  const [h1] = hosts();
  const green = `${TAG}-green`;
  await sh(`ip netns add ${green}`);
  let detach = (): void => undefined;
  try {
    const a = daemons.start(h1, "h1", []);
    await eventually("founded", 30_000, async () => {
      assert.ok((await a.client.status()).ipam.founded, "not founded");
    });
    const { runDir } = (await a.client.host()).config;
    const reconcile = (...words: string[]) => {
      const { code, out, err } = cli(h1, "reconcile", ...words, "--run-dir", runDir);
      return { code, out: out + err };
    };
    const at = [`/run/netns/${green}`, "--run-dir", runDir];
    assert.equal(cli(h1, "attach", ...at).code, 0);
    // The network's namespace goes with its last endpoint.
    detach = () => assert.equal(cli(h1, "detach", ...at).code, 0);
    await eventually("at rest", 10_000, async () => {
      assert.deepEqual(reconcile("--dry-run"), { code: 0, out: "nothing to do\n" });
    });
    const [overlay] = (await a.client.namespaces()).namespaces.map(({ namespace }) => namespace);
    const key = "net.bridge.bridge-nf-call-iptables";
    const within = `ip netns exec ${overlay} sysctl`;
    const isKnown = await sh(`${within} -n ${key}`).then(
      () => true,
      () => false,
    );
    if (!isKnown) return context.skip("no br_netfilter in this kernel");
    // A pass of the daemon's own may come in between.
    await eventually("a plan", 30_000, async () => {
      await sh(`${within} -w ${key}=1`);
      const plan = reconcile("--dry-run");
      assert.equal(plan.code, 0);
      assert.match(plan.out, new RegExp(`^# sysctl in ${overlay}\\n.*${key}=0`));
      assert.equal((await sh(`${within} -n ${key}`)).trim(), "1", "a dry run changes nothing");
    });
    await eventually("a repair", 30_000, async () => {
      await sh(`${within} -w ${key}=1`);
      const done = reconcile();
      assert.equal(done.code, 0, done.out);
      assert.match(done.out, /done: the kernel is as the tables say\n$/);
    });
    assert.equal((await sh(`${within} -n ${key}`)).trim(), "0");
  } finally {
    detach();
    await daemons.stop();
    await sh(`ip netns del ${green}`);
  }
});
