/** Engines of several versions in one mesh: the machine's own, and Debian's newest extracted. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newerEngine } from "../lab/newer-engine.ts";
import { eventually, MeshHosts } from "../lib/mesh-hosts.ts";

const newer = await newerEngine("sid");
const skip = "reason" in newer ? newer.reason : false;

describe("an older and a newer engine in one mesh", { skip }, () => {
  let mesh: MeshHosts;
  before(async () => {
    const engineDirs = "engineDir" in newer ? { new1: newer.engineDir } : {};
    const hosts = ["old1", "new1"];
    mesh = await MeshHosts.hostsOnly("engines", { hosts, engineDirs });
    await Promise.all(hosts.map((host) => mesh.launch(host, mesh.addresses(host))));
    await mesh.web("old1", "web-old");
    await mesh.web("new1", "web-new");
  });
  after(async () => {
    await mesh?.lab.down();
  });

  it("really are two versions", async () => {
    const format = "{{.Server.Version}}";
    const versions = [
      await mesh.docker("old1", "version", "-f", format),
      await mesh.docker("new1", "version", "-f", format),
    ];
    assert.notEqual(versions[0], versions[1]);
    assert.equal(versions[1], "version" in newer ? newer.version : "");
  });

  it("carry names and traffic both ways", async () => {
    assert.equal(
      await mesh.inside("old1", "web-old", "wget", "-qO-", "http://web-new/"),
      "web-new",
    );
    assert.equal(
      await mesh.inside("new1", "web-new", "wget", "-qO-", "http://web-old/"),
      "web-old",
    );
    const outside = await mesh.inside("new1", "web-new", "wget", "-qO-", "http://outside.example/");
    assert.ok(outside.length > 0);
  });

  it("show eth0, eth1 and the default route alike", async () => {
    const routes = await mesh.inside("new1", "web-new", "ip", "route");
    assert.match(routes, /default via \S+ dev eth1/);
    assert.match(routes, /10\.32\.0\.0\/12 dev eth0/);
  });

  it("answer the first instruction of a new container", async () => {
    for (let round = 0; round < 10; round += 1) {
      const run = ["run", "--rm", "--net", "tsweave", "busybox", "nslookup", "web-old"];
      assert.match(await mesh.docker("new1", ...run), /Name:\s+web-old/, `round ${round}`);
    }
  });

  it("follow rename and removal", async () => {
    await mesh.docker("new1", "rename", "web-new", "site");
    await eventually("the new name answers", 1500, () =>
      mesh.inside("old1", "web-old", "nslookup", "site"),
    );
    await mesh.docker("new1", "rm", "-f", "site");
    await eventually("it is gone", 1500, async () => {
      assert.notEqual((await mesh.tryInside("old1", "web-old", "nslookup", "site")).code, 0);
    });
  });

  it("leave --internal containers without a way out, but with names", async () => {
    const create = ["network", "create", "quiet", "--internal", "--subnet", "10.98.0.0/16"];
    const made = await mesh.cli("old1", ...create);
    assert.equal(made.code, 0, made.stderr);
    await mesh.web("old1", "q-old", "--net", "quiet");
    await mesh.web("new1", "q-new", "--net", "quiet");
    assert.equal(await mesh.inside("new1", "q-new", "wget", "-qO-", "http://q-old/"), "q-old");
    assert.doesNotMatch(await mesh.inside("new1", "q-new", "ip", "route"), /default/);
  });

  it("keep names and paths over a restart of the newer engine's daemon", async () => {
    await mesh.web("new1", "stays");
    await mesh.ok("new1", ["kill", "-9", String(await mesh.daemonPid("new1"))]);
    await mesh.launch("new1", mesh.addresses("new1"));
    await eventually("its lookups are answered again", 3000, async () => {
      const page = await mesh.inside("new1", "stays", "wget", "-qO-", "http://web-old/");
      assert.equal(page, "web-old");
    });
    assert.equal(await mesh.inside("old1", "web-old", "wget", "-qO-", "http://stays/"), "stays");
  });
});
