/**
 * Multicast between containers of real engines, one of them a newer one where it can be had: the
 * route that the driver answers, beside published ports and the way outside, and frames both ways.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Background } from "../lab/background.ts";
import { newerEngine } from "../lab/newer-engine.ts";
import { CASTER } from "../lib/group-casting.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const newer = await newerEngine("sid");
const HOSTS = ["own1", "new1"] as const;
const GROUP = "239.7.7.7";
let mesh: MeshHosts;

const other = (host: string) => (host === "own1" ? "new1" : "own1");
const routes = (host: string, container: string) =>
  mesh.inside(host, container, "ip", "route", "show");

async function inSandbox(host: string, container: string, ...words: string[]): Promise<string[]> {
  const format = "{{.NetworkSettings.SandboxKey}}";
  const key = await mesh.docker(host, "inspect", "-f", format, container);
  return ["nsenter", `--net=${key}`, process.execPath, CASTER, ...words];
}

async function listener(host: string, container: string): Promise<Background> {
  const listen = await inSandbox(host, container, "listen", GROUP, "5000");
  const started = await mesh.lab.host(host).spawn(listen);
  await started.waitForOutput(/ready/);
  return started;
}

async function peersWithMembers(host: string): Promise<readonly string[]> {
  type Groups = { groups: { group: string; peers: string[] }[] };
  const { groups } = await mesh.json<Groups>(host, "status", "groups");
  return groups.find(({ group }) => group === GROUP)?.peers ?? [];
}

describe("multicast between containers", () => {
  before(async () => {
    const engineDirs = "engineDir" in newer ? { new1: newer.engineDir } : {};
    mesh = await MeshHosts.hostsOnly("groups", { hosts: HOSTS, engineDirs });
    await Promise.all(HOSTS.map((host) => mesh.launch(host, mesh.addresses(host))));
    const create = ["network", "create", "side", "--subnet", "10.77.0.0/16"];
    assert.equal((await mesh.cli("own1", ...create)).code, 0);
    for (const host of HOSTS) {
      await eventually("side is there", 10_000, () =>
        mesh.docker(host, "network", "inspect", "side"),
      );
      await mesh.web(host, `web-${host}`, "-p", "8087:80");
    }
  });
  after(async () => {
    await mesh?.lab.down();
  });

  for (const host of HOSTS) {
    it(`${host}: the route leads to the overlay, all else stays as it was`, async () => {
      const found = await routes(host, `web-${host}`);
      assert.match(found, /^224\.0\.0\.0\/4 dev eth0/m);
      assert.match(found, /^default via 172\.\S+ dev eth1/m);
      const page = await mesh.ok(host, ["busybox", "wget", "-qO-", "http://127.0.0.1:8087/"]);
      assert.equal(page.trim(), `web-${host}`);
    });

    it(`${host}: a container of two networks starts, and keeps one route`, async () => {
      await mesh.web(host, "two");
      await mesh.docker(host, "network", "connect", "side", "two");
      assert.equal((await routes(host, "two")).match(/^224\./gm)?.length, 1);
      await mesh.docker(host, "restart", "-t", "1", "two");
      assert.equal((await routes(host, "two")).match(/^224\./gm)?.length, 1);
      await mesh.docker(host, "rm", "-f", "two");
    });

    it(`${host}: what it sends arrives on the other, until nobody listens there`, async () => {
      const far = other(host);
      const member = await listener(far, `web-${far}`);
      await eventually("the member is known", 10_000, async () => {
        assert.deepEqual(await peersWithMembers(host), [far]);
      });
      await mesh.ok(host, await inSandbox(host, `web-${host}`, "send", GROUP, "5000", "100", "5"));
      await member.waitForOutput(/^100$/m);
      await member.stop();
      await eventually("no member is left", 10_000, async () => {
        assert.deepEqual(await peersWithMembers(host), []);
      });
    });
  }
});
