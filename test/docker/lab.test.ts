/**
 * The lab itself: that its hosts are hosts (own names, network, disk, engine), that its faults do
 * what they say and end when told, and that down leaves nothing, even when the lab's maker died.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { OUTSIDE_ADDRESS, OUTSIDE_PAGE } from "../lab/gateway.ts";
import { Lab } from "../lab/lab.ts";
import { processStart } from "../lab/processes.ts";
import { labPaths } from "../lab/record.ts";

const NAME = `t-lab-${process.pid}`;
const DOOR = fileURLToPath(new URL("../lab/lab.ts", import.meta.url));

/** Namespaces (as "net:[4026…]") of every process, by the process. */
function namespaces(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const links = readdirSync(`/proc/${pid}/ns`).map((ns) =>
        readlinkSync(`/proc/${pid}/ns/${ns}`),
      );
      found.set(pid, links);
    } catch {
      // The process ended while it was looked at.
    }
  }
  return found;
}

/**
 * Processes, as pid → start time, in namespaces that are the lab's alone. Not the namespaces
 * themselves are remembered: the kernel gives their numbers to the next ones made by anybody.
 */
function labProcesses(name: string): Map<number, string> {
  const all = namespaces();
  const own = new Set(all.get(String(process.pid)));
  const { holders } = labPaths(name);
  const keepers = readdirSync(holders).map((file) => readFileSync(`${holders}/${file}`, "utf8"));
  const links = new Set(keepers.flatMap((text) => all.get(text.split(" ")[0] ?? "") ?? []));
  const found = new Map<number, string>();
  for (const [pid, mine] of all) {
    const start = processStart(Number(pid));
    const inside = mine.some((link) => links.has(link) && !own.has(link));
    if (inside && start !== undefined) found.set(Number(pid), start);
  }
  return found;
}

/** Whatever is still there of a lab that had these processes. Empty when it is gone. */
function leftovers(name: string, before: ReadonlyMap<number, string>): string[] {
  const processes = [...before]
    .filter(([pid, start]) => processStart(pid) === start)
    .map(([pid]) => `process ${pid}: ${readFileSync(`/proc/${pid}/cmdline`, "utf8")}`);
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(labPaths(name).dir))
    .map((line) => `mount ${line}`);
  const cgroups = readdirSync("/sys/fs/cgroup", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(`tsweave-lab-${name}-`))
    .map((entry) => `cgroup ${entry.parentPath}/${entry.name}`);
  const dirs = existsSync(labPaths(name).dir) ? [`directory ${labPaths(name).dir}`] : [];
  return [...processes, ...mounts, ...cgroups, ...dirs];
}

/** Makes a lab in another process, which then does `more` and is killed. */
async function killedMaker(options: string, more: string): Promise<void> {
  const code = `
    import { Lab } from ${JSON.stringify(DOOR)};
    const lab = await Lab.up(${options});
    ${more};
    process.kill(process.pid, "SIGKILL");`;
  const flags = ["--import", "tsx", "--input-type=module", "-e", code];
  const maker = spawn(process.execPath, flags, { stdio: ["ignore", "ignore", "inherit"] });
  const [, signal] = await once(maker, "exit");
  assert.equal(signal, "SIGKILL");
}

describe("lab", { timeout: 120_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.up({ name: NAME, hosts: ["h1", "h2"] });
  });
  after(() => Lab.down(NAME));

  test("hosts have their own names, addresses, /run and processes", async () => {
    for (const host of lab.hosts) {
      assert.equal((await host.exec(["hostname"])).stdout, `${host.name}\n`);
      assert.equal((await host.exec(["cat", "/etc/hostname"])).stdout, `${host.name}\n`);
      const addresses = (await host.exec(["ip", "-4", "-o", "addr", "show", "eth0"])).stdout;
      assert.match(addresses, new RegExp(`inet ${host.address}/24 `));
      assert.equal((await host.exec(["cat", "/proc/1/comm"])).stdout, "sh\n");
      await host.exec(["sh", "-c", `echo ${host.name} > /run/mine`]);
    }
    assert.equal(readFileSync(lab.host("h1").path("/run/mine"), "utf8"), "h1\n");
    assert.equal(existsSync("/run/mine"), false);
  });

  test("hosts see this checkout, and a namespace made by name can be entered", async () => {
    const h1 = lab.host("h1");
    assert.match((await h1.exec(["cat", DOOR])).stdout, /class Lab/);
    await h1.exec(["ip", "netns", "add", "probe"]);
    const link = await h1.exec(["ip", "netns", "exec", "probe", "ip", "-o", "link"]);
    assert.doesNotMatch(link.stdout, /eth0/);
    await h1.exec(["ip", "netns", "del", "probe"]);
    assert.equal(existsSync(h1.path("/run/netns/probe")), false);
  });

  test("hosts reach each other by address and name", async () => {
    assert.equal(await lab.host("h1").canPing("h2", 5_000), true);
    assert.equal(await lab.host("h2").canPing(lab.host("h1").address, 5_000), true);
  });

  test("each host's engine runs containers that reach the outside through NAT", async () => {
    const ids = new Set<string>();
    for (const host of lab.hosts) {
      ids.add(await host.docker("info", "--format", "{{.ID}} {{.Name}}"));
      const script = "echo hello; wget -qO- http://outside.example/";
      const said = await host.docker("run", "--rm", "busybox", "sh", "-c", script);
      assert.equal(said, `hello\n${OUTSIDE_PAGE.trim()}`);
      const client = ["wget", "-qO-", `http://${OUTSIDE_ADDRESS}/client`];
      assert.equal(await host.docker("run", "--rm", "busybox", ...client), host.address);
    }
    assert.equal(ids.size, 2);
  });

  test("an unknown name is an NXDOMAIN, not a time-out", async () => {
    const lookup = ["busybox", "nslookup", "nowhere.invalid"];
    const result = await lab.host("h1").exec(lookup, { allowFailure: true });
    assert.match(result.stdout + result.stderr, /NXDOMAIN/);
  });

  test("exec gives input, exit codes, time-outs; a background child does not hold it", async () => {
    const h1 = lab.host("h1");
    assert.equal((await h1.exec(["cat"], { input: "abc" })).stdout, "abc");
    assert.equal((await h1.exec(["sh", "-c", "exit 7"], { allowFailure: true })).code, 7);
    await assert.rejects(h1.exec(["sh", "-c", "echo why >&2; exit 7"]), /exit code 7\nwhy/);
    await assert.rejects(h1.exec(["sleep", "60"], { timeoutMs: 100 }), /still running/);
    const start = performance.now();
    const pid = (await h1.exec(["sh", "-c", "sleep 60 & echo $!"])).stdout.trim();
    assert.ok(performance.now() - start < 5_000);
    await h1.exec(["kill", "-9", pid]);
  });

  test("spawn knows its number in the host, its output and its end", async () => {
    const h1 = lab.host("h1");
    const sleeper = await h1.spawn(["sh", "-c", "echo up; exec sleep 60"]);
    await sleeper.waitForOutput(/up/);
    const comm = await h1.exec(["cat", `/proc/${sleeper.pid}/comm`]);
    assert.equal(comm.stdout, "sleep\n");
    await sleeper.kill("SIGKILL");
    assert.notEqual(await sleeper.wait(), 0);
    assert.equal(existsSync(h1.path(`/proc/${sleeper.pid}`)), false);
  });

  test("a partition cuts both ways until healed", async () => {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    await lab.partition([["h1"], ["h2"]]);
    assert.equal(await h1.canPing(h2.address), false);
    assert.equal(await h1.canPing(OUTSIDE_ADDRESS, 5_000), true);
    await lab.heal();
    assert.equal(await h1.canPing(h2.address, 5_000), true);
  });

  test("a one-way partition lets frames through the other way", async () => {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    await lab.partition([["h1"], ["h2"]], { oneWay: true });
    const dump = await h1.tcpdump(`icmp[icmptype] == icmp-echo and src ${h2.address}`);
    assert.equal(await h2.canPing(h1.address), false);
    assert.equal((await dump.stop()).filter((line) => line.includes("echo request")).length, 1);
    const back = await h2.tcpdump(`src ${h1.address}`);
    assert.equal(await h1.canPing(h2.address), false);
    assert.deepEqual(
      (await back.stop()).filter((line) => line.includes("ICMP")),
      [],
    );
    await lab.heal();
    assert.equal(await h2.canPing(h1.address, 5_000), true);
  });

  test("loss, a pulled cable, a small MTU and a slow link", async () => {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    await lab.loss("h1", 100);
    assert.equal(await h1.canPing(h2.address), false);
    await lab.loss("h1", 0);
    assert.equal(await h1.canPing(h2.address, 5_000), true);

    await lab.link("h2", "down");
    assert.equal(readFileSync(h2.path("/sys/class/net/eth0/carrier"), "utf8"), "0\n");
    assert.equal(await h1.canPing(h2.address), false);
    await lab.link("h2", "up");
    assert.equal(await h1.canPing(h2.address, 5_000), true);

    await lab.mtu("h2", 1400);
    assert.equal(readFileSync(h2.path("/sys/class/net/eth0/mtu"), "utf8"), "1400\n");
    await lab.mtu("h2", 1500);

    await lab.rate("h2", 8);
    const start = performance.now();
    await transfer(1_000_000);
    const took = performance.now() - start;
    assert.ok(took > 700 && took < 3_000, `1 MB at 8 Mbit/s took ${took} ms`);
    await lab.rate("h2", 0);
  });

  test("a long cable delays both ways, loses nothing, and can be cut short", async () => {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    const pingMs = async () => {
      const { stdout } = await h1.exec(["busybox", "ping", "-c", "3", "-W", "3", h2.address]);
      return Number(/min\/avg\/max = ([\d.]+)/.exec(stdout)?.[1]);
    };
    await lab.delay("h2", 150);
    const slow = await pingMs();
    assert.ok(slow >= 300 && slow < 600, `${slow} ms there and back`);
    await transfer(1_000_000);
    await lab.partition([["h1"], ["h2"]]);
    assert.equal(await h1.canPing(h2.address), false);
    await lab.heal();
    await lab.delay("h2", 0);
    assert.equal(await h1.canPing(h2.address, 5_000), true);
    assert.ok((await pingMs()) < 100);
  });

  /** Fetches a file of that many bytes from h2 on h1. */
  async function transfer(bytes: number): Promise<void> {
    const [h1, h2] = [lab.host("h1"), lab.host("h2")];
    writeFileSync(h2.path("/run/blob"), Buffer.alloc(bytes));
    const server = await h2.spawn(["busybox", "httpd", "-f", "-p", "8000", "-h", "/run"]);
    const fetch = "until busybox wget -qO- http://h2:8000/blob 2> /dev/null; do sleep .05; done";
    const got = await h1.exec(["sh", "-c", `(${fetch}) | wc -c`]);
    await server.stop("SIGKILL");
    assert.equal(Number(got.stdout), bytes);
  }

  test("power failure ends all but the disk; boot brings the containers back", async () => {
    const h2 = lab.host("h2");
    // Killed at once: an engine that finds it running after its own crash stops it first.
    const kept = ["--name", "kept", "--restart", "always", "--stop-signal", "KILL"];
    await h2.docker("run", "-d", ...kept, "busybox", "sleep", "999");
    await h2.docker("run", "-d", "--name", "lost", "busybox", "sleep", "999");
    await h2.exec(["sh", "-c", "touch /run/volatile; ip link add probe type bridge"]);
    await h2.crash();
    assert.equal(h2.isOn, false);
    assert.equal(await lab.host("h1").canPing(h2.address), false);
    assert.equal(existsSync(h2.path("/var/lib/docker/containers")), true);
    await lab.partition([["h1"], ["h2"]]);
    await h2.boot();
    const names = (await h2.docker("ps", "-a", "--format", "{{.Names}} {{.State}}")).split("\n");
    assert.deepEqual(names.sort(), ["kept running", "lost exited"]);
    assert.equal(existsSync(h2.path("/run/volatile")), false);
    assert.equal(existsSync(h2.path("/sys/class/net/probe")), false);
    assert.equal(await h2.canPing("h1"), false, "the LAN's faults outlast a boot");
    await lab.heal();
    assert.equal(await h2.canPing("h1", 5_000), true);
  });

  test("kill -9 of the engine spares its containers; a stale pid file is no obstacle", async () => {
    const h2 = lab.host("h2");
    const pid = await h2.docker("inspect", "kept", "--format", "{{.State.Pid}}");
    await h2.killEngine();
    assert.equal((await h2.exec(["cat", `/proc/${pid}/comm`])).stdout, "sleep\n");
    // What a reused process number looks like: the file names a live process that is no engine.
    writeFileSync(h2.path("/run/docker.pid"), "1");
    await h2.startEngine();
    assert.match(await h2.docker("ps", "--format", "{{.Names}}"), /kept/);
    await h2.docker("rm", "-f", "kept");
    await h2.stopEngine();
    await assert.rejects(h2.stopEngine(), /no engine runs on h2/);
    await h2.startEngine();
  });

  test("a host can be added, a second lab stands beside, and down leaves nothing", async () => {
    const h3 = await lab.addHost("h3");
    assert.equal(await lab.host("h1").canPing("h3", 5_000), true);
    assert.match(await h3.docker("images"), /busybox/);

    const name = `${NAME}-b`;
    const other = await Lab.up({ name, hosts: ["h1"], engines: false, subnet: "10.201.9.0/24" });
    try {
      assert.equal(other.host("h1").address, "10.201.9.1");
      assert.equal(await other.host("h1").canPing(h3.address), false);
      const processes = labProcesses(name);
      assert.ok(processes.size >= 4, `only ${processes.size} processes found`);
      assert.notDeepEqual(leftovers(name, processes), []);
      await other.down();
      assert.deepEqual(leftovers(name, processes), []);
    } finally {
      await other.down();
    }
    assert.equal(await lab.host("h1").canPing("h3", 5_000), true);
    await assert.rejects(Lab.up({ name: NAME }), /already up/);
  });

  test("down from the files alone, after the maker was killed", async () => {
    const name = `${NAME}-c`;
    const options = `{ name: "${name}", hosts: ["a", "b"], keep: true }`;
    await killedMaker(
      options,
      'await lab.host("a").docker("run", "-d", "busybox", "sleep", "999")',
    );
    try {
      const processes = labProcesses(name);
      assert.notDeepEqual(leftovers(name, processes), []);
      await Lab.down(name);
      assert.deepEqual(leftovers(name, processes), []);
    } finally {
      await Lab.down(name);
    }
    await Lab.down(name);
  });

  test("the next lab sweeps one whose maker died, and none whose maker lives", async () => {
    const name = `${NAME}-d`;
    await killedMaker(`{ name: "${name}", hosts: ["a"], engines: false }`, "");
    await Lab.sweep();
    assert.equal(Lab.list().includes(name), false);
    assert.equal(Lab.list().includes(NAME), true);
  });

  test("down of the lab itself leaves nothing", async () => {
    const processes = labProcesses(NAME);
    await lab.down();
    assert.deepEqual(leftovers(NAME, processes), []);
    assert.throws(() => Lab.load(NAME), /no lab named/);
  });
});
