/**
 * `docker network create` waits in the engine for a daemon that is down, while the mesh gets a
 * network of the same name and subnet: the engine has one of that name when the command ends.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { newerEngine } from "../lab/newer-engine.ts";
import { MeshHosts } from "../lib/mesh-hosts.ts";

const SUBNET = "10.91.0.0/16";
const CREATE = ["network", "create", "-d", "tsweave", "--ipam-driver", "tsweave"];
/** By then Docker has looked for the plugin a few times, and waits seconds between two looks. */
const WAITED_MS = 2500;

const newer = await newerEngine("sid");
const LATE = "engineDir" in newer ? ["h2", "h3"] : ["h2"];
let mesh: MeshHosts;

async function twins(host: string): Promise<string[]> {
  const list = await mesh.docker(host, "network", "ls", "-q", "--no-trunc", "-f", "name=^twin$");
  return list.split("\n").filter((id) => id !== "");
}

/** The mesh's network, as long as the command waits. */
async function watch(host: string, isOver: () => boolean): Promise<number> {
  let seen = 0;
  while (!isOver()) {
    seen = Math.max(seen, (await twins(host)).length);
    await sleep(100);
  }
  return seen;
}

describe("a network that a user and the mesh make at the same time", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { h3: newer.engineDir } : {};
    const hosts = ["h1", ...LATE];
    mesh = await MeshHosts.hostsOnly("waiting", { hosts, engineDirs });
    await Promise.all(hosts.map((host) => mesh.launch(host, mesh.addresses(host))));
  });

  after(async () => {
    await mesh?.lab.down();
  });

  it("is one, which containers can join at once", async (t) => {
    for (const host of LATE) await mesh.cli(host, "stop");
    const words = ["docker", ...CREATE, "--subnet", SUBNET, "twin"];
    const creations = LATE.map(async (host) => {
      const { code, stdout, stderr } = await mesh.exec(host, words, 60_000);
      assert.equal(code, 0, stderr);
      assert.deepEqual(await twins(host), [stdout.trim()], host);
      const run = ["run", "-d", "--net", "twin", "--name", `box-${host}`, "--stop-timeout", "1"];
      await mesh.docker(host, ...run, "busybox", "sleep", "99");
    });
    let isOver = false;
    const all = Promise.all(creations).finally(() => {
      isOver = true;
    });
    await sleep(WAITED_MS);
    assert.equal(isOver, false, "the commands wait");
    const { code, stderr } = await mesh.cli("h1", "network", "create", "twin", "--subnet", SUBNET);
    assert.ok(code === 0 || code === 4, stderr);
    await Promise.all(LATE.map((host) => mesh.launch(host, mesh.addresses(host))));
    const seen = await Promise.all(LATE.map((host) => watch(host, () => isOver)));
    t.diagnostic(`networks of the name while the commands waited: ${seen}`);
    await all;
    await mesh.web("h1", "site", "--net", "twin");
    for (const host of LATE) {
      const page = await mesh.inside(host, `box-${host}`, "wget", "-qO-", "http://site/");
      assert.equal(page.trim(), "site");
    }
  });
});
