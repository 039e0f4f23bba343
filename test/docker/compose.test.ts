/**
 * Compose files on two hosts: the mesh's network as an external one, a network of the project, one
 * service on both hosts, order of the start, scaling, restart policies, and the end. The program is
 * Debian's newest, downloaded and extracted, not installed.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { compose } from "../lab/compose.ts";
import type { ExecResult } from "../lab/exec.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";
import { allWell } from "../lib/well.ts";

const HOSTS = ["c1", "c2"] as const;
const FILE = "/run/compose.yaml";
/** Serves the name that the container has for itself. */
const SERVE = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -h /www";

/** What both hosts run: as one writes it who has read that the network is there already. */
const PROJECT = `
name: shop
services:
  db:
    image: busybox:latest
    pull_policy: never
    hostname: db-of-HOST
    command: [sh, -c, "sleep 1; ${SERVE}"]
    stop_grace_period: 1s
    restart: unless-stopped
    healthcheck:
      test: [CMD, wget, -qO-, "http://localhost/"]
      interval: 500ms
      retries: 20
    networks:
      mesh:
        aliases: [store]
      back:
  front:
    image: busybox:latest
    pull_policy: never
    container_name: front-HOST
    hostname: front-HOST
    command: [sh, -c, "wget -qO /first http://db/ || exit 9; ${SERVE}"]
    stop_grace_period: 1s
    restart: always
    depends_on:
      db:
        condition: service_healthy
    networks: [mesh]
networks:
  mesh:
    external: true
    name: tsweave
  back:
    driver: tsweave
    ipam:
      driver: tsweave
      config:
        - subnet: 10.73.0.0/16
`;

const found = await compose("sid");
const skip = "reason" in found ? found.reason : false;
let mesh: MeshHosts;

async function up(host: string, text: string, ...words: string[]): Promise<ExecResult> {
  writeFileSync(mesh.lab.host(host).path(FILE), text.replaceAll("HOST", host));
  return await docker(host, "up", "-d", "--quiet-pull", ...words);
}

async function docker(host: string, ...words: string[]): Promise<ExecResult> {
  const program = "program" in found ? found.program : "";
  return await mesh.exec(host, [program, "-f", FILE, "--ansi", "never", ...words], 90_000);
}

async function succeeds(result: Promise<ExecResult>): Promise<void> {
  const { code, stderr } = await result;
  assert.equal(code, 0, stderr);
}

/** Addresses that a name has inside a container. */
async function lookup(host: string, container: string, name: string): Promise<string[]> {
  const { stdout } = await mesh.tryInside(host, container, "nslookup", "-type=a", name);
  const answer = stdout.split("Name:").slice(1).join("");
  return [...answer.matchAll(/Address[^\n]*?(\d+\.\d+\.\d+\.\d+)/g)].map(([, ip = ""]) => ip);
}

describe("compose files", { skip }, () => {
  before(async () => {
    mesh = await MeshHosts.up("compose", HOSTS);
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("start in order, each first instruction with names", async (t) => {
    t.diagnostic("version" in found ? `compose ${found.version}` : found.reason);
    await Promise.all(HOSTS.map((host) => succeeds(up(host, PROJECT))));
    for (const host of HOSTS) {
      // Both hosts have a service db: any of them may have answered.
      assert.match(await mesh.inside(host, `front-${host}`, "cat", "/first"), /^db-of-c[12]$/);
    }
  });

  it("have services, aliases and container names across hosts", async () => {
    for (const [here, there] of [HOSTS, HOSTS.toReversed()] as [string, string][]) {
      const from = [here, `front-${here}`] as const;
      const page = (url: string) => mesh.inside(...from, "wget", "-qO-", `http://${url}/`);
      assert.equal(await page(`front-${there}`), `front-${there}`);
      for (const name of ["db", "store", "db.tsweave", "shop-db-1"]) {
        assert.equal((await lookup(...from, name)).length, 2, `${name} is on both hosts`);
      }
      assert.equal((await lookup(...from, "front")).length, 2);
    }
  });

  it("of one project on two hosts share its network, unseen by other networks", async () => {
    const ips = [];
    for (const host of HOSTS) {
      const format = '{{(index .NetworkSettings.Networks "shop_back").IPAddress}}';
      ips.push(await mesh.docker(host, "inspect", "-f", format, "shop-db-1"));
    }
    assert.equal(new Set(ips).size, 2);
    await mesh.inside("c1", "shop-db-1", "ping", "-c1", "-W2", ips[1] ?? "");
    assert.equal((await lookup("c2", "shop-db-1", "db.shop_back")).length, 2);
    assert.deepEqual(await lookup("c2", "front-c2", "db.shop_back"), []);
    const label = '{{index .Labels "com.docker.compose.network"}}';
    for (const host of HOSTS) {
      assert.equal(await mesh.docker(host, "network", "inspect", "-f", label, "shop_back"), "back");
    }
  });

  it("scale: the other host answers with every instance, and none that ended", async () => {
    for (const count of [3, 1]) {
      await succeeds(up("c1", PROJECT, "--scale", `db=${count}`, "--no-recreate"));
      await eventually(`${count} and one`, 3000, async () => {
        assert.equal((await lookup("c2", "front-c2", "db")).length, count + 1);
      });
    }
  });

  it("come back after a restart of the engine, by their restart policies", async () => {
    await mesh.lab.host("c1").stopEngine();
    await mesh.lab.host("c1").startEngine();
    await eventually("names are back", 20_000, async () => {
      assert.equal((await lookup("c2", "front-c2", "db")).length, 2);
      const page = await mesh.inside("c2", "front-c2", "wget", "-qO-", "http://front-c1/");
      assert.equal(page, "front-c1");
    });
    await allWell(mesh, HOSTS);
  });

  it("say what is missing where a network of theirs cannot be made", async () => {
    const bare = PROJECT.replace(/ {4}ipam:[\s\S]*/, "").replace("name: shop", "name: bare");
    const noIpam = await up("c1", bare.replaceAll("container_name: front-HOST", ""));
    assert.notEqual(noIpam.code, 0);
    assert.match(noIpam.stderr, /ipam: \{driver: tsweave, config: \[\{subnet: /);
    const noSubnet = bare.concat("    ipam:\n      driver: tsweave\n");
    const refused = await up("c1", noSubnet.replaceAll("container_name: front-HOST", ""));
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /needs its subnet/);
    await succeeds(docker("c1", "down", "-t", "1"));
    writeFileSync(mesh.lab.host("c1").path(FILE), PROJECT.replaceAll("HOST", "c1"));
  });

  it("end one host after the other, and leave nothing behind", async () => {
    await succeeds(docker("c1", "down", "-t", "1"));
    await eventually("c2 has only its own", 3000, async () => {
      assert.equal((await lookup("c2", "front-c2", "db")).length, 1);
    });
    assert.equal(
      await mesh.inside("c2", "shop-db-1", "wget", "-qO-", "http://db.shop_back/"),
      "db-of-c2",
      "the project's network stays while the other host uses it",
    );
    await succeeds(docker("c2", "down", "-t", "1"));
    await eventually("the project's network is gone", 15_000, async () => {
      for (const host of HOSTS) {
        const names = await mesh.docker(host, "network", "ls", "--format", "{{.Name}}");
        assert.doesNotMatch(names, /shop_back/, host);
      }
    });
    await allWell(mesh, HOSTS);
  });
});
