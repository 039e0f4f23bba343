/**
 * Addresses on real engines: a pool under pressure, lost calls, a full disk, claims from both
 * sides; and at the end that nothing leaked.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["h1", "h2", "h3"] as const;
const SUBNET = "10.32.0.0/12";
const SMALL = "10.90.0.0/28";
const CREATE = ["network", "create", "-d", "tsweave", "--ipam-driver", "tsweave"];
/** Its state directory is a file system of its own, which a test fills. */
const TIGHT = "h3";
const STATE = "/var/lib/tsweave";

interface Pool {
  readonly subnet: string;
  readonly owned: readonly {
    readonly peer: string;
    readonly ranges: readonly string[];
    readonly used: number;
    readonly reachable: boolean;
  }[];
}

let mesh: MeshHosts;

describe("addresses", () => {
  before(async () => {
    mesh = await MeshHosts.hostsOnly("ipam", { hosts: HOSTS });
    await mesh.ok(TIGHT, ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", STATE]);
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
  });
  after(async () => {
    await mesh?.lab.down();
  });

  // The last test sees that these came back: it takes a minute and a half.
  it("holds what was given out when the daemon is killed before it is used", async () => {
    const PoolID = `tsweave:${SUBNET}`;
    const given = [];
    for (let count = 0; count < 3; count += 1) {
      const { Address } = await plugin("h1", "IpamDriver.RequestAddress", { PoolID, Address: "" });
      given.push(Address?.split("/")[0]);
    }
    assert.equal(new Set(given).size, 3);
    const empty = await plugin("h1", "IpamDriver.RequestAddress");
    assert.match(empty.Error ?? "", /without its arguments/, "an engine's repetition gets nothing");
    await mesh.ok("h1", ["kill", "-9", `${await mesh.daemonPid("h1")}`]);
    await mesh.launch("h1", mesh.addresses("h1"));
    assert.equal(await used("h1", SUBNET), 3);
    const next = await mesh.web("h1", "after-kill");
    assert.ok(!given.includes(next), `${next} was given twice`);
  });

  it("serves fifty short-lived containers from a /28", async (t) => {
    const made = await mesh.cli("h1", "network", "create", "small", "--subnet", SMALL);
    assert.equal(made.code, 0, made.stderr);
    const startMs = Date.now();
    let left = 50;
    const work = async (host: string) => {
      while (left > 0) {
        left -= 1;
        await mesh.docker(host, "run", "--rm", "--net", "small", "busybox", "true");
      }
    };
    await Promise.all(HOSTS.map(work));
    const tookMs = Date.now() - startMs;
    t.diagnostic(`fifty containers in ${tookMs} ms`);
    assert.ok(tookMs < 90_000, `${tookMs} ms`);
    for (const host of HOSTS) {
      await eventually("none is held", 5000, async () => assert.equal(await used(host, SMALL), 0));
    }
  });

  it("gives a hundred containers started at once on three hosts an address each", async (t) => {
    const startMs = Date.now();
    const names = Array.from({ length: 100 }, (_, at) => `many-${at}`);
    const run = (name: string, at: number) => {
      const host = HOSTS[at % HOSTS.length] ?? "h1";
      const flags = ["-d", "--net", "tsweave", "--name", name, "--stop-timeout", "0"];
      return mesh.ok(host, ["docker", "run", ...flags, "busybox", "sleep", "999"], 120_000);
    };
    await Promise.all(names.map(run));
    t.diagnostic(`a hundred containers in ${Date.now() - startMs} ms`);
    await eventually("every host has every row and name", 5000, async () => {
      for (const host of HOSTS) {
        const rows = await mesh.endpoints(host);
        const isMany = ({ name }: { readonly name: string }) => name.startsWith("many-");
        assert.equal(rows.filter(isMany).length, 100);
        assert.equal(new Set(rows.map(({ ip }) => ip)).size, rows.length, "an address is doubled");
        const others = rows.filter((row) => !isMany(row)).map(({ name }) => name);
        assert.deepEqual(others, others.length === 0 ? [] : ["after-kill"]);
      }
    });
    await Promise.all(HOSTS.map((host) => removeAll(host)));
  });

  it("gives --ip of any range, and refuses it when the owner is cut off", async () => {
    const own = await lastOf("h1", 10);
    assert.equal(await mesh.web("h1", "own", "--ip", own), own);
    const theirs = await lastOf("h2", 10);
    assert.equal(await mesh.web("h1", "theirs", "--ip", theirs), theirs);
    await mesh.lab.partition([["h1"], ["h2", "h3"]]);
    const refused = await tryRun("h1", await lastOf("h2", 20));
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /belongs to h2, which (did not answer|cannot be reached)/);
    assert.match(refused.stderr, /choose another address/);
    await mesh.web("h1", "chosen-while-cut-off");
    await mesh.lab.heal();
    await eventually("it is given after the cut", 15_000, async () => {
      const { code, stderr } = await tryRun("h1", await lastOf("h2", 20));
      assert.equal(code, 0, stderr);
    });
  });

  it("lets one win when two hosts claim the same address at once", async () => {
    for (const back of [30, 31, 32]) {
      const ip = await lastOf("h3", back);
      const tries = await Promise.all([tryRun("h1", ip), tryRun("h2", ip)]);
      assert.deepEqual(tries.map(({ code }) => code === 0).sort(), [false, true], ip);
      const loser = tries.find(({ code }) => code !== 0);
      assert.match(loser?.stderr ?? "", new RegExp(ip.replaceAll(".", "\\.")));
    }
    await Promise.all(HOSTS.map((host) => removeAll(host)));
  });

  it("keeps to --ip-range, --gateway and --aux-address, also when its state is lost", async () => {
    const subnet = "10.91.0.0/24";
    const range = ["--ip-range", "10.91.0.64/29", "--gateway", "10.91.0.66"];
    const aux = ["--aux-address", "printer=10.91.0.67", "--aux-address", "router=10.91.0.68"];
    await mesh.docker("h2", ...CREATE, "--subnet", subnet, ...range, ...aux, "own");
    const free = ["10.91.0.64", "10.91.0.65", "10.91.0.69", "10.91.0.70", "10.91.0.71"];
    const check = async (name: string) => {
      const ip = await mesh.web("h2", name, "--net", "own");
      assert.ok(free.includes(ip), `${ip} is not of the range, or not free`);
      free.splice(free.indexOf(ip), 1);
    };
    await check("ranged1");
    await check("ranged2");
    await mesh.inside("h2", "ranged1", "ping", "-c1", "-W1", "10.91.0.66");
    const taken = await tryRun("h2", "10.91.0.67", "own");
    assert.match(taken.stderr, /10\.91\.0\.67 is reserved/);
    const part = ["docker", ...CREATE, "--subnet", "10.91.0.0/25", "second"];
    const again = await mesh.exec("h2", part);
    assert.match(again.stderr, /10\.91\.0\.0\/25 is in use by network own/);
    const pid = await mesh.daemonPid("h2");
    await mesh.ok("h2", ["sh", "-c", `kill -9 ${pid}; rm -r ${STATE}/*`]);
    await mesh.launch("h2", mesh.addresses("h2"));
    await eventually("what runs is counted", 5000, async () => {
      assert.equal(await used("h2", subnet), 2);
    });
    assert.match((await tryRun("h2", "10.91.0.67", "own")).stderr, /10\.91\.0\.67 is reserved/);
    assert.match((await tryRun("h2", "10.91.0.66", "own")).stderr, /10\.91\.0\.66 is reserved/);
    // The range is the former peer's until that is forgotten: what is refused says why.
    const dry = await tryRun("h2", "", "own");
    assert.match(dry.stderr, /none free in 10\.91\.0\.64\/29/);
    await removeAll("h2");
    await mesh.docker("h2", "network", "rm", "own");
    assert.equal(await used("h2", subnet), 0);
  });

  it("gives nothing while the disk is full, says so, and goes on when there is room", async () => {
    const PoolID = `tsweave:${SUBNET}`;
    await mesh.web(TIGHT, "ends-meanwhile");
    await mesh.exec(TIGHT, ["dd", "if=/dev/zero", `of=${STATE}/fill`, "bs=4k"]);
    const given: string[] = [];
    // The last block of the journal has room for some records more.
    const refusal = await eventually("the journal's last block is full", 20_000, async () => {
      const body = { PoolID, Address: "" };
      const reply = await plugin(TIGHT, "IpamDriver.RequestAddress", body);
      if (reply.Address !== undefined) given.push(reply.Address.split("/")[0] ?? "");
      assert.notEqual(reply.Error, undefined, "an address was given");
      return reply.Error ?? "";
    });
    assert.match(refusal, /no space left \(ENOSPC\); free space on the disk/);
    const held = await used(TIGHT, SUBNET);
    const run = await tryRun(TIGHT, "");
    assert.match(run.stderr, /no space left/);
    assert.equal(await used(TIGHT, SUBNET), held, "nothing is given out");
    await mesh.docker(TIGHT, "rm", "-f", "ends-meanwhile");
    await mesh.ok(TIGHT, ["rm", `${STATE}/fill`]);
    await mesh.web(TIGHT, "room-again");
    for (const Address of given) {
      assert.deepEqual(await plugin(TIGHT, "IpamDriver.ReleaseAddress", { PoolID, Address }), {});
    }
    await eventually("what ended meanwhile is released", 15_000, async () => {
      assert.equal(await used(TIGHT, SUBNET), 1);
    });
    await removeAll(TIGHT);
  });

  it("has all addresses back when the engine lost its state", async () => {
    for (const name of ["lost1", "lost2", "lost3"]) await mesh.web("h2", name);
    assert.equal(await used("h2", SUBNET), 3);
    await mesh.lab.host("h2").crash();
    for (const part of ["network", "containers"]) {
      await rm(mesh.lab.host("h2").path(`/var/lib/docker/${part}`), { recursive: true });
    }
    await mesh.lab.host("h2").boot();
    await mesh.launch("h2", mesh.addresses("h2"));
    await eventually("they are back", 10_000, async () => {
      assert.equal(await used("h2", SUBNET), 0);
    });
    await mesh.web("h2", "fresh");
    await removeAll("h2");
  });

  it("has leaked nothing", async () => {
    await Promise.all(HOSTS.map((host) => removeAll(host)));
    await eventually("no host holds an address", 100_000, async () => {
      for (const host of HOSTS) {
        for (const { subnet } of await pools(host)) assert.equal(await used(host, subnet), 0, host);
      }
    });
  });
});

/** One call of the engine, made by the test in its place. */
async function plugin(
  host: string,
  method: string,
  body?: object,
): Promise<{ readonly Address?: string; readonly Error?: string }> {
  const socketPath = mesh.lab.host(host).path("/run/docker/plugins/tsweave.sock");
  const text = body === undefined ? "" : JSON.stringify(body);
  return await new Promise((resolve, reject) => {
    const headers = { host: "", "content-length": Buffer.byteLength(text) };
    const call = request({ socketPath, path: `/${method}`, method: "POST", agent: false, headers });
    call.on("error", reject);
    call.on("response", (response) => {
      let reply = "";
      response.on("data", (chunk: Buffer) => {
        reply += chunk.toString();
      });
      response.on("error", reject);
      response.on("end", () => resolve(JSON.parse(reply) as { Address?: string; Error?: string }));
    });
    call.end(text);
  });
}

async function pools(host: string): Promise<readonly Pool[]> {
  return (await mesh.json<{ pools: Pool[] }>(host, "status", "ipam")).pools;
}

/** Addresses of a pool that a host has given out. */
async function used(host: string, subnet: string): Promise<number> {
  const pool = (await pools(host)).find((one) => one.subnet === subnet);
  // A former peer of the host has its name, and is not reachable.
  return pool?.owned.find(({ peer, reachable }) => peer === host && reachable)?.used ?? 0;
}

/** An address near the end of a host's range, where none is given out unasked. */
async function lastOf(host: string, back: number): Promise<string> {
  const pool = (await pools(host)).find(({ subnet }) => subnet === SUBNET);
  const range = pool?.owned.find(({ peer }) => peer === host)?.ranges.at(-1) ?? "";
  const bytes = (range.split("-")[1] ?? "").split(".").map(Number);
  return [...bytes.slice(0, 3), (bytes[3] ?? 0) - back].join(".");
}

async function tryRun(host: string, ip: string, network = "tsweave") {
  const flags = ["-d", "--net", network, "--stop-timeout", "0", ...(ip === "" ? [] : ["--ip", ip])];
  return await mesh.exec(host, ["docker", "run", ...flags, "busybox", "sleep", "999"], 60_000);
}

async function removeAll(host: string): Promise<void> {
  const ids = (await mesh.docker(host, "ps", "-aq")).split("\n").filter((id) => id !== "");
  if (ids.length > 0) await mesh.ok(host, ["docker", "rm", "-f", ...ids], 120_000);
}
