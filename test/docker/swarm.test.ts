/**
 * Swarm beside the mesh on the same engines: its overlay and ours share UDP 4789, told apart by
 * VNI, whichever came first; services work; a VNI of Swarm's that is ours is said, with the cure.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Examined } from "../../cli/doctor/examine.ts";
import { UNLESS_LONG } from "../lib/long-run.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const HOSTS = ["s1", "s2"] as const;
const OVERLAY = ["network", "create", "-d", "overlay", "--attachable"];
const OTHER_PORT = "4790";

let mesh: MeshHosts;

async function page(host: string, from: string, name: string): Promise<string> {
  return await mesh.inside(host, from, "timeout", "5", "wget", "-qO-", `http://${name}/`);
}

async function swarm(): Promise<void> {
  const [first, second] = [mesh.address("s1"), mesh.address("s2")];
  await mesh.docker("s1", "swarm", "init", "--advertise-addr", first);
  const token = await mesh.docker("s1", "swarm", "join-token", "-q", "worker");
  await mesh.docker("s2", "swarm", "join", "--token", token, "--advertise-addr", second, first);
}

/** VNIs of the VXLAN packets that leave s1 while something is done. */
async function vnisDuring(work: () => Promise<void>): Promise<Set<string>> {
  const dump = await mesh.lab.host("s1").tcpdump("udp port 4789");
  try {
    await work();
    await new Promise((resolve) => setTimeout(resolve, 300));
  } finally {
    await dump.stop();
  }
  return new Set([...dump.output.matchAll(/ vni (\d+)/g)].map(([, vni = ""]) => vni));
}

async function doctor(host: string): Promise<readonly Examined[]> {
  const { stdout } = await mesh.cli(host, "doctor", "--json");
  const { findings } = JSON.parse(stdout) as { findings: Examined[] };
  return findings.filter(({ text }) => /Swarm/.test(text));
}

async function networkOf(host: string, name: string, format: string): Promise<string> {
  return await mesh.docker(host, "network", "inspect", "-f", format, name);
}

describe("Swarm on the engines of the mesh", () => {
  before(async () => {
    mesh = await MeshHosts.up("swarm", HOSTS);
    for (const host of HOSTS) await mesh.web(host, `web-${host}`);
    await swarm();
    await mesh.docker("s1", ...OVERLAY, "--subnet", "10.99.0.0/24", "theirs");
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("carries packets of both over one port, whichever came first", async (t) => {
    // tsweave came first, then Swarm's network, then another one of tsweave's.
    for (const host of HOSTS) await mesh.web(host, `task-${host}`, "--net", "theirs");
    const made = await mesh.cli("s1", "network", "create", "late", "--subnet", "10.74.0.0/16");
    assert.equal(made.code, 0, made.stderr);
    for (const host of HOSTS) await mesh.web(host, `late-${host}`, "--net", "late");
    const vnis = await vnisDuring(async () => {
      for (const name of ["web", "task", "late"]) {
        await mesh.inside("s1", `${name}-s1`, "ping", "-c2", "-W2", `${name}-s2`);
        assert.equal(await page("s2", `${name}-s2`, `${name}-s1`), `${name}-s1`);
      }
    });
    const list = '{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}';
    const theirs = await networkOf("s1", "theirs", list);
    t.diagnostic(`VNIs on UDP 4789: ${[...vnis].join(", ")}; Swarm's is ${theirs}`);
    assert.equal(vnis.size, 3);
    assert.ok(vnis.has("256") && vnis.has(theirs));
    const sockets = await mesh.ok("s1", ["ss", "-Hulan", "sport = :4789"]);
    assert.equal(sockets.trim().split("\n").length, 1, "one socket for all");
  });

  it("lets a container be on both, with the names of both", async () => {
    await mesh.docker("s1", "network", "connect", "theirs", "web-s1");
    assert.equal(await page("s1", "web-s1", "task-s2"), "task-s2");
    assert.equal(await page("s1", "web-s1", "web-s2"), "web-s2");
    assert.equal(await page("s2", "web-s2", "web-s1"), "web-s1");
    assert.equal(await page("s2", "task-s2", "web-s1"), "web-s1");
    await mesh.docker("s1", "network", "disconnect", "theirs", "web-s1");
    assert.equal(await page("s1", "web-s1", "web-s2"), "web-s2");
  });

  it("leaves services alone: tasks on both hosts, scaled, updated, removed", async () => {
    const serve = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -h /www";
    const create = ["service", "create", "-d", "--name", "svc", "--network", "theirs"];
    const spread = ["--mode", "global", "--endpoint-mode", "dnsrr", "--no-resolve-image"];
    const task = ["--hostname", "svc-{{.Node.Hostname}}", "busybox:latest", "sh", "-c", serve];
    await mesh.docker("s1", ...create, ...spread, ...task);
    await eventually("both tasks serve", 30_000, async () => {
      const seen = new Set<string>();
      for (let look = 0; look < 12; look += 1) seen.add(await page("s1", "task-s1", "svc"));
      assert.deepEqual([...seen].sort(), ["svc-s1", "svc-s2"]);
    });
    await mesh.docker("s1", "service", "update", "-d", "--force", "svc");
    await mesh.inside("s1", "web-s1", "ping", "-c2", "-W2", "web-s2");
    await mesh.docker("s1", "service", "rm", "svc");
    await eventually("its tasks are gone", 30_000, async () => {
      assert.doesNotMatch(await mesh.docker("s2", "ps", "--format", "{{.Names}}"), /^svc/m);
    });
    assert.equal(await page("s2", "web-s2", "web-s1"), "web-s1");
  });

  it("is no problem to doctor, as long as no VNI is used twice", async () => {
    const [found, ...more] = await doctor("s1");
    assert.deepEqual(more, []);
    assert.equal(found?.state, "ok");
    assert.match(found?.text ?? "", /Swarm is active; its networks share UDP 4789/);
  });

  it("with one VNI for two networks is said, and another port is the cure", async () => {
    const option = ["--opt", "com.docker.network.driver.overlay.vxlanid_list=256"];
    await mesh.docker("s1", ...OVERLAY, ...option, "--subnet", "10.98.0.0/24", "clash");
    const [warning] = (await doctor("s1")).filter(({ state }) => state !== "ok");
    assert.match(warning?.text ?? "", /Swarm's network clash and tsweave both have VNI 256/);
    assert.match(warning?.next ?? "", /--vxlan-port/);
    // Docker itself cannot start the second on a host, and says why.
    const late = await mesh.exec("s1", ["docker", "run", "--rm", "--net", "clash", "busybox"]);
    assert.notEqual(late.code, 0);
    for (const host of HOSTS) await mesh.cli(host, "stop");
    await Promise.all(
      HOSTS.map((host) => mesh.launch(host, mesh.addresses(host), "--vxlan-port", OTHER_PORT)),
    );
    for (const host of HOSTS) await mesh.web(host, `clash-${host}`, "--net", "clash");
    assert.equal(await page("s1", "clash-s1", "clash-s2"), "clash-s2");
    assert.equal(await page("s1", "web-s1", "web-s2"), "web-s2");
    assert.equal(await page("s2", "late-s2", "late-s1"), "late-s1");
    const sockets = await mesh.ok("s1", ["ss", "-Hulan", `sport = :${OTHER_PORT}`]);
    assert.equal(sockets.trim().split("\n").length, 1);
  });

  it("that was there first is said in the status", { skip: UNLESS_LONG }, async () => {
    for (const host of HOSTS) await mesh.cli(host, "stop");
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    type Problems = { health: { problems: { code: string; text: string; next: string }[] } };
    await eventually("it is said", 10_000, async () => {
      const { health } = await mesh.json<Problems>("s1", "status");
      const told = health.problems.find(({ code }) => code === "KERNEL_DRIFT");
      assert.match(told?.text ?? "", /VNI 256 on UDP 4789 .* another VXLAN device/);
      assert.match(told?.next ?? "", /--vxlan-port/);
    });
    for (const host of HOSTS) await mesh.docker(host, "rm", "-f", `clash-${host}`);
    await eventually("it heals by itself once the other is gone", 45_000, async () => {
      assert.equal(await page("s1", "web-s1", "web-s2"), "web-s2");
    });
  });
});
